"""What a gate's test hands to the decision: an estimate on its own scale, and how to show it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.stats.estimate import Estimate

_SHOWN = {"ms": 1000.0, "%": 100.0, "pp": 100.0, "MiB": 2.0**-20}


@dataclass(frozen=True)
class Measurement:
    """A gate, measured.

    Args:
        estimate: candidate minus stable, their relative difference, or the candidate alone; in base
            units (seconds, shares of 1, bytes), on the scale that the test works on.
        margin: the gate's limit on that scale.
        stable: stable's own value in base units; None when it is not part of the gate and not known.
        candidate: the candidate's own value in base units.
        to_base: from the test's scale back to base units (undoes a logarithm).
        rows: distinct rows behind the estimate when rows, not arrivals, limit it; else None.
        rows_left: rows of the evaluation set (or of the slice) that the run has not used yet.
        restarts: deployments of both versions that the estimate compares; 0: the run was one deployment, or
            the gate does not depend on it.
        censored: what the time-out hides of the gate, as a clause; empty: nothing.
        note: what else there is to say, such as what it leaves out and why, as a clause; empty: nothing.
    """

    estimate: Estimate
    margin: float
    stable: float | None
    candidate: float | None
    to_base: Callable[[float], float] = float
    rows: int | None = None
    rows_left: int = 0
    restarts: int = 0
    censored: str = ""
    note: str = ""


def shown(value: float | None, unit: str) -> float | None:
    """A value in base units as a number of ``unit``; None where it is unknown or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return value * _SHOWN.get(unit, 1.0)
