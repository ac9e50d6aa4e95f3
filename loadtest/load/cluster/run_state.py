"""A run in progress, as the coordinator follows it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gevent.event import Event

from loadtest.data.sample_stream import stream_facts
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.load.baseline.before_and_after import Baseline
from loadtest.load.cluster.gathering import Gathering
from loadtest.load.cluster.load_summary import LoadSummary, summarise
from loadtest.load.cluster.sample_totals import SampleTotals
from loadtest.load.cluster.worker_reports import WorkerReports
from loadtest.load.live.counts import LiveCounts
from loadtest.load.live.progress import Progress

GRACE = 10.0
"""Seconds beyond the last time-out after which a run that has not ended is given up."""


class RunInProgress:
    """One run, from its start to its conclusion.

    Every duration is by ``clock``, monotonic seconds; ``wall``, seconds since 1970, is read once to say when
    the run began: it may step at any time.
    """

    def __init__(
        self,
        experiment: Experiment,
        clients: Sequence[str],
        digest: str,
        *,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.experiment = experiment
        self.digest = digest
        self.name = uuid.uuid4().hex[:12]
        self.reports = WorkerReports(self.name, clients)
        self.counts = LiveCounts(experiment.objective.latency, experiment.roles)
        self.baseline: Baseline | None = None
        self.began_at: float | None = None
        self.folder = Path()
        self.gathering: Gathering | None = None
        self.stopped_after: float | None = None
        self.sent = Event()
        """Every worker has finished, or is given up."""
        self.over = Event()
        self.called_off = False
        """It was stopped when the load was over: the rest of the baseline answers is not wanted."""
        self._clock, self._wall = clock, wall
        self._origin = 0.0
        self._progress = Progress(self.counts)

    @property
    def elapsed(self) -> float:
        """Seconds since time zero; before the start the whole warm-up is ahead."""
        return -self.experiment.load.warmup if self.began_at is None else self._clock() - self._origin

    def begin(self, ahead: float) -> float:
        """Set time zero ``ahead`` seconds from now; it in seconds since 1970."""
        self._origin = self._clock() + ahead
        self.began_at = self._wall() + ahead
        return self.began_at

    def end(self) -> None:
        """Nothing more is awaited."""
        self.called_off = True
        self.sent.set()
        self.over.set()

    @property
    def measured_seconds(self) -> float:
        """How long it has measured."""
        end = self.experiment.load.duration if self.stopped_after is None else self.stopped_after
        return min(max(self.elapsed, 0.0), max(end, 0.0))

    @property
    def waits_for_go(self) -> bool:
        """Every worker is prepared, and none was told to begin."""
        return self.began_at is None and self.stopped_after is None and self.reports.ready

    @property
    def cannot_go_on(self) -> bool:
        """A worker has a problem, or went missing before the start."""
        missing = any(share.missing for share in self.reports.shares)
        return self.reports.problem is not None or (self.began_at is None and missing)

    def figures(self) -> dict[str, Any]:
        """The live figures; see ``Progress.event``."""
        return self._progress.event(self.elapsed, self.reports.sent)

    def give_up_late_workers(self) -> None:
        """Wait no longer for workers that should have finished; notice that all have."""
        load = self.experiment.load
        if self.elapsed > load.duration + load.timeout + GRACE:
            self.reports.give_up("it did not finish in time")
        if self.reports.over:
            self.sent.set()

    def compared(self, samples: SampleSet) -> SampleSet:
        """The samples, held against all baseline answers."""
        return samples if self.baseline is None else self.baseline.compare(samples)

    def totals(self) -> SampleTotals:
        """Of all its samples, as far as they are counted when they come."""
        missing = [share.worker for share in self.reports.shares if share.missing or share.deserted]
        return SampleTotals(self.counts, missing)

    def summary(self, totals: SampleTotals) -> LoadSummary:
        """What became of it."""
        return self._summarise(totals, self.stopped_after)

    def facts(self) -> dict[str, Any]:
        """What holds of it with the samples so far; see ``stream_facts``."""
        so_far = self._summarise(self.totals(), self.reports.elapsed or 0.0)
        settled = self.reports.settled
        return stream_facts(so_far.to_json(), settled if math.isfinite(settled) else None)

    def _summarise(self, totals: SampleTotals, stopped_after: float | None) -> LoadSummary:
        began_at = self.began_at if self.began_at is not None else self._wall()
        return summarise(
            self.experiment.load,
            self.reports,
            totals,
            began_at,
            stopped_after,
            None if self.baseline is None else self.baseline.reach,
            None if self.baseline is None else self.baseline.looked_at,
            self.digest,
        )
