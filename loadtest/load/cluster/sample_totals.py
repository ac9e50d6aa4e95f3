"""What the summary of a load needs to know of all its samples, in memory that does not grow with the run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from loadtest.data.samples import SampleSet
from loadtest.experiment.role import Role
from loadtest.load.live.counts import LiveCounts, quantile

_SHARE = 0.99


class SampleTotals:
    """Totals of a run: what is counted as samples come, and after ``read`` the rest.

    ``workers`` are those whose arrivals are counted.
    """

    def __init__(self, counts: LiveCounts, workers: Iterable[int] = ()) -> None:
        self._counts = counts
        self._moments: dict[int, list[NDArray[np.float64]]] = {worker: [] for worker in workers}
        self._errors: Counter[str] = Counter()
        self._near: list[NDArray[np.float64]] | None = None
        place = _SHARE * max(len(self) - 1, 0)
        self._ranks = math.floor(place), math.ceil(place)
        self.last_sent = 0.0
        """When the last was sent, in seconds since the run began."""

    def __len__(self) -> int:
        return sum(counts.requests for counts in self._counts.roles.values())

    def read(self, pieces: Iterable[SampleSet]) -> Iterator[SampleSet]:
        """Hand on every piece of the run, all that was counted, and take from it what the counts lack."""
        lags = self._counts.lag
        # the two values between which the quantile lies are in these buckets, and few others are
        low, high = (lags.bucket_of(rank) for rank in self._ranks)
        self._near = near = []
        for piece in pieces:
            requests = piece.first()
            lag = requests.sent_at - requests.scheduled_at
            buckets = lags.buckets(lag)
            near.append(lag[(buckets >= low) & (buckets <= high)])
            self._errors.update(piece.errors())
            self.last_sent = max(self.last_sent, float(piece.sent_at.max(initial=0.0)))
            for worker, moments in self._moments.items():
                moments.append(piece.scheduled_at[piece.table["worker"].to_numpy() == worker])
            yield piece

    def requests(self, role: Role) -> int:
        """Requests to one version."""
        return self._counts.roles[role].requests

    @property
    def errors(self) -> dict[str, int]:
        """How many failed in which way."""
        return dict(self._errors)

    @property
    def lag_p99(self) -> float | None:
        """How late requests were sent, 99th percentile in seconds; before ``read`` within 1%."""
        if not len(self):
            return None
        if self._near is None:
            return (quantile(self._counts.lag.counts, _SHARE) or 0.0) / 1000
        counts = self._counts.lag.counts
        before = int(counts[: self._counts.lag.bucket_of(self._ranks[0])].sum())
        near = np.sort(np.concatenate(self._near))
        ends = [near[rank - before] for rank in self._ranks]
        return float(np.quantile(ends, _SHARE * (len(self) - 1) - self._ranks[0]))

    def arrivals(self, worker: int) -> int:
        """Measured arrivals of one of the ``workers`` of which at least one sample came."""
        moments = self._moments.get(worker)
        return len(np.unique(np.concatenate(moments))) if moments else 0
