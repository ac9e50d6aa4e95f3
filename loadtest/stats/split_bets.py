"""Whether a random split has the shares it should have, looked at as often as one likes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ODDS = (0.1, 0.5, 0.7, 0.8, 0.9, 1.1, 1.25, 1.45, 2.0, 10.0)
"""The true odds over the wanted ones to bet on: from nearly nobody in an arm to ten times as many."""

LATE = 0.5
"""Share of the stake for a split that breaks later; update t gets 1/(t (t + 1)) (see ``TwoSampleBets``)."""


class SplitBets:
    """Evidence against 'each trial is a hit with just this chance': a sequential sample-ratio test.

    A test martingale, the mean over ``ODDS`` of likelihood ratios, so that under a true split it ever exceeds
    1/a with a chance of at most a (Ville 1939; as in Lindon and Malek 2022, Anytime-valid inference for
    multinomial count data, NeurIPS 35, with a grid in place of their Dirichlet prior).

    Args:
        shape: of the counts, when many runs are followed at once.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self._log_wealth = np.full((*shape, len(ODDS)), np.log1p(-LATE))
        self._updates = 0

    @property
    def log_e(self) -> NDArray[np.float64]:
        """ln of the evidence so far, in either direction."""
        log_e = np.logaddexp.reduce(self._log_wealth, axis=-1) - np.log(len(ODDS))
        return np.asarray(np.logaddexp(log_e, np.log(LATE / (self._updates + 1))))

    def update(self, hits: ArrayLike, trials: ArrayLike, chance: ArrayLike) -> None:
        """Add trials that are hits with this chance, above 0 and below 1, if the split is true."""
        k, n, p = (np.asarray(value, dtype=np.float64)[..., None] for value in (hits, trials, chance))
        odds = np.asarray(ODDS)
        self._updates += 1
        fresh = LATE / (self._updates * (self._updates + 1))
        self._log_wealth = np.logaddexp(self._log_wealth, np.log(fresh))
        # of a trial: odds**hit / (1 - p + p * odds)
        self._log_wealth = self._log_wealth + k * np.log(odds) - n * np.log1p(p * (odds - 1))
