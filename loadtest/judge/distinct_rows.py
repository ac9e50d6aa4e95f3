"""The distinct rows that were sent: the unit of every gate on quality, however often a row is replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.judge.outcomes import Floats, Outcomes
from loadtest.stats.pieces import add_up, pieces, summed


@dataclass(frozen=True)
class Rows:
    """The distinct rows of one version's outcomes, of which each arrival has its share.

    Args:
        rows: of the evaluation set, ascending; of rows with the same content the first.
        arrivals: the row of each arrival, shape (n,).
        places: of each row of the evaluation set, among ``rows``.
        shares: of each row of the evaluation set, what one of its replays is of it.
        replays: of each of ``rows``.
    """

    rows: NDArray[np.intp]
    arrivals: NDArray[np.int32]
    places: NDArray[np.intp]
    shares: Floats
    replays: Floats

    @classmethod
    def of(cls, outcomes: Outcomes, dataset: Dataset) -> Rows:
        """The distinct rows among ``outcomes``."""
        sent = summed(outcomes.row, None, len(dataset))
        replays = np.bincount(dataset.content, sent, len(dataset)) if dataset.repeats else sent
        there = replays > 0
        rows = np.flatnonzero(there)
        places, shares, own = (
            np.cumsum(there) - 1,
            1 / np.maximum(replays, 1),
            replays[rows].astype(np.float64),
        )
        if dataset.repeats:
            places, shares = places[dataset.content], shares[dataset.content]
        return cls(rows, outcomes.row, places, shares, own)

    def mean(self, per_arrival: NDArray[Any]) -> Floats:
        """The mean over the replays of each distinct row, shape (distinct rows,)."""
        sums = np.zeros(len(self.rows))
        for piece in pieces(len(self.arrivals)):
            add_up(sums, self.places[self.arrivals[piece]], per_arrival[piece])
        # not a share of each: ten tenths add up to less than 1
        return sums / self.replays
