"""What the master knows of a run from its workers' reports. No clock and no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from loadtest.data.sample_checks import problem
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.errors import ExitCode
from loadtest.load.cluster.messages import Report, State

SILENT_TICKS = 10
"""Ticks without a report after which a worker that sends is given up (it reports every other tick)."""
_SILENT_TICKS_PREPARING = 120
_NOTHING_YET = Report("", 0, 0, "preparing")


@dataclass
class WorkerShare:
    """One worker's share as the master sees it.

    Args:
        client: Locust's id of the worker.
        worker: its index.
        missing: why it is given up; None: it is not.
    """

    client: str
    worker: int
    state: State = "preparing"
    reports: int = 0
    received: int = 0
    silent: int = 0
    gap: bool = False
    missing: str | None = None
    last: Report = _NOTHING_YET

    @property
    def over(self) -> bool:
        """Nothing more is to come."""
        return self.state == "finished" or self.missing is not None

    @property
    def lost(self) -> int:
        """Samples that the worker says it recorded and that did not arrive."""
        return self.last.recorded - self.received

    @property
    def settled(self) -> float:
        """Seconds since time zero before which each of its arrivals has all its samples here."""
        last = self.last
        if last.state == "finished":
            return math.inf
        if last.elapsed is None:  # it does not send yet
            return 0.0
        return math.inf if last.settled is None else last.settled

    @property
    def deserted(self) -> bool:
        """It was stopped by itself, before all its arrivals' time had come."""
        last = self.last
        return last.state == "finished" and last.problem is None and last.scheduled < last.planned

    def scheduled(self, part: float) -> float:
        """Arrivals whose time came in this part of the duration; where it went missing, as planned."""
        return self.last.planned * part if self.missing else self.last.scheduled

    def loss(self, part: float, came: int) -> dict[str, Any]:
        """One of ``LoadSummary.missing_workers``, of a run that lasted this part of its duration.

        ``came`` are the measured arrivals of which at least one sample arrived.
        """
        arrivals = round(self.scheduled(part))
        return {
            "worker": self.worker,
            "client": self.client,
            "reason": self.missing,
            "last_report_s": self.last.elapsed,
            "arrivals": arrivals,
            "missing_arrivals": max(arrivals - came, 0),
        }


class WorkerReports:
    """The workers of one run and what they reported.

    Reports of other runs are ignored; ``clients`` are Locust's ids of the workers, in the order of their
    indices.
    """

    def __init__(self, run: str, clients: Sequence[str]) -> None:
        self.run = run
        self.shares = [WorkerShare(client, index) for index, client in enumerate(clients)]

    def is_of(self, sender: str, worker: int) -> bool:
        """Whether Locust calls the worker of this index ``sender`` (``local``: the only process)."""
        return worker < len(self.shares) and sender in (self.shares[worker].client, "local")

    def accept(self, report: Report) -> SampleSet | None:
        """Take in one report; its samples, where it brings any.

        Raises:
            ValueError: its samples cannot be read.
        """
        if report.run != self.run or report.worker >= len(self.shares):
            return None
        share = self.shares[report.worker]
        if report.number < share.reports:  # delivered twice
            return None
        samples = None
        if report.samples:
            try:
                samples = SampleSet.from_bytes(report.samples)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise ValueError(f"the samples of worker {report.worker} cannot be read ({error})") from error
            if wrong := _problem(samples, report):
                raise ValueError(f"the samples of worker {report.worker} cannot be: {wrong}")
            share.received += len(samples)
        share.gap |= report.number != share.reports
        share.reports = report.number + 1
        share.state, share.last, share.silent = report.state, report, 0
        return samples

    def tick(self, *, began: bool = True) -> None:
        """Half a second passed: give up workers that have been silent for too long.

        Ticks are counted, not seconds: a master that was held up itself must not blame its workers.

        Args:
            began: the workers were told to begin; until then those that are ready wait for the others, and
                have nothing to say.
        """
        for share in self.shares:
            if share.over or (share.state == "ready" and not began):
                continue
            share.silent += 1
            limit = _SILENT_TICKS_PREPARING if share.state == "preparing" else SILENT_TICKS
            if share.silent > limit:
                share.missing = f"no report for {share.silent / 2:g} s"

    def call_off(self) -> None:
        """Nothing was asked of the workers, and nothing will be."""
        for share in self.shares:
            share.state = "finished"

    def give_up(self, reason: str) -> None:
        """Wait no longer for workers that have not finished."""
        for share in self.shares:
            if not share.over:
                share.missing = reason

    @property
    def sent(self) -> int:
        """Measured arrivals sent."""
        return sum(share.last.sent for share in self.shares)

    @property
    def scheduled(self) -> int:
        """Measured arrivals whose time has come."""
        return sum(share.last.scheduled for share in self.shares)

    @property
    def ready(self) -> bool:
        """Every worker is prepared."""
        return all(share.state in ("ready", "running", "finished") for share in self.shares)

    @property
    def over(self) -> bool:
        """Every worker has finished or is given up."""
        return all(share.over for share in self.shares)

    @property
    def problem(self) -> tuple[str, ExitCode] | None:
        """The first problem that a worker told, with its exit code."""
        for share in self.shares:
            if share.last.problem:
                where = f"worker {share.worker}: " if len(self.shares) > 1 else ""
                return where + share.last.problem, ExitCode(share.last.code)
        return None

    @property
    def elapsed(self) -> float | None:
        """How far the workers said that they are, seconds since time zero; None: none sends yet."""
        said = [share.last.elapsed for share in self.shares if share.last.elapsed is not None]
        return max(said, default=None)

    @property
    def settled(self) -> float:
        """Seconds since time zero before which every arrival of the workers that are left has its samples."""
        return min((share.settled for share in self.shares if share.missing is None), default=0.0)


def _problem(samples: SampleSet, report: Report) -> str | None:
    """Why these samples are none of the worker that reported them; None: they can be its own."""
    if not samples.table.schema.equals(SCHEMA):
        return "their columns are not those of this version"
    samples.table.validate(full=True)
    if wrong := problem(samples.table):
        return wrong
    others = set(samples.table["worker"].unique().to_pylist()) - {report.worker}
    return f"they are of worker {others.pop()}" if others else None
