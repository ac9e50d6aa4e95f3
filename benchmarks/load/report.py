"""The table of the load side's speed, its bars, and its place in docs/load.md."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

PAGE = Path(__file__).parents[2] / "docs" / "load.md"
LEAST = 0.8
LAG_MS = 2.0
_PLACE = re.compile(r"(<!-- speed -->\n).*?(<!-- /speed -->)", re.S)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpus": psutil.cpu_count(),
        "cpu": cpu_model(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "locust": version("locust"),
        "gevent": version("gevent"),
        "real_time": _may_be_real_time(),
    }


def _may_be_real_time() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def cpu_model() -> str:
    """The processor's name, or at least its architecture."""
    try:
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def bars(results: dict[str, Any]) -> dict[str, bool]:
    """Each bar and whether it is met, by the median of the rounds."""
    return {
        f"at least {LEAST:.0%} of the bare user's rate": median(_ratios(results)) >= LEAST,
        f"p99 schedule lag below {LAG_MS:g} ms at half of it": median(_column(results, "half", "lag_ms_p99"))
        < LAG_MS,
    }


def table(results: dict[str, Any]) -> str:
    """The rounds as Markdown: median, and in brackets the least and the most."""

    def cell(values: list[float], digits: int) -> str:
        low, high = min(values), max(values)
        return f"{median(values):,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"

    busy = max(entry[name]["server_busy"] for entry in results["rounds"] for name in entry)
    where = results["machine"]
    priority = "real-time priority, " if where["real_time"] else ""
    lag = cell(_column(results, "half", "lag_ms_p99"), 2)
    return "\n".join(
        [
            "| one core drives | median of the rounds (least to most) |",
            "|---|---|",
            f"| bare `FastHttpUser`, nothing recorded | {cell(_column(results, 'bare', 'rate'), 0)} req/s |",
            f"| Loadproof, every sample recorded | {cell(_column(results, 'ours', 'rate'), 0)} req/s |",
            f"| ratio, round by round | {cell(_ratios(results), 2)} |",
            f"| p99 schedule lag at half of the bare rate | {lag} ms |",
            "",
            f"{len(results['rounds'])} rounds, interleaved in random order;",
            f"{where['cpus']} cores of {where['cpu']}, {priority}Linux {where['kernel']},",
            f"Python {where['python']}, Locust {where['locust']}, gevent {where['gevent']}.",
            f"The server had the other core and used at most {busy:.0%} of it.",
        ]
    )


def write(results: dict[str, Any]) -> None:
    """Put the table into docs/load.md."""
    text = PAGE.read_text()
    PAGE.write_text(_PLACE.sub(lambda m: f"{m[1]}{table(results)}\n{m[2]}", text))


def _ratios(results: dict[str, Any]) -> list[float]:
    return [entry["ours"]["rate"] / entry["bare"]["rate"] for entry in results["rounds"]]


def _column(results: dict[str, Any], name: str, key: str) -> list[float]:
    return [entry[name][key] for entry in results["rounds"]]
