"""Regimes: the stretches of a record of arrivals in which the rate is about constant.

Optimal partitioning of the counts in short bins (Jackson et al. 2005, "An algorithm for optimal partitioning
of data on an interval"), by the likelihood of a Poisson process with one rate per stretch. Real traffic comes
in bursts, which a Poisson process has not: the penalty of a further stretch is in proportion to the
dispersion of the counts, so that a short burst is no regime of its own.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MOST_BINS = 400
_PENALTY = 3.0
"""Times the dispersion and the logarithm of the bins: two parameters a stretch, and some caution."""


class Regime(NamedTuple):
    """A stretch that ends after ``end`` seconds, with ``arrivals``."""

    end: float
    arrivals: int


def regimes(times: NDArray[np.float64], duration: float, shortest: float, most: int) -> tuple[Regime, ...]:
    """The stretches of ``duration`` seconds; one, where nothing shows that the rate changed.

    Args:
        times: of the arrivals in seconds from the start, ascending, shape (n,).
        duration: seconds.
        shortest: seconds that a stretch lasts at least.
        most: stretches at most.
    """
    bins = int(min(2 * duration / shortest, _MOST_BINS))
    width = duration / max(bins, 1)
    if bins < 2 or duration < 2 * shortest:
        return (Regime(duration, len(times)),)
    counts = np.histogram(times, bins, (0.0, duration))[0].astype(np.float64)
    least = int(np.ceil(shortest / width - 1e-9))
    penalty = _PENALTY * _dispersion(counts) * np.log(bins)
    while len(ends := _partition(counts, least, penalty)) > most:
        penalty *= 1.5
    edges = np.array([0, *ends])
    found = [int(counts[a:b].sum()) for a, b in itertools.pairwise(edges)]
    at = [*(edges[1:-1] * width).tolist(), duration]
    return tuple(Regime(end, count) for end, count in zip(at, found, strict=True))


def _dispersion(counts: NDArray[np.float64]) -> float:
    """Variance over mean of the counts, by the differences of neighbours: a step counts but once."""
    pairs = counts[1:] + counts[:-1]
    squares, pairs = np.diff(counts)[pairs > 0] ** 2, pairs[pairs > 0]
    if not len(pairs):
        return 1.0
    # a regime's ends add to both: one burst that holds most arrivals to the first, many changes to the second
    return max(1.0, float(min(squares.sum() / pairs.sum(), np.mean(squares / pairs))))


def _partition(counts: NDArray[np.float64], least: int, penalty: float) -> list[int]:
    """The ends of the stretches, in bins, each of ``least`` bins or more."""
    total = np.concatenate([[0.0], np.cumsum(counts)])
    bins = len(counts)
    cost = np.full(bins + 1, np.inf)
    cost[0] = -penalty
    begin = np.zeros(bins + 1, dtype=np.intp)
    for end in range(least, bins + 1):
        starts = np.arange(end - least + 1)
        arrivals = total[end] - total[starts]
        mean = arrivals / (end - starts)
        # minus the logarithm of the likelihood at its maximum, without what no partition changes
        fit = -arrivals * np.log(np.where(mean > 0, mean, 1.0))
        costs = cost[starts] + fit + penalty
        begin[end] = np.argmin(costs)
        cost[end] = costs[begin[end]]
    ends = [bins]
    while begin[ends[-1]] > 0:
        ends.append(int(begin[ends[-1]]))
    return ends[::-1]
