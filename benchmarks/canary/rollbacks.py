"""Rollbacks under load: when the candidate was asked for the last time, and when it answered last."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.canary.steady import Load, Record
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Lab

FROM = 50
"""The split in percent before each rollback."""

_BEFORE, _AFTER = 0.2, 0.3


def measure(lab: Lab, model: str, rate: float, times: int) -> dict[str, Any]:
    """Roll back again and again, under ``rate`` requests per second.

    Returns:
        Requests, failures, and milliseconds from the command on: see ``rows``.
    """
    load = Load(lab, model, rate, times * (_BEFORE + _AFTER + 0.1) + 3)
    moments = []
    for _ in range(times):
        set_split(lab, FROM)
        time.sleep(_BEFORE)
        commanded = time.monotonic()
        lab.canary.update(lambda state: state.rollback(sign("a benchmark")))
        moments.append((commanded, time.monotonic()))
        time.sleep(_AFTER)
    records = load.records()
    after = [rows(records, commanded, commanded + _AFTER) for commanded, _ in moments]
    return {
        "rollbacks": times,
        "rate": rate,
        "from_percent": FROM,
        "requests": len(records),
        "by_candidate": sum(r.version == "candidate" for r in records),
        "failed": sum(r.status != 200 for r in records),
        "ms": {
            "sent": milliseconds([row[0] for row in after]),
            "answered": milliseconds([row[1] for row in after]),
            "in_flight": milliseconds([row[2] for row in after]),
            "confirmed": milliseconds([done - commanded for commanded, done in moments]),
        },
    }


def rows(records: list[Record], commanded: float, until: float) -> tuple[float, float, float]:
    """What one rollback took, in seconds from the command on; 0 where there was none.

    Returns:
        The last request that was *sent* after the command and that the candidate answered all the same: when
        it was sent, and when the last such answer was there; and the candidate's last answer to requests that
        had been sent before the command.
    """
    mine = [r for r in records if r.version == "candidate" and commanded - 2 < r.sent < until]
    later = [r for r in mine if r.sent > commanded]
    earlier = [r for r in mine if r.sent <= commanded < r.done]
    return (
        max((r.sent - commanded for r in later), default=0.0),
        max((r.done - commanded for r in later), default=0.0),
        max((r.done - commanded for r in earlier), default=0.0),
    )


def commands(folder: Path, lab: Lab, model: str, rate: float, times: int) -> dict[str, Any]:
    """The command as a person types it, its start included, beside what Python alone takes to start."""
    load = Load(lab, model, rate, times * 1.2 + 3)
    program = str(Path(sys.executable).parent / "loadproof")
    moments, alone = [], []
    for _ in range(times):
        set_split(lab, FROM)
        time.sleep(_BEFORE)
        began = time.monotonic()
        command = [program, "canary", "rollback", "--lab", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        moments.append((began, time.monotonic()))
        time.sleep(0.1)
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        alone.append(time.monotonic() - began)
    records = load.records()
    return {
        "times": times,
        "failed": sum(r.status != 200 for r in records),
        "ms": {
            "whole": milliseconds([done - began for began, done in moments]),
            "answered": milliseconds([max(rows(records, *moment)[1:]) for moment in moments]),
            "python": milliseconds(alone),
        },
    }


def set_split(lab: Lab, percent: float, *, fallback: bool = False) -> None:
    """Set the split, as a person would."""
    lab.canary.update(lambda state: state.set(percent, sign("a benchmark"), fallback=fallback))


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    values = np.array(seconds) * 1000
    return {
        "median": round(float(np.median(values)), 1),
        "p95": round(float(np.quantile(values, 0.95)), 1),
        "max": round(float(values.max()), 1),
    }
