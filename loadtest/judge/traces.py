"""The traces of a run whose requests carried a trace context."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.samples import SampleSet
from loadtest.data.trace_context import SpanIds, TraceContext
from loadtest.experiment.experiment import Load
from loadtest.experiment.role import ROLES_WITH_CONTROL
from loadtest.judge.run import LoadFacts

_ROUNDING = 1e-6
_UNPINNED = ("canary", "shadow")


class _Sent(NamedTuple):
    """One load: its first sample's intended send, how far its samples were moved (seconds), what names them,
    and its time zero in seconds since 1970; None: not known."""

    first: float
    moved: float
    context: TraceContext
    began_at: float | None


class Traces:
    """The trace of each sample of a run: ``Traces.of(run.experiment.load, run.facts.load, run.samples)``."""

    def __init__(self, loads: Iterable[_Sent], samples: SampleSet, *, pinned: bool) -> None:
        self._loads = list(loads)
        self._firsts = [load.first - _ROUNDING for load in self._loads]
        self._samples = samples
        self._worker = samples.table["worker"].to_numpy()
        self._role = np.zeros(len(samples), dtype=np.int8)
        for index, role in enumerate(ROLES_WITH_CONTROL if pinned else ()):
            self._role[samples.is_role(role)] = index

    @classmethod
    def of(cls, load: Load, facts: LoadFacts, samples: SampleSet) -> Traces | None:
        """None where the requests carried no trace context, or what names their traces is not known."""
        parts = facts.restarts or (facts,)
        if not load.trace or not len(samples) or any(part.run is None for part in parts):
            return None
        first = float(samples.scheduled_at.min())
        loads = (
            _Sent(first + part.begins_s, part.moved_s, TraceContext(part.run or ""), part.began_at)
            for part in parts
        )
        return cls(loads, samples, pinned=load.traffic not in _UNPINNED)

    def ids(self, place: int) -> SpanIds:
        """The ids that the request of the sample at ``place`` carried."""
        samples, load = self._samples, self._load_of(place)
        return load.context.ids(
            int(self._worker[place]),
            int(samples.row[place]),
            float(samples.scheduled_at[place]) - load.moved,
            int(self._role[place]),
        )

    def zero(self, place: int) -> float | None:
        """What makes the times of the sample at ``place`` seconds since 1970; None: not known."""
        load = self._load_of(place)
        return None if load.began_at is None else load.began_at - load.moved

    def of_requests(self, request_ids: Iterable[str]) -> dict[str, str]:
        """The trace ids of requests that failed or did not match, by their ``x-request-id``."""
        names = self._samples.table["request_id"]
        named = pc.is_in(names, value_set=pa.array(list(request_ids), pa.string()), skip_nulls=True)
        places = np.flatnonzero(np.asarray(named)).tolist()
        return {names[place].as_py(): self.ids(place).trace_id for place in places}

    def _load_of(self, place: int) -> _Sent:
        found = bisect_right(self._firsts, float(self._samples.scheduled_at[place]))
        return self._loads[max(found - 1, 0)]
