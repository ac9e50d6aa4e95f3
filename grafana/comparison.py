"""'Version comparison': may the candidate go live? Its first screen answers."""

from __future__ import annotations

from grafana.page import Page
from grafana.panels import NUMBER, RATE, SECONDS, SHARE, both, chart, of_quantiles, rows, spread, tile, word
from loadtest.colours import NEUTRAL

_RUN = 'run="$run", $role'
_SHOWN = 'run="$run", role=~"$shown", $role'
_CLIENT = "run_role:loadproof_client"
_BUCKETS = "loadproof_client_latency_seconds_bucket"


def _over_range(series: str, by: str) -> str:
    """The last value in the time range of the page: an older run has no value now."""
    return f"max by ({by}) (last_over_time({series}[$__range]))"


def _gate(value: str, by: str = "gate") -> str:
    return _over_range(f'loadproof_gate_value{{run="$run", value="{value}"}}', by)


def _noise(value: str, by: str = "gate") -> str:
    return _over_range(f'loadproof_gate_control{{run="$run", value="{value}"}}', by)


def page() -> Page:
    """The dashboard."""
    return (
        Page("comparison", "May the candidate go live? One run, both versions side by side.")
        .versions()
        .annotate("Run", 'changes(loadproof_run_seconds{run="$run"}[10s]) > 0', "run {{run}}", NEUTRAL)
        .alerts()
        .row(
            5,
            word(
                "Verdict",
                'max by (verdict) (loadproof_verdict{run="$run"}) == 1',
                "verdict",
                "PASS: every gate is met. FAIL: a gate is not. INCONCLUSIVE: not enough evidence yet. "
                "INVALID: the measurement itself is bad. A click opens the report.",
                "no verdict yet",
                "${pages:raw}/runs/${run:raw}/report.html",
            ),
            tile(
                "Split",
                SHARE,
                {"candidate": "loadproof:split:ratio_rate1m"},
                "Share of the unpinned traffic that the gateway sends to the candidate.",
                "no unpinned traffic",
            ),
            *(
                tile(
                    f"Latency {q}",
                    SECONDS,
                    both(f"{_CLIENT}_latency_seconds:{q}{{{_RUN}}}"),
                    "Over the whole run, from the intended send.",
                )
                for q in ("p50", "p95", "p99")
            ),
            widths=(5, 4, 5, 5, 5),
        )
        .row(
            4,
            tile(
                "Errors",
                SHARE,
                both(f"{_CLIENT}_errors:ratio{{{_RUN}}}"),
                "Requests without a usable answer.",
            ),
            tile(
                "Accuracy",
                SHARE,
                both(f"{_CLIENT}_accuracy:ratio{{{_RUN}}}"),
                "Answers that equal the label; an error is a wrong answer.",
            ),
            tile(
                "Throughput",
                RATE,
                both(f"{_CLIENT}_requests:per_second{{{_RUN}}}"),
                "Requests per second; in duet traffic both versions get the same.",
            ),
            tile(
                "Goodput",
                RATE,
                both(f"{_CLIENT}_good:per_second{{{_RUN}}}"),
                "Answers per second that are correct and within the latency objective.",
            ),
            tile(
                "CPU throttled",
                SHARE,
                both("role:loadproof_cpu_throttled:ratio_rate30s{$role}"),
                "Share of the CPU limit's periods in which the kernel paused the version, last 30 s.",
                "no CPU limit",
            ),
            widths=(5, 5, 4, 5, 5),
        )
        .row(
            8,
            chart(
                "Latency",
                SECONDS,
                of_quantiles(f"{_CLIENT}_latency_seconds:$q_rate30s{{{_SHOWN}}}", ("p50", "p95", "p99"))
                | {"objective": 'max(loadproof_run_objective_seconds{run="$run"})'},
                "The last 30 s, from the intended send; a stalled server cannot hide its stall.",
                log=True,
            ),
            rows(
                "Gates",
                {
                    "verdict": _over_range('loadproof_gate_verdict{run="$run"}', "gate, verdict"),
                    "estimate": _gate("estimate", "gate, unit"),
                    "low": _gate("low"),
                    "high": _gate("high"),
                    "margin": _gate("margin"),
                },
                "gate",
                "What the candidate must meet: the whole interval must be within the margin.",
                "no verdict yet",
            ),
            rows(
                "Control",
                {
                    "estimate": _noise("estimate", "gate, unit"),
                    "low": _noise("low"),
                    "high": _noise("high"),
                },
                "gate",
                "A second deployment of stable against stable, by the same tests: the run's own noise.",
                "no control",
            ),
            widths=(9, 9, 6),
        )
        .title("Over time")
        .row(
            7,
            chart(
                "Throughput", RATE, both(f"{_CLIENT}_requests:rate30s{{{_SHOWN}}}"), "Requests per second."
            ),
            chart(
                "Goodput",
                RATE,
                both(f"{_CLIENT}_good:rate30s{{{_SHOWN}}}"),
                "Answers per second that are correct and in time.",
            ),
            chart("Errors", SHARE, both(f"{_CLIENT}_errors:ratio_rate30s{{{_SHOWN}}}"), "Of all requests."),
        )
        .row(
            7,
            chart(
                "Accuracy",
                SHARE,
                both(f"{_CLIENT}_accuracy:ratio_rate30s{{{_SHOWN}}}"),
                "On the rows sent.",
                most=1,
            ),
            chart(
                "CPU throttled",
                SHARE,
                both('role:loadproof_cpu_throttled:ratio_rate30s{role=~"$shown", $role}'),
                "Above a few per cent, p99 grows in steps of the limit's 100 ms periods.",
                most=1,
            ),
            tile(
                "Mismatches",
                SHARE,
                both(f"{_CLIENT}_mismatches:ratio{{{_SHOWN}}}"),
                "Should be none: each answer is compared with the version's baseline answer to that row. "
                "A batcher that mixes up answers does so only under load.",
                "not checked",
            ),
            chart(
                "Checked answers",
                NUMBER,
                {
                    f"{role} {name}": query
                    for name, metric in (("checked", "compared"), ("changed", "mismatches"))
                    for role, query in both(f"sum(loadproof_client_{metric}_total{{{_SHOWN}}})").items()
                },
                "How many answers could be compared with a baseline answer, and how many differed.",
            ),
            widths=(7, 7, 4, 6),
        )
        .row(
            8,
            *(
                spread(
                    f"Latency of {role}",
                    f"sum by (le) (rate({_BUCKETS}{{{matcher}}}[30s]))",
                    "How latencies are distributed: two bands are two kinds of answer.",
                )
                for role, matcher in both(_RUN).items()
            ),
        )
    )
