"""From results to the tables and the figure of docs/statistics.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.calibration import until_decided
from benchmarks.calibration.bars import Results, bars, percent
from benchmarks.calibration.figure import false_alarms

Rows = list[dict[str, Any]]
DOCS = Path(__file__).parents[2] / "docs"
PAGE, FIGURE = DOCS / "statistics.md", DOCS / "false-alarms.svg"


def read(folder: Path) -> Results:
    """The rows of every section that was measured."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def keep(folder: Path, section: str, rows: list[dict[str, Any]]) -> None:
    """Store the rows of one section."""
    (folder / f"{section}.json").write_text(json.dumps(rows, indent=1) + "\n")


def tables(results: Results) -> dict[str, str]:
    """Markdown tables by the name of their place in the docs."""
    makers = {
        "latency": _latency,
        "usual": _usual,
        "levels": _levels,
        "shares": _shares,
        "regression": _regression,
        "scores": _scores,
        "bounds": _bounds,
        "slices": _slices,
        "rankings": _scores,
        "whole_runs": _whole_runs,
        "control": _control,
        "peeking": _peeking,
        "sequential": _sequential,
        "canary": _canary,
        "split": _split,
        "users": _users,
        "live": _live,
    }
    made = {
        "bars": _table(
            ("bar", "wanted", "measured", ""),
            [(b.name, b.wanted, b.measured, "met" if b.met else "**missed**") for b in bars(results)],
        )
    }
    for name, make in makers.items():
        if rows := results.get("latency" if name == "usual" else name):
            made[name.replace("_", "-")] = make(rows)
    return made | until_decided.tables(results)


def _latency(rows: Rows) -> str:
    return _table(
        ("host, length", "", "runs", "alarm", "finds +10%", "varies by", "finds +20%", "PASS if equal",
         "wrong PASS at +10%", "covers"),
        [
            (
                f"{r['host']}, {r['seconds']:.0f} s", r["quantile"], str(r["runs"]),
                percent(r["alarm"]), percent(r["finds_10"]), f"{r['deviation']:.3f}",
                *(percent(r[k]) for k in ("finds_20", "pass_equal", "wrong_pass", "coverage")),
            )
            for r in rows
        ],
    )  # fmt: skip


def _usual(rows: Rows) -> str:
    keys = ("alarm", "mann_whitney", "mann_whitney_in_turn", "bootstrap", "threshold")
    return _table(
        ("host, length", "our p99 gate", "Mann-Whitney, both at once", "Mann-Whitney, one after the other",
         "independent bootstrap of p99", "p99 over 1.1 times in any 30 s"),
        [
            (f"{r['host']}, {r['seconds']:.0f} s", *(percent(r[k]) for k in keys))
            for r in rows
            if r["quantile"] == "p99"
        ],
    )  # fmt: skip


def _levels(rows: Rows) -> str:
    return _table(
        ("host, length", "", "intervals", "covers the level of this run's conditions", "ends too low",
         "covers the level over all days", "ends apart by"),
        [
            (
                f"{r['host']}, {r['seconds']:.0f} s", r["quantile"], str(r["runs"]),
                *(percent(r[k]) for k in ("coverage", "too_low", "coverage_ever")), f"{r['width']:.2f} times",
            )
            for r in rows
        ],
    )  # fmt: skip


def _shares(rows: Rows) -> str:
    return _table(
        ("what", "size", "runs", "alarm", "PASS if equal", "wrong PASS at the margin", "a common method"),
        [
            (
                r["what"], r["size"], str(r["runs"]),
                *(percent(r.get(k)) for k in ("alarm", "pass_equal", "wrong_pass")),
                f"{percent(r['usual'])}: {r['usual_what']}" if "usual" in r else "",
            )
            for r in rows
        ],
    )  # fmt: skip


def _regression(rows: Rows) -> str:
    return _table(
        ("gate", "size", "runs", "alarm", "PASS if equal", "wrong PASS at the margin"),
        [
            (
                r["what"], r["size"], str(r["runs"]),
                *(percent(r[k]) for k in ("alarm", "pass_equal", "wrong_pass")),
            )
            for r in rows
        ],
    )  # fmt: skip


def _scores(rows: Rows) -> str:
    keys = ("alarm", "pass_equal", "wrong_pass", "usual")
    return _table(
        (
            "what",
            "size",
            "runs",
            "alarm",
            "PASS if equal",
            "wrong PASS at the margin",
            "PASS if equal, unpaired",
        ),
        [(r["what"], r["size"], str(r["runs"]), *(percent(r[k]) for k in keys)) for r in rows],
    )


def _bounds(rows: Rows) -> str:
    return _table(
        ("gate, true value", "size", "runs", "alarm at that bound", "wrong PASS at that bound",
         "PASS with more room"),
        [
            (
                r["what"], r["size"], str(r["runs"]), percent(r["alarm"]), percent(r["wrong_pass"]),
                f"{percent(r['pass_room'])} ({r['room']:.2g})",
            )
            for r in rows
        ],
    )  # fmt: skip


