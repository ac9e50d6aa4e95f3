"""From results to the tables of docs/statistics.md, and to the bars that they must meet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.stats.proportions import Share

DOCS = Path(__file__).parents[2] / "docs" / "statistics.md"
Results = dict[str, list[dict[str, Any]]]


class Bar(NamedTuple):
    """One figure that must be reached: what it is, what was measured, whether it suffices."""

    name: str
    wanted: str
    measured: str
    met: bool


def bars(results: Results) -> list[Bar]:
    """Every bar of which something was measured."""
    latency, shares = results.get("latency", []), results.get("shares", [])
    whole, sequential = results.get("whole_runs", []), results.get("sequential", [])
    long = [r for r in latency if r["seconds"] >= 300]
    found = [
        _most("alarm of a latency gate, A/A, 300 s and more", 0.05, [(r["alarm"], r["runs"]) for r in long]),
        _most("wrong PASS at the margin, 300 s and more", 0.06, [(r["wrong_pass"], r["runs"]) for r in long]),
        _least("p99 on calm, 60 s: PASS if equal", 0.95, _cell(latency, "calm", 60, "p99", "pass_equal")),
        _least("p99 on calm, 60 s: FAIL at +20%", 0.85, _cell(latency, "calm", 60, "p99", "fail_20")),
        _least("p99 on harsh, 600 s: PASS if equal", 0.75, _cell(latency, "harsh", 600, "p99", "pass_equal")),
        _least(
            "p50 +10% found in 60 s",
            0.99,
            [r["finds_10"] for r in latency if r["quantile"] == "p50" and r["seconds"] == 60],
        ),
        _most(
            "alarm on errors, one by one or in bursts, 300 s",
            0.05,
            [(r["alarm"], r["runs"]) for r in shares if "errors" in r["what"] and "300 s" in r["size"]],
        ),
        _least(
            "accuracy within 1 point, 6,200 rows: PASS if equal",
            0.80,
            [r["pass_equal"] for r in shares if r.get("rows") == 6200],
        ),
        _most(
            "A/A run called FAIL, five gates without margin",
            0.05,
            [(r["fail"], r["runs"]) for r in whole if r["what"].startswith("five")],
        ),
        _least(
            "default experiment, same version, calm and harsh: PASS",
            0.90,
            [
                r["pass"]
                for r in whole
                if r["what"] in ("default experiment, calm", "default experiment, harsh")
            ],
        ),
        _most(
            "canary A/A, 1 h, e-process, errors and answers",
            0.05,
            [
                (r["decided"], r["runs"])
                for r in sequential
                if r["traffic"] == "canary"
                and r["method"] == "e-process"
                and r["what"] in ("errors equal, 0.5%", "wrong answers equal, 20%")
            ],
        ),
        _most(
            "canary A/A, 1 h, asymptotic, bursts too",
            0.05,
            [
                (r["decided"], r["runs"])
                for r in sequential
                if r["traffic"] == "canary" and r["method"].startswith("asymptotic") and "equal" in r["what"]
            ],
        ),
        _seconds("canary, errors 0.5% to 5%: median", 10, sequential, "errors 0.5% to 5%", "e-process"),
        _seconds(
            "canary, accuracy -5 points: median", 60, sequential, "accuracy falls 5 points", "e-process"
        ),
        _seconds("canary, p99 doubled: median", 180, sequential, "p99 2 times", "asymptotic"),
        *_canary_bars(results.get("canary", [])),
    ]
    return [bar for bar in found if bar.measured]


def _canary_bars(rows: list[dict[str, Any]]) -> list[Bar]:
    """Of whole canaries, decided by the controller's own code."""
    honest = [(r["rolled_back"], r["runs"]) for r in rows if "honest" in r["what"] or "equal" in r["what"]]
    found = [_most("honest candidates, bursts too, rolled back by the controller", 0.05, honest)]
    for what, limit in (("errors 0.5% to 5%", 10), ("accuracy falls 5 points", 60), ("p99 doubled", 180)):
        out = [r["out"] for r in rows if r["what"].startswith(what) and "10%" in r["what"]]
        name = f"controller, {what}, at 10%: out, median"
        shown = ["never" if seconds is None else f"{seconds:.0f} s" for seconds in out]
        met = bool(out) and all(seconds is not None and seconds <= limit for seconds in out)
        found.append(Bar(name, f"<= {limit} s", ", ".join(shown), met))
    return found


def _cell(rows: list[dict[str, Any]], host: str, seconds: float, quantile: str, key: str) -> list[float]:
    wanted = (host, seconds, quantile)
    return [r[key] for r in rows if (r["host"], r["seconds"], r["quantile"]) == wanted]


def _most(name: str, limit: float, cells: list[tuple[float, int]]) -> Bar:
    """Met unless the runs of a cell show its rate to be above the limit."""
    values = [value for value, _ in cells]
    shown = f"{_percent(min(values))} to {_percent(max(values))}" if values else ""
    above = [Share(value * runs, runs).interval(0.05)[0] > limit for value, runs in cells]
    return Bar(name, f"<= {limit:.0%}", shown, bool(cells) and not any(above))


