"""What is counted of a run while it lasts; progress and Prometheus metrics are views of it.

Constant memory, and only for people to watch: the verdict is computed from the samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.latency_buckets import LATENCY_BUCKETS
from loadtest.data.samples import SampleSet
from loadtest.experiment.role import ROLES, Role

LAG_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Seconds."""

# each 1% beyond the one before, and those that Prometheus is shown
_BOUNDS = np.unique([*1e-5 * 1.01 ** np.arange(2000), *LATENCY_BUCKETS, *LAG_BUCKETS])


class Histogram:
    """Seconds, counted in buckets; a value on a bound belongs below it."""

    def __init__(self) -> None:
        self.counts = np.zeros(len(_BOUNDS) + 1, np.int64)
        self._sum = 0.0

    def add(self, seconds: NDArray[np.float64]) -> None:
        """Take in values, shape (values,)."""
        self.counts += np.bincount(self.buckets(seconds), minlength=len(self.counts))
        self._sum += float(seconds.sum())

    @staticmethod
    def buckets(seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """The bucket of each value."""
        return _BOUNDS.searchsorted(seconds)

    def bucket_of(self, rank: int) -> int:
        """The bucket of the value that has this rank, from 0, among all."""
        return int(np.cumsum(self.counts).searchsorted(rank, side="right"))

    def exposed(self, bounds: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
        """Cumulative buckets and the sum, as prometheus-client takes them; ``bounds`` are among ours."""
        total = np.cumsum(self.counts)
        below = [*total[_BOUNDS.searchsorted(bounds)], total[-1]]
        return list(zip([*map(str, bounds), "+Inf"], map(float, below), strict=True)), self._sum


def quantile(counts: NDArray[np.int64], share: float) -> float | None:
    """A quantile of a histogram's counts in milliseconds, within 1%; None where there is nothing."""
    total = np.cumsum(counts)
    if not total[-1]:
        return None
    bucket = int(total.searchsorted(share * total[-1]))
    ends = _BOUNDS[[max(bucket - 1, 0), min(bucket, len(_BOUNDS) - 1)]]
    return round(float(np.sqrt(ends.prod()) * 1000), 3)


class RoleCounts:
    """What one version did.

    ``within_objective`` are usable answers within the latency objective, ``good`` those of them that are not
    wrong; ``compared`` have a baseline answer; errors count as wrong. Of requests of several rows, quality is
    counted per row, and all else by the first one.
    """

    def __init__(self) -> None:
        self.requests = self.errors = self.labelled = self.correct = 0
        self.compared = self.mismatches = self.within_objective = self.good = 0
        self.latency = Histogram()


class LiveCounts:
    """``counts.add(samples)`` as they arrive.

    ``objective`` is the latency objective in seconds.
    """

    def __init__(self, objective: float, roles: Sequence[Role] = ROLES) -> None:
        self._objective = objective
        self.lag = Histogram()
        self.roles: dict[Role, RoleCounts] = {role: RoleCounts() for role in roles}

    def add(self, samples: SampleSet) -> None:
        """Take in samples of the run."""
        self._add_rows(samples)
        requests = samples.first()
        self.lag.add(requests.sent_at - requests.scheduled_at)
        latency, failed, correct = requests.latency, requests.failed, requests.correct
        labelled = np.asarray(requests.table["correct"].is_valid())
        within = ~failed & (latency <= self._objective)
        for role, counts in self.roles.items():
            mine = requests.is_role(role)
            for name, flags in (
                ("requests", mine),
                ("errors", failed),
                ("within_objective", within),
                # a regression has no right and wrong: there, every usable answer in time is good
                ("good", within & (correct | ~labelled)),
            ):
                setattr(counts, name, getattr(counts, name) + int((flags & mine).sum()))
            counts.latency.add(latency[mine])

    def _add_rows(self, samples: SampleSet) -> None:
        for role, counts in self.roles.items():
            mine = samples.is_role(role)
            for name, flags in (
                ("labelled", np.asarray(samples.table["correct"].is_valid())),
                ("correct", samples.correct),
                ("compared", np.asarray(samples.table["matches"].is_valid())),
                ("mismatches", samples.mismatch),
            ):
                setattr(counts, name, getattr(counts, name) + int((flags & mine).sum()))
