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


def slowest(samples: SampleSet, role: Role, traces: Traces | None = None) -> tuple[SlowRequest, ...]:
    """The slowest requests of a version, the slowest first; ``traces``: of requests that carried them."""
    counted = samples.is_role(role)
    if samples.several:
        counted = counted & (samples.table["place"].fill_null(0).to_numpy() == 0)
    places = np.flatnonzero(counted)
    latency = samples.latency[places]
    if len(places) > MOST_SLOW:  # a run has millions
        slow = latency >= np.partition(latency, -MOST_SLOW)[-MOST_SLOW]
        places, latency = places[slow], latency[slow]
    order = np.argsort(-latency, kind="stable")[:MOST_SLOW]
    places, latency = places[order], latency[order]
    found = samples.table.select(["row", "scheduled_at", "error", "timings"]).take(places.tolist())
    return tuple(
        SlowRequest(
            trace_id=traces.ids(place).trace_id if traces else None,
            row=sample["row"],
            scheduled_at_s=sample["scheduled_at"],
            latency_ms=1000 * seconds,
            error=sample["error"],
            timings_ms=in_milliseconds(sample["timings"]),
        )
        for place, seconds, sample in zip(places.tolist(), latency.tolist(), found.to_pylist(), strict=True)
    )


def in_milliseconds(timings: list[float | None] | None) -> dict[str, float]:
    """The parts that a request had, by name; ``timings`` as in its sample."""
    named = zip(PARTS, timings or (None,) * len(PARTS), strict=True)
    return {name: 1000 * seconds for name, seconds in named if seconds is not None}
