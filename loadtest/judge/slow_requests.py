"""The slowest requests of a version, with what names their traces and the parts of their time."""

from __future__ import annotations

import numpy as np

from loadtest.data.samples import SampleSet
from loadtest.data.timings import PARTS
from loadtest.experiment.role import Role
from loadtest.judge.traces import Traces
from loadtest.judge.verdict import SlowRequest

MOST_SLOW = 10
"""Slowest requests that verdict.json and the report name of each version."""


def slowest(
    samples: SampleSet, role: Role, traces: Traces | None = None, most: int = MOST_SLOW
) -> tuple[SlowRequest, ...]:
    """The slowest requests of a version, the slowest first; ``traces``: of requests that carried them."""
    places = np.flatnonzero(samples.is_role(role))
    latency = samples.latency[places]
    order = np.argsort(-latency, kind="stable")
    places, latency = places[order], latency[order]
    if samples.several:
        place = samples.table["place"].fill_null(0).to_numpy()[places]
        places, latency = places[place == 0], latency[place == 0]
    found = samples.table.select(["row", "scheduled_at", "error", "timings"]).take(places[:most].tolist())
    return tuple(
        SlowRequest(
            trace_id=traces.ids(place).trace_id if traces else None,
            row=sample["row"],
            scheduled_at_s=sample["scheduled_at"],
            latency_ms=1000 * seconds,
            error=sample["error"],
            timings_ms=in_milliseconds(sample["timings"]),
        )
        for place, seconds, sample in zip(places.tolist(), latency.tolist(), found.to_pylist(), strict=False)
    )


def in_milliseconds(timings: list[float | None] | None) -> dict[str, float]:
    """The parts that a request had, by name; ``timings`` as in its sample."""
    named = zip(PARTS, timings or (None,) * len(PARTS), strict=True)
    return {name: 1000 * seconds for name, seconds in named if seconds is not None}
