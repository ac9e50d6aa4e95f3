"""'Canary': how far is the candidate, what was decided, and on which evidence?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from grafana.page import Page
from grafana.panels import NUMBER, RATE, SECONDS, SHARE, both, chart, of_quantiles, tile
from loadtest.colours import NEUTRAL

_CANARY = '{envoy_cluster_name=~"canary.*"}'
_DECISIONS = 'sum by (decision) (increase(loadproof_canary_decisions_total{decision!="hold"}[6s])) > 0'


def _interval(title: str, gates: str, text: str) -> timeseries.Panel:
    """The intervals of some gates, closing in, against what each lets the candidate do."""
    chosen = f'{{gate=~"{gates}"}}'
    return chart(
        title,
        SHARE,
        {
            "{{gate}}: {{end}}": f"max by (gate, end) (loadproof_canary_interval{chosen})",
            "limit of {{gate}}": f"max by (gate) (loadproof_canary_margin{chosen})",
        },
        f"{text} The interval holds at all times together. If all of it is below the limit, the gate "
        "is met; if all of it is above, the gate is broken.",
        signed=True,
    )


def page() -> Page:
    """The dashboard."""
    return (
        Page("canary", "How far is the candidate, what was decided, and on which evidence?")
        .annotate("Decision", _DECISIONS, "{{decision}}", NEUTRAL)
        .marks("Decision, and why", ["loadproof", "canary"], NEUTRAL)
        .alerts()
        .row(
            5,
            tile(
                "Split",
                SHARE,
                {
                    "candidate": "loadproof:split:ratio_rate1m",
                    "set": "max(loadproof_canary_split_percent) / 100",
                },
                "The candidate's actual share of the users, and the share that the controller has set.",
                "no users",
            ),
            tile(
                "Users' errors",
                SHARE,
                both("role:gateway_unpinned_errors:ratio_rate1m{$role}"),
                "Last minute.",
            ),
            tile(
                "Accuracy from feedback",
                SHARE,
                both("role:loadproof_feedback_accuracy:ratio_rate5m{$role}"),
                "Of the predictions with feedback, over the last five minutes.",
                "no feedback",
            ),
            tile(
                "Ejected",
                NUMBER,
                {"candidate": f"sum(envoy_cluster_outlier_detection_ejections_active{_CANARY})"},
                "1: after five failures in a row the gateway has taken the candidate out.",
            ),
        )
        .title("Evidence")
        .row(
            8,
            chart(
                "Harm",
                SHARE,
                {"{{gate}}": "max by (gate) (loadproof_canary_alarm_evidence)", "limit": "vector(1)"},
                "Evidence against the candidate by rollback gate; 100% is an alarm.",
            ),
            chart(
                "Shown to be safe",
                SHARE,
                {"{{gate}}": "max by (gate) (loadproof_canary_shown)", "limit": "vector(1)"},
                "Evidence for the candidate by promotion gate; at 100% all users may get it.",
            ),
            chart(
                "Decisions",
                NUMBER,
                {"{{decision}}": "sum by (decision) (increase(loadproof_canary_decisions_total[1m]))"},
                "Over the last minute; most decisions are to hold.",
            ),
        )
        .row(
            8,
            _interval("More errors", "err.*", "Failed requests of the candidate, more than stable's."),
            _interval("More wrong answers", "acc.*", "By feedback: the candidate's share less stable's."),
            _interval(
                "More slow answers",
                "p[0-9]+.*|latency.*|median.*",
                "How much more often requests exceed the gate's limit than it allows; from ten windows on.",
            ),
        )
        .title("Shadow")
        .row(
            8,
            chart(
                "Agreement in the shadow",
                SHARE,
                {"{{value}}": "max by (value) (loadproof_canary_shadow_agreement)"},
                "Rows that both versions predict alike, with its 95% interval; users get stable's answers.",
                most=1,
            ),
            chart(
                "Accuracy in the shadow",
                SHARE,
                {"{{role}}": "max by (role) (loadproof_canary_shadow_accuracy)"},
                "Both versions on the same requests, of those with feedback.",
                most=1,
            ),
            chart(
                "p99 in the shadow",
                SECONDS,
                {"{{role}}": 'max by (role) (loadproof_canary_shadow_latency_seconds{value="p99"})'},
                "Server time for the same requests.",
                log=True,
            ),
            chart(
                "Copies",
                NUMBER,
                {"{{outcome}}": "max by (outcome) (loadproof_canary_shadow_requests)"},
                "Joined by request id; of those, failed on the candidate only; and unanswered.",
            ),
        )
        .title("Users")
        .row(
            8,
            chart(
                "Split",
                SHARE,
                {
                    "candidate": "loadproof:split:ratio_rate1m",
                    "set": "max(loadproof_canary_split_percent) / 100",
                },
                "As measured at the gateway over the last minute, and as the controller set it.",
                most=1,
            ),
            chart(
                "Latency",
                SECONDS,
                of_quantiles("role:gateway_unpinned_request_seconds:$q_rate1m{$role}"),
                "Of users' requests, at the gateway.",
                log=True,
            ),
            chart("Requests", RATE, both("role:gateway_unpinned_requests:rate1m{$role}"), "Users' only."),
        )
        .row(
            8,
            chart(
                "Errors",
                SHARE,
                both("role:gateway_unpinned_errors:ratio_rate1m{$role}"),
                "Users' requests that ended with a 5xx.",
            ),
            chart(
                "Errors in the server",
                SHARE,
                both("role:loadproof_request_errors:ratio_rate1m{$role}"),
                "Of all requests, including pinned ones: these are hidden from users by an ejection.",
            ),
            chart(
                "Ejections",
                NUMBER,
                {
                    "candidate": "sum(increase("
                    f"envoy_cluster_outlier_detection_ejections_enforced_total{_CANARY}[1m]))"
                },
                "How often the gateway ejected the candidate, over the last minute.",
            ),
        )
        .title("Quality")
        .row(
            8,
            chart(
                "Accuracy from feedback",
                SHARE,
                both("role:loadproof_feedback_accuracy:ratio_rate1m{$role}"),
                "Last minute.",
                most=1,
            ),
            chart(
                "Feedback",
                NUMBER,
                both("role:loadproof_feedback:increase5m{$role}"),
                "Rows over the last five minutes: how much evidence there is.",
            ),
            chart(
                "Absolute error from feedback",
                NUMBER,
                both("role:loadproof_feedback_absolute_error:mean_rate5m{$role}"),
                "For a regression, which has no right and wrong; over the last five minutes.",
            ),
            chart(
                "CPU throttled",
                SHARE,
                both("role:loadproof_cpu_throttled:ratio_rate30s{$role}"),
                "A candidate that gets more users meets its limit here first.",
                most=1,
            ),
        )
    )
