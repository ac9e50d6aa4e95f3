"""Shares of yes-or-no outcomes: one share, the difference of two independent ones, and of two paired ones.

Counts may be fractional: outcomes that come in bursts count for fewer independent ones, so callers divide
all counts by ``design_effect`` (Rao and Scott 1992, A simple method for the analysis of clustered binary
data, Biometrics 48).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

from loadtest.stats.estimate import Inverted
from loadtest.stats.pieces import add_up, pieces, variance

_LEVEL, _FAR_LEVEL = 0.05, 0.002
"""Where the normal and Student's quantile are compared: for one analysis, and one of many (``level_at``)."""


@dataclass(frozen=True)
class Share:
    """One share with the exact interval (Clopper and Pearson 1934): ``hits`` out of ``trials``."""

    hits: float
    trials: float

    @property
    def value(self) -> float:
        """The observed share."""
        return self.hits / self.trials

    def interval(self, alpha: float) -> tuple[float, float]:
        """Ends within 0 and 1."""
        missed = self.trials - self.hits
        low = scipy.special.betaincinv(self.hits, missed + 1, alpha) if self.hits > 0 else 0.0
        high = scipy.special.betainccinv(self.hits + 1, missed, alpha) if missed > 0 else 1.0
        return float(low), float(high)

    def p_above(self, margin: float) -> float:
        """The exact binomial test of 'at most ``margin``'."""
        if self.hits <= 0:
            return 1.0
        return float(scipy.special.betainc(self.hits, self.trials - self.hits + 1, margin))

    def p_below(self, margin: float) -> float:
        """The exact binomial test of 'at least ``margin``'."""
        if self.hits >= self.trials:
            return 1.0
        return float(scipy.special.betaincc(self.hits + 1, self.trials - self.hits, margin))


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two shares on the same ``pairs``, with Tango's score interval.

    Tango 1998, Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design, Statistics in Medicine 17.

    Args:
        gained: pairs in which only the candidate's outcome was yes.
        lost: pairs in which only stable's was.
        pairs: all pairs.
    """

    gained: float
    lost: float
    pairs: float

    @property
    def value(self) -> float:
        """Share of the candidate minus share of stable."""
        return (self.gained - self.lost) / self.pairs

    def score(self, difference: float) -> float:
        """Tango's score statistic, standard normal when the true difference is ``difference``."""
        n, b, c = self.pairs, self.gained, self.lost
        if abs(difference) >= 1:
            return math.copysign(math.inf, self.value - difference) if self.value != difference else 0.0
        # the probability of `lost` that is likeliest under this difference: a root of 2n q^2 + B q + C = 0
        linear = -b - c + (2 * n - b + c) * difference
        constant = -c * difference * (1 - difference)
        lost = (math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = n * (2 * lost + difference * (1 - difference))
        distance = b - c - n * difference
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The differences that the score test does not refuse."""
        z = -float(scipy.special.ndtri(alpha))
        return self._solve(z, -1.0, self.value), self._solve(-z, self.value, 1.0)

    def _solve(self, z: float, low: float, high: float) -> float:
        edge = low if z > 0 else high
        if abs(self.value - edge) < 1e-12:
            return edge
        # the score falls as the difference rises; just inside the edges, where it is finite
        low, high = low + (1e-12 if low == -1 else 0), high - (1e-12 if high == 1 else 0)
        if (self.score(low) - z) * (self.score(high) - z) > 0:
            return edge
        return float(scipy.optimize.brentq(lambda d: self.score(d) - z, low, high, xtol=1e-10))

    def p_above(self, margin: float) -> float:
        """The score test of 'at most ``margin``'."""
        return float(scipy.special.ndtr(-self.score(margin)))

    def p_below(self, margin: float) -> float:
        """The score test of 'at least ``margin``'."""
        return float(scipy.special.ndtr(self.score(margin)))


@dataclass(frozen=True)
class IndependentDifference(Inverted):
    """The difference of two independent shares, with Newcombe's hybrid score interval.

    Newcombe 1998, Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17, method 10 (Wilson's interval of each share, joined).
    """

    candidate_hits: float
    candidate_trials: float
    stable_hits: float
    stable_trials: float

    @property
    def value(self) -> float:
        """Share of the candidate minus share of stable."""
        return self.candidate_hits / self.candidate_trials - self.stable_hits / self.stable_trials

    def interval(self, alpha: float) -> tuple[float, float]:
        """Ends within -1 and 1."""
        z = -float(scipy.special.ndtri(alpha))
        c, s = self.candidate_hits / self.candidate_trials, self.stable_hits / self.stable_trials
        c_low, c_high = wilson(self.candidate_hits, self.candidate_trials, z)
        s_low, s_high = wilson(self.stable_hits, self.stable_trials, z)
        return c - s - math.hypot(c - c_low, s_high - s), c - s + math.hypot(c_high - c, s - s_low)


def wilson(hits: float, trials: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of one share (1927)."""
    share = hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return middle - half, middle + half


def design_effect(
    outcomes: NDArray[np.float64] | NDArray[np.int8],
    block: NDArray[np.integer],
    blocks: int,
    *,
    often: bool = False,
) -> float:
    """How many times more the mean of ``outcomes`` varies than independent outcomes would; at least 1.

    Args:
        outcomes: shape (n,); whole numbers below 128 may be int8.
        block: shape (n,), the time block of each outcome, 0 to ``blocks - 1``.
        blocks: how many blocks there are; below 2 nothing can be told and the answer is 1.
        often: it is for one analysis of many, which go by far tails, and of which the smallest effect counts.
    """
    n = len(outcomes)
    if blocks < 2 or n < 2:
        return 1.0
    independent = variance(outcomes) / n
    if independent == 0:
        return 1.0
    mean, excess = outcomes.mean(), np.zeros(blocks)
    for piece in pieces(n):
        add_up(excess, block[piece], outcomes[piece] - mean)
    clustered = float(np.sum(excess**2)) * blocks / (blocks - 1) / n**2
    # the effect is known from few blocks only, so the tests' normal quantile must become Student's
    freedom, level = ((blocks - 1) / 2, _FAR_LEVEL) if often else (blocks - 1, _LEVEL)
    widened = float(scipy.special.stdtrit(freedom, level) / scipy.special.ndtri(level)) ** 2
    return max(1.0, clustered / independent * widened)