def _slices(rows: Rows) -> str:
    keys = ("alarm", "usual", "everywhere", "finds_20", "finds_40")
    return _table(
        ("answers", "rows", "runs", "a find, equal versions", "a slice by one column at 5%",
         "a find, 3% worse everywhere", "finds 20% worse", "finds 40% worse"),
        [(r["what"], f"{r['rows']:,}", str(r["runs"]), *(percent(r[k]) for k in keys)) for r in rows],
    )  # fmt: skip


def _whole_runs(rows: Rows) -> str:
    keys = ("pass", "fail", "inconclusive", "any_gate_fails")
    return _table(
        ("run", "runs", "PASS", "FAIL", "INCONCLUSIVE", "any gate fails, uncorrected"),
        [(r["what"], str(r["runs"]), *(percent(r[k]) for k in keys)) for r in rows],
    )


def _control(rows: Rows) -> str:
    keys = ("plain_pass", "plain_fail", "control_pass", "control_fail", "control_invalid")
    return _table(
        ("run", "host", "runs", "without: PASS", "FAIL", "with a control: PASS", "FAIL", "INVALID"),
        [(r["what"], r["host"], str(r["runs"]), *(percent(r[k]) for k in keys)) for r in rows],
    )


def _peeking(rows: Rows) -> str:
    return _table(
        ("traffic", "method", "runs", "alarm at the end", "alarm at any analysis", "an analysis each"),
        [
            (r["what"], r["method"], str(r["runs"]), percent(r["once"]), percent(r["peeked"]), r["every"])
            for r in rows
        ],
    )


def _sequential(rows: Rows) -> str:
    return _table(
        ("traffic", "what", "method", "runs", "decided so", "within", "median", "90%"),
        [
            (
                r["traffic"], r["what"], r["method"], str(r["runs"]), percent(r["decided"]),
                f"{r['limit']:.0f} s", _time(r["median"]), _time(r["p90"]),
            )
            for r in rows
        ],
    )  # fmt: skip


def _canary(rows: Rows) -> str:
    return _table(
        ("candidate", "rate", "runs", "promoted", "after", "rolled back", "paused", "out after", "90%"),
        [
            (
                r["what"], f"{r['rate']:.0f}/s", str(r["runs"]), percent(r["promoted"]),
                _time(r["to_everybody"]), percent(r["rolled_back"]), percent(r["paused"]),
                _time(r["out"]), _time(r["out_p90"]),
            )
            for r in rows
        ],
    )  # fmt: skip


def _split(rows: Rows) -> str:
    return _table(
        ("gateway", "users", "runs of an hour", "called broken", "after, median"),
        [
            (
                "a true split" if r["fault"] == "none" else r["fault"],
                f"{r['users']:,}" if r["users"] else "requests without a user",
                str(r["runs"]), percent(r["found"]), _time(r["median"]),
            )
            for r in rows
        ],
    )  # fmt: skip


def _users(rows: Rows) -> str:
    gates = list(rows[0]["alarms"])
    return _table(
        ("candidate", "users", "requests count", "runs", *(f"`{g}` alarms" for g in gates), "found after"),
        [
            (
                f"{r['worse'] or 'the same version'}{', tells of one user' if r['lies'] else ''}",
                f"{r['users']:,}",
                "for as many as users make them" if r["told"] else "each by itself", str(r["runs"]),
                *("" if r["worse"] else percent(r["alarms"][gate]) for gate in gates),
                ("never" if r["median"] is None else _time(r["median"])) if r["worse"] else "",
            )
            for r in rows
        ],
    )  # fmt: skip


def _live(rows: Rows) -> str:
    days = sorted({r["date"] for r in rows})
    lines = []
    for day in days:
        of_day = [r for r in rows if r["date"] == day]
        for what, key in (("default experiment", "verdict"), ("five gates without margin", "strict")):
            words = [r[key] for r in of_day]
            counts = (str(words.count(w)) for w in ("PASS", "FAIL", "INCONCLUSIVE", "INVALID"))
            lines.append((day, what, str(len(of_day)), *counts))
    return _table(("day", "gates", "runs", "PASS", "FAIL", "INCONCLUSIVE", "INVALID"), lines)


def write(results: Results) -> None:
    """Put each table between its markers in docs/statistics.md, and the figure beside it."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), tables(results)), encoding="utf-8")
    FIGURE.write_text(false_alarms(results), encoding="utf-8")


def filled(text: str, made: dict[str, str]) -> str:
    """A page with each table between its markers."""
    for name, table in made.items():
        begin, end = f"<!-- {name}: python -m benchmarks.calibration -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _, t=f"{begin}\n{table}\n{end}": t, text)  # type: ignore[misc]
    return text


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"
