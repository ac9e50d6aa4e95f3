"""What the live searches found: stored, as a table in docs/capacity.md, and compared with the bars."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.load.report import machine

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"
CLOSE, COVERED, REQUESTS = 0.05, 0.9, 1 / 3
_PLACE = re.compile(r"(<!-- live: [^\n]*-->\n).*?(<!-- end of live -->)", re.S)


def read() -> dict[str, Any]:
    """What was measured so far."""
    if not RESULTS.exists():
        return {"machine": machine(), "searches": []}
    known: dict[str, Any] = json.loads(RESULTS.read_text())
    return known


def keep(known: dict[str, Any]) -> None:
    """Write results.json."""
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


def bars(known: dict[str, Any]) -> dict[str, bool]:
    """Each bar and whether it is met by the searches so far."""
    searches = known["searches"]
    if not searches:
        return {}
    return {
        f"the interval covers the truth in {COVERED:.0%}": mean(map(_covers, searches)) >= COVERED,
        f"within {CLOSE:.0%} of the truth, on average": mean(map(_off, searches)) <= CLOSE,
        "a third of a linear sweep's requests": mean(s["requests_of_a_sweep"] for s in searches) <= REQUESTS,
    }


def table(known: dict[str, Any]) -> str:
    """The searches as Markdown."""
    lines = [
        "| service | truth | found | interval | off by | covered | requests, of a linear sweep's |",
        "|---|---|---|---|---|---|---|",
    ]
    for search in known["searches"]:
        low, high = search["interval"]
        lines.append(
            f"| {search['service_ms']:g} ms | {search['truth']:.1f}/s | {search['found']:.1f}/s "
            f"| {low:.1f} to {high:.1f} | {search['found'] / search['truth'] - 1:+.1%} "
            f"| {'yes' if _covers(search) else 'no'} | {search['requests_of_a_sweep']:.2f} |"
        )
    where = known["machine"]
    close = sum(_off(search) <= CLOSE for search in known["searches"])
    covered = sum(map(_covers, known["searches"]))
    count = len(known["searches"])
    lines += [
        "",
        f"{covered} of {count} intervals cover, {close} of {count} answers are within {CLOSE:.0%};",
        f"{where['cpus']} cores of {where['cpu']}, Linux {where['kernel']}, Python {where['python']}.",
    ]
    return "\n".join(lines)


def write(known: dict[str, Any]) -> None:
    """Put the table into docs/capacity.md."""
    if known["searches"]:
        PAGE.write_text(_PLACE.sub(lambda m: f"{m[1]}{table(known)}\n{m[2]}", PAGE.read_text()))


def _off(search: dict[str, Any]) -> float:
    return abs(search["found"] / search["truth"] - 1)


def _covers(search: dict[str, Any]) -> bool:
    low, high = search["interval"]
    return low <= search["truth"] <= high
