"""Medians over rows, and other quantiles: of one version exactly, of two medians by a paired bootstrap, or at
any moment by their ranks; and by how much one sample lies above another.

A median is no function of sums, so ``bootstrap.difference`` does not serve. Groups of rows are drawn all the
same, and the median of each draw is found among the rows near the middle, which are all that it can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

from loadtest.stats import bootstrap
from loadtest.stats.estimate import Inverted

Floats = NDArray[np.float64]

_AT_ONCE = 250
_FAR = 8.0
"""Standard errors of the middle's rank within which the median of every draw lies."""
_MOST = 500
"""Values of a sample whose shift is estimated: more than these say nothing that matters."""


@dataclass(frozen=True)
class RankQuantile(Inverted):
    """The median of independent values, or another quantile, with its exact interval.

    It holds whatever the values' distribution is.

    Args:
        ascending: the values, shape (n,), ascending; none is below 0.
        quantile: which, between 0 and 1.
    """

    ascending: Floats
    quantile: float = 0.5

    @property
    def value(self) -> float:
        """The quantile, between two values where it lies between them."""
        return float(np.quantile(self.ascending, self.quantile))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two of the values: below the true quantile lie as many as a binomial count of n has it."""
        n = len(self.ascending)
        counts = np.arange(n)
        # the most values below the lower end that alpha allows, and as many above the upper one; where none
        # is certain enough, the end is open
        below = int(np.searchsorted(scipy.special.bdtr(counts, n, self.quantile), alpha, side="right"))
        above = int(np.count_nonzero(scipy.special.bdtrc(counts, n, self.quantile) <= alpha))
        low = float(self.ascending[below - 1]) if below else 0.0
        return low, float(self.ascending[n - above]) if above else math.inf


@dataclass(frozen=True)
class MedianDifference(Inverted):
    """The difference of two medians from their exact intervals, at half of the level each (Bonferroni).

    Wider than the bootstrap's, but it has the far tails that many analyses need, paired or not.

    Args:
        stable: of the one.
        candidate: of the other.
        relative: the share of stable's median instead of the difference.
    """

    stable: RankQuantile
    candidate: RankQuantile
    relative: bool

    @property
    def value(self) -> float:
        """Candidate minus stable, or candidate / stable - 1."""
        return self._contrast(self.candidate.value, self.stable.value)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The furthest that the two intervals allow."""
        s_low, s_high = self.stable.interval(alpha / 2)
        c_low, c_high = self.candidate.interval(alpha / 2)
        if not math.isfinite(s_high):
            return -math.inf, math.inf
        return self._contrast(c_low, s_high), self._contrast(c_high, s_low)

    def _contrast(self, candidate: float, stable: float) -> float:
        if not self.relative:
            return candidate - stable
        return candidate / stable - 1 if stable > 0 else math.inf


def difference(
    stable: Floats, candidate: Floats, *, relative: bool, paired: bool, rows: float, reach: float
) -> bootstrap.BootstrapEstimate:
    """The bootstrap's estimate of median(candidate) - median(stable), or of their ratio minus 1.

    There is a value per row; ``paired``, both have the same rows in the same order, which are drawn together.
    For ``rows`` and ``reach`` see ``bootstrap.Unseen``.
    """
    s, c = (_medians(values, 0 if paired else seed) for seed, values in enumerate((stable, candidate)))
    s_own, c_own = float(np.median(stable)), float(np.median(candidate))
    with np.errstate(divide="ignore", invalid="ignore"):
        replicates = c / s - 1 if relative else c - s
    finite = np.sort(replicates[np.isfinite(replicates)])
    value = c_own / s_own - 1 if relative else c_own - s_own
    # a median has no use for an acceleration: leaving one row out moves it by a gap between two rows
    return bootstrap.BootstrapEstimate(value, rows, reach, finite if len(finite) else np.array([value]), 0.0)


def _medians(values: Floats, seed: int) -> Floats:
    """The median of each draw of groups of rows, shape (replicates,)."""
    n = len(values)
    group = bootstrap.groups(n)
    times = bootstrap.draws(int(group.max()) + 1, seed)
    order = np.argsort(values, kind="stable")
    width = math.ceil(_FAR / 2 * math.sqrt(n)) + 1
    first, end = max(0, n // 2 - width), min(n, n // 2 + width)
    size, before = (np.bincount(group[part], minlength=times.shape[1]) for part in (order, order[:first]))
    half, below = times @ size / 2, times @ before
    near, where = values[order[first:end]], group[order[first:end]]
    medians = np.empty(len(times))
    for begin in range(0, len(times), _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        reached = below[some, None] + np.cumsum(times[some][:, where], axis=1)
        low, high = (
            np.minimum(np.count_nonzero(short, axis=1), len(near) - 1)
            for short in (reached < half[some, None], reached <= half[some, None])
        )
        medians[some] = (near[low] + near[high]) / 2
    return medians


def location_shift(one: Floats, other: Floats, alpha: float) -> tuple[float, float, float]:
    """How far ``other`` lies above ``one``: the median of all differences, and the ends of its interval.

    The interval is that of the rank-sum test (Hodges and Lehmann 1963, Annals of Mathematical Statistics 34).
    It asks for nothing but that a draw decided who belongs to which sample, and so it holds for values that
    depend on each other over time.

    Args:
        one: values in the order in which they came, shape (n,).
        other: the same, shape (m,).
        alpha: error on each side of the interval.
    """
    one, other = one[:_MOST], other[:_MOST]
    apart = np.sort((other[:, None] - one[None, :]).ravel())
    n, m = len(one), len(other)
    beyond = n * m / 2 - NormalDist().inv_cdf(1 - alpha) * (n * m * (n + m + 1) / 12) ** 0.5
    place = int(beyond)
    if place < 1:
        return float(np.median(apart)), -np.inf, np.inf
    return float(np.median(apart)), float(apart[place - 1]), float(apart[-place])
