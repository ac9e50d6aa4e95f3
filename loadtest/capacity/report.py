"""What a search for capacity says in the end: the content of ``capacity.json`` (schema 1)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from loadtest.capacity.search import Capacity
from loadtest.experiment.role import Role
from loadtest.judge.verdict import Document, GateResult, Word


class Point(Document):
    """One version under one CPU limit. Rates in requests per second; None: not known, never zero instead.

    Args:
        cpus: the limit as enforced, in cores; None: none is.
        capacity: the highest rate that meets the objective; None: no rate that was tried does.
        interval: its confidence interval; an end is None where it is unbounded.
        precise: the interval is as narrow as was asked.
        exceeded_first: what breaks the objective beyond it.
        trials: trials that it took.
        requests: requests that they sent.
        cost_per_million: of a million predictions at this rate, in the currency of the price.
    """

    cpus: float | None
    capacity: float | None
    interval: tuple[float | None, float | None]
    precise: bool
    exceeded_first: Literal["latency", "errors"]
    trials: int
    requests: int
    cost_per_million: float | None = None


class CapacityGate(GateResult):
    """What a gate says under one CPU limit (None: there was none)."""

    cpus: float | None


class Objective(Document):
    """What had to be met at a rate for it to count."""

    latency_ms: float
    quantile: float
    error_rate: float


class CapacityReport(Document):
    """Both versions, limit by limit, and the gates.

    ``price`` is that of a vCPU-hour. ``cheapest`` is, per version, the smallest CPU limit whose capacity is
    at least ``at_rate`` even at the lower end of its interval; None: none that was tried.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    verdict: Word
    reason: str
    experiment: str
    backend: str
    objective: Objective
    confidence: float
    gates: tuple[CapacityGate, ...]
    versions: dict[Role, tuple[Point, ...]]
    price: float | None = None
    at_rate: float | None = None
    cheapest: dict[Role, float | None] | None = None


def point(capacity: Capacity, cpus: float | None, price: float | None) -> Point:
    """A search's answer as it is shown, and what it costs.

    Args:
        capacity: the answer.
        cpus: the CPU limit as enforced, in cores; None: none is.
        price: of a vCPU-hour; None: costs are not asked for.
    """
    ends = (capacity.low if capacity.low > 0 else None, capacity.high)
    return Point(
        cpus=cpus,
        capacity=capacity.rate,
        interval=(ends[0], ends[1] if math.isfinite(ends[1]) else None),
        precise=capacity.precise,
        exceeded_first="errors" if capacity.limit == "errors" else "latency",
        trials=capacity.trials,
        requests=capacity.requests,
        cost_per_million=price * cpus / 3600 / capacity.rate * 1e6
        if price is not None and cpus and capacity.rate
        else None,
    )


def cheapest(points: tuple[Point, ...], rate: float) -> float | None:
    """The smallest CPU limit that surely bears ``rate`` requests per second; None: none of these."""
    enough = [p.cpus for p in points if p.cpus is not None and (p.interval[0] or 0.0) >= rate]
    return min(enough, default=None)
