"""A share of yes-or-no outcomes, and a split's shares, which are looked at as often as one likes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import ArrayLike, NDArray

_PRIOR = 0.5
"""Jeffreys' prior: half of its weight lies near 0 and 1, where such shares are."""
_EDGE = 1e-12
_ODDS = (0.1, 0.5, 0.7, 0.8, 0.9, 1.1, 1.25, 1.45, 2.0, 10.0)
"""The true odds over the wanted ones to bet on: from nearly nobody in an arm to ten times as many."""
_LATE = 0.5
"""Share of the stake for a split that breaks later; update t gets 1/(t (t + 1)) (see ``TwoSampleBets``)."""


@dataclass(frozen=True)
class ShareBets:
    """A share whose intervals and p-values hold at every moment, exactly for independent outcomes.

    Outcomes between 0 and 1, such as a share of rows, may stand for yes and no: the evidence is convex in
    each, so it grows no faster, and the test is on the safe side.

    The evidence against 'at most p' is a mixture of likelihood ratios over all larger shares, weighted by a
    beta distribution: a supermartingale under every share up to p (Ville 1939; Robbins 1970, Statistical
    methods related to the law of the iterated logarithm, Annals of Mathematical Statistics 41).

    Args:
        hits: how many outcomes were yes; fractions are fine.
        trials: all outcomes.
    """

    hits: float
    trials: float

    @property
    def value(self) -> float:
        """Hits per trial."""
        return self.hits / self.trials

    def interval(self, alpha: float) -> tuple[float, float]:
        """Ends within 0 and 1."""
        needed, value = -math.log(alpha), self.value

        def solve(*, above: bool) -> float:
            edge = _EDGE if above else 1 - _EDGE
            if abs(value - edge) <= _EDGE or self._log_e(edge, above=above) < needed:
                return round(edge)
            inside = min(max(value, _EDGE), 1 - _EDGE)
            return float(scipy.optimize.brentq(lambda p: self._log_e(p, above=above) - needed, edge, inside))

        return solve(above=True), solve(above=False)

    def p_above(self, margin: float) -> float:
        """One over the evidence against 'at most ``margin``'."""
        return math.exp(-max(0.0, self._log_e(margin, above=True)))

    def p_below(self, margin: float) -> float:
        """One over the evidence against 'at least ``margin``'."""
        return math.exp(-max(0.0, self._log_e(margin, above=False)))

    def _log_e(self, share: float, *, above: bool) -> float:
        """ln of the evidence that the true share lies above ``share``, or below it."""
        hits, missed = self.hits, self.trials - self.hits
        if not 0 < share < 1:
            possible = (hits > 0 if above else missed > 0) and (share <= 0) == above
            return math.inf if possible else -math.inf
        tail = scipy.special.betaincc if above else scipy.special.betainc
        beyond = float(tail(_PRIOR + hits, _PRIOR + missed, share))
        if beyond <= 0:  # too far on the other side for any evidence
            return -math.inf
        posterior = scipy.special.betaln(_PRIOR + hits, _PRIOR + missed) + math.log(beyond)
        prior = scipy.special.betaln(_PRIOR, _PRIOR) + math.log(float(tail(_PRIOR, _PRIOR, share)))
        return float(posterior - prior - hits * math.log(share) - missed * math.log1p(-share))


class SplitBets:
    """Evidence against 'each trial is a hit with just this chance': a sequential sample-ratio test.

    A test martingale, the mean over ``_ODDS`` of likelihood ratios, so that under a true split it ever
    exceeds 1/a with a chance of at most a (Ville 1939; as in Lindon and Malek 2022, Anytime-valid inference
    for multinomial count data, NeurIPS 35, with a grid in place of their Dirichlet prior).

    Args:
        shape: of the counts, when many runs are followed at once.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self._log_wealth = np.full((*shape, len(_ODDS)), np.log1p(-_LATE))
        self._updates = 0

    @property
    def log_e(self) -> NDArray[np.float64]:
        """ln of the evidence so far, in either direction."""
        log_e = np.logaddexp.reduce(self._log_wealth, axis=-1) - np.log(len(_ODDS))
        return np.asarray(np.logaddexp(log_e, np.log(_LATE / (self._updates + 1))))

    def update(self, hits: ArrayLike, trials: ArrayLike, chance: ArrayLike) -> None:
        """Add trials that are hits with this chance, above 0 and below 1, if the split is true."""
        k, n, p = (np.asarray(value, dtype=np.float64)[..., None] for value in (hits, trials, chance))
        odds = np.asarray(_ODDS)
        self._updates += 1
        fresh = _LATE / (self._updates * (self._updates + 1))
        self._log_wealth = np.logaddexp(self._log_wealth, np.log(fresh))
        # of a trial: odds**hit / (1 - p + p * odds)
        self._log_wealth = self._log_wealth + k * np.log(odds) - n * np.log1p(p * (odds - 1))
