"""What users notice of a candidate that is killed, paused, failing or slow, with nobody to roll back."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.canary.rollbacks import set_split
from benchmarks.canary.steady import Load
from loadtest.experiment.experiment import Fault
from loadtest.lab.interface import Lab

BEFORE, AFTER = 3.0, 8.0
PERCENT = 10
LATE = 0.5
FAULTS = (
    Fault(kind="killed"),
    Fault(kind="paused"),
    Fault(kind="failing", share=0.5),
    Fault(kind="slowed", delay=3.0),
)
_UNTIL_BACK = 11.0
"""Seconds until the gateway lets an ejected candidate back in."""


def measure(lab: Lab, model: str, rate: float) -> list[dict[str, Any]]:
    """One row per fault."""
    return [_one(lab, model, rate, fault) for fault in FAULTS]


def _one(lab: Lab, model: str, rate: float, fault: Fault) -> dict[str, Any]:
    set_split(lab, PERCENT)
    load = Load(lab, model, rate, BEFORE + AFTER)
    time.sleep(BEFORE)
    began = time.monotonic()
    lab.inject("candidate", fault)
    records = load.records()
    lab.heal("candidate")
    time.sleep(_UNTIL_BACK)
    after = [r for r in records if r.done > began]
    return {
        "kind": fault.kind,
        "rate": rate,
        "percent": PERCENT,
        "requests": len(after),
        "failed": sum(r.status != 200 for r in after),
        "late": sum(r.done - r.scheduled_at > LATE for r in after),
        "longest_s": round(max(r.done - r.scheduled_at for r in after), 2),
    }
