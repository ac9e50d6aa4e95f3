"""The bars that the measured rates must meet, and whether they do."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from scipy import stats

from loadtest.stats.proportions import Share

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
    scores, rankings = results.get("scores", []), results.get("rankings", [])
    whole, sequential = results.get("whole_runs", []), results.get("sequential", [])
    regression, slices = results.get("regression", []), results.get("slices", [])
    bounds = results.get("bounds", [])
    long = [r for r in latency if r["seconds"] >= 300]
    found = [
        _most("alarm of a latency gate, A/A, 300 s and more", 0.05, [(r["alarm"], r["runs"]) for r in long]),
        _most("wrong PASS at the margin, 300 s and more", 0.06, [(r["wrong_pass"], r["runs"]) for r in long]),
        _least("p99 on calm, 60 s: PASS if equal", 0.95, _cell(latency, "calm", 60, "p99", "pass_equal")),
        _least("p99 on calm, 60 s: FAIL at +20%", 0.85, _cell(latency, "calm", 60, "p99", "fail_20")),
        _least("p99 on harsh, 600 s: PASS if equal", 0.75, _cell(latency, "harsh", 600, "p99", "pass_equal")),
        *(
            _found(
                host,
                _cell(latency, host, 60, "p50", "finds_10"),
                _cell(latency, host, 60, "p50", "deviation"),
            )
            for host in ("calm", "harsh", "rough")
        ),
        _most(
            "alarm on errors, one by one or in bursts, 300 s",
            0.05,
            [(r["alarm"], r["runs"]) for r in shares if "errors" in r["what"] and "300 s" in r["size"]],
        ),
        _most("alarm of a gate on scores, A/A, by metric", 0.05, _by_metric(scores, "alarm")),
        _most("wrong PASS of a gate on scores, by metric", 0.06, _by_metric(scores, "wrong_pass")),
        _most("alarm of a gate on scores at its bound, by metric", 0.05, _by_metric(bounds, "alarm")),
        _most("wrong PASS of such a gate, by metric", 0.06, _by_metric(bounds, "wrong_pass")),
        _most("a worse slice is found, equal versions", 0.05, [(r["alarm"], r["runs"]) for r in slices]),
        _most("alarm of a gate on rankings, A/A, by metric", 0.05, _by_metric(rankings, "alarm")),
        _most("wrong PASS of a gate on rankings, by metric", 0.06, _by_metric(rankings, "wrong_pass")),
        _least(
            "accuracy within 1 point, 6,200 rows: PASS if equal",
            0.80,
            [(r["pass_equal"], r["runs"]) for r in shares if r.get("rows") == 6200],
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
                (r["pass"], r["runs"])
                for r in whole
                if r["what"] in ("default experiment, calm", "default experiment, harsh")
            ],
        ),
        _most("alarm of a regression's gate, A/A", 0.05, [(r["alarm"], r["runs"]) for r in regression]),
        _most(
            "wrong PASS of a regression's gate at its margin",
            0.06,
            [(r["wrong_pass"], r["runs"]) for r in regression],
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
        _most(
            "canary A/A by users who differ, each gate",
            0.05,
            [
                (share, r["runs"])
                for r in results.get("users", [])
                if r["told"] and not r["worse"]
                for share in r["alarms"].values()
            ],
        ),
        _most(
            "INVALID by a control that is equal, gates with margins",
            0.01,
            _controls(results, "equal versions, margins"),
        ),
        _most(
            "INVALID by a control that is equal, five gates without margin",
            0.05,
            _controls(results, "equal versions, five"),
        ),
        _most("a true split called broken, 1 h", 0.01, _split(results, broken=False)),
        _least("a broken split found within 1 h", 1.0, _split(results, broken=True)),
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


def _split(results: Results, *, broken: bool) -> Cells:
    return [(r["found"], r["runs"]) for r in results.get("split", []) if (r["fault"] != "none") == broken]


def _found(host: str, cells: Cells, deviations: Cells) -> Bar:
    """p50 +10%, beside what a test would find that is told how much the estimate varies."""
    bar = _least(f"p50 +10% found in 60 s, {host}", 0.99, cells)
    told = ", ".join(percent(could_find(deviation)) for deviation, _ in deviations)
    return bar._replace(measured=f"{bar.measured} (told the deviation: {told})" if told else "")


def could_find(deviation: float, factor: float = 1.1, alpha: float = 0.05) -> float:
    """How often a z test finds ``factor`` that is told the deviation of ln ratio, if that is normal."""
    return float(stats.norm.cdf(math.log(factor) / deviation - stats.norm.isf(alpha)))


Cells = list[tuple[float, int]]
"""Rates, each with the number of runs behind it."""


def _cell(rows: list[dict[str, Any]], host: str, seconds: float, quantile: str, key: str) -> Cells:
    wanted = (host, seconds, quantile)
    return [(r[key], r["runs"]) for r in rows if (r["host"], r["seconds"], r["quantile"]) == wanted]


def _by_metric(rows: list[dict[str, Any]], key: str) -> Cells:
    """The rate of each metric, over all sizes; a comma ends its name."""
    of: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of.setdefault(row["what"].partition(", ")[0], []).append(row)
    sums = [(sum(r[key] * r["runs"] for r in each), sum(r["runs"] for r in each)) for each in of.values()]
    return [(count / runs, runs) for count, runs in sums]


def _controls(results: Results, what: str) -> Cells:
    found = [r for r in results.get("control", []) if r["what"].startswith(what)]
    return [(r["control_invalid"], r["runs"]) for r in found]


def _most(name: str, limit: float, cells: Cells) -> Bar:
    """Met unless the runs of a cell show its rate to be above the limit."""
    values = [value for value, _ in cells]
    shown = f"{percent(min(values))} to {percent(max(values))}" if values else ""
    above = [Share(value * runs, runs).interval(0.05)[0] > limit for value, runs in cells]
    return Bar(name, f"<= {limit:.0%}", shown, bool(cells) and not any(above))


def _least(name: str, limit: float, cells: Cells) -> Bar:
    """Met unless the runs of a cell show its rate to be below the limit."""
    shown = ", ".join(percent(value) for value, _ in cells)
    below = [Share(value * runs, runs).interval(0.05)[1] < limit for value, runs in cells]
    return Bar(name, f">= {limit:.0%}", shown, bool(cells) and not any(below))


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


def percent(share: float | None) -> str:
    """A rate as the tables show it."""
    return "" if share is None else f"{100 * share:.1f}%"