def _least(name: str, limit: float, values: list[float]) -> Bar:
    return Bar(
        name, f">= {limit:.0%}", ", ".join(map(_percent, values)), bool(values) and min(values) >= limit
    )


def _seconds(name: str, limit: float, rows: list[dict[str, Any]], what: str, method: str) -> Bar:
    hits = [
        r["median"]
        for r in rows
        if r["traffic"] == "canary" and r["what"].startswith(what) and r["method"].startswith(method)
    ]
    known = [h for h in hits if h is not None]
    return Bar(
        name,
        f"<= {limit} s",
        f"{known[0]:.0f} s" if known else "never" if hits else "",
        bool(known) and known[0] <= limit,
    )


def tables(results: Results) -> dict[str, str]:
    """Markdown tables by the name of their place in the docs."""
    made = {
        "bars": _table(
            ("bar", "wanted", "measured", ""),
            [(b.name, b.wanted, b.measured, "met" if b.met else "**missed**") for b in bars(results)],
        )
    }
    if rows := results.get("latency"):
        made["latency"] = _table(
            (
                "host, length",
                "",
                "runs",
                "alarm",
                "finds +10%",
                "finds +20%",
                "PASS if equal",
                "wrong PASS at +10%",
                "covers ratio",
                "covers level",
            ),
            [
                (
                    f"{r['host']}, {r['seconds']:.0f} s",
                    r["quantile"],
                    str(r["runs"]),
                    *(
                        _percent(r[k])
                        for k in (
                            "alarm",
                            "finds_10",
                            "finds_20",
                            "pass_equal",
                            "wrong_pass",
                            "coverage",
                            "coverage_level",
                        )
                    ),
                )
                for r in rows
            ],
        )
        made["usual"] = _table(
            (
                "host, length",
                "our p99 gate",
                "Mann-Whitney, both at once",
                "Mann-Whitney, one after the other",
                "independent bootstrap of p99",
                "p99 over 1.1 times in any 30 s",
            ),
            [
                (
                    f"{r['host']}, {r['seconds']:.0f} s",
                    *(
                        _percent(r[k])
                        for k in ("alarm", "mann_whitney", "mann_whitney_in_turn", "bootstrap", "threshold")
                    ),
                )
                for r in rows
                if r["quantile"] == "p99"
            ],
        )
    if rows := results.get("shares"):
        made["shares"] = _table(
            ("what", "size", "runs", "alarm", "PASS if equal", "wrong PASS at the margin", "the usual way"),
            [
                (
                    r["what"],
                    r["size"],
                    str(r["runs"]),
                    _percent(r["alarm"]),
                    _percent(r["pass_equal"]),
                    _percent(r.get("wrong_pass")),
                    f"{_percent(r['usual'])}: {r['usual_what']}" if "usual" in r else "",
                )
                for r in rows
            ],
        )
    if rows := results.get("whole_runs"):
        made["whole-runs"] = _table(
            ("run", "runs", "PASS", "FAIL", "INCONCLUSIVE", "any gate fails, uncorrected"),
            [
                (
                    r["what"],
                    str(r["runs"]),
                    *(_percent(r[k]) for k in ("pass", "fail", "inconclusive", "any_gate_fails")),
                )
                for r in rows
            ],
        )
    if rows := results.get("sequential"):
        made["sequential"] = _table(
            ("traffic", "what", "method", "runs", "decided so", "within", "median", "90%"),
            [
                (
                    r["traffic"],
                    r["what"],
                    r["method"],
                    str(r["runs"]),
                    _percent(r["decided"]),
                    f"{r['limit']:.0f} s",
                    _time(r["median"]),
                    _time(r["p90"]),
                )
                for r in rows
            ],
        )
    if rows := results.get("canary"):
        made["canary"] = _table(
            ("candidate", "rate", "runs", "promoted", "after", "rolled back", "paused", "out after", "90%"),
            [
                (
                    r["what"],
                    f"{r['rate']:.0f}/s",
                    str(r["runs"]),
                    _percent(r["promoted"]),
                    _time(r["to_everybody"]),
                    _percent(r["rolled_back"]),
                    _percent(r["paused"]),
                    _time(r["out"]),
                    _time(r["out_p90"]),
                )
                for r in rows
            ],
        )
    return made


def write(made: dict[str, str]) -> None:
    """Put each table between its markers in docs/statistics.md."""
    text = DOCS.read_text(encoding="utf-8")
    for name, table in made.items():
        begin, end = f"<!-- {name}: python -m benchmarks.calibration -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _, t=f"{begin}\n{table}\n{end}": t, text)  # type: ignore[misc]
    DOCS.write_text(text, encoding="utf-8")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}%"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"
