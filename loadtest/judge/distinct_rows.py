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
    """

    rows: NDArray[np.intp]
    arrivals: NDArray[np.int32]
    places: NDArray[np.intp]
    shares: Floats

    @classmethod
    def of(cls, outcomes: Outcomes, dataset: Dataset) -> Rows:
        """The distinct rows among ``outcomes``."""
        sent = summed(outcomes.row, None, len(dataset))
        replays = np.bincount(dataset.content, sent, len(dataset)) if dataset.repeats else sent
        there = replays > 0
        places, shares = np.cumsum(there) - 1, 1 / np.maximum(replays, 1)
        if dataset.repeats:
            places, shares = places[dataset.content], shares[dataset.content]
        return cls(np.flatnonzero(there), outcomes.row, places, shares)

    def mean(self, per_arrival: NDArray[Any]) -> Floats:
        """The mean over the replays of each distinct row, shape (distinct rows,)."""
        sums = np.zeros(len(self.rows))
        for piece in pieces(len(self.arrivals)):
            row = self.arrivals[piece]
            add_up(sums, self.places[row], per_arrival[piece] * self.shares[row])
        return sums
