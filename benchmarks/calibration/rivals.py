"""The usual ways to decide, on the same data: what Loadproof is measured against."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def mann_whitney(stable: Floats, candidate: Floats, alpha: float) -> bool:
    """Whether a rank test of raw latencies calls the candidate slower (one-sided), as canary judges do."""
    return bool(stats.mannwhitneyu(candidate, stable, alternative="greater").pvalue < alpha)


def independent_bootstrap(
    stable: Floats, candidate: Floats, q: float, alpha: float, rng: np.random.Generator, replicates: int = 200
) -> bool:
    """Whether a bootstrap of single requests finds the candidate's quantile higher.

    The q-quantile of a resample is an order statistic whose place is a binomial draw, so no request needs to
    be copied: exact, and fast enough for thousands of runs.
    """

    def resampled(values: Floats) -> Floats:
        n = len(values)
        # the resampled quantile has rank qn: find where its uniform counterpart falls among the values
        uniform = rng.beta(q * n + 0.5, (1 - q) * n + 0.5, replicates)
        return np.asarray(np.sort(values)[(uniform * n).astype(int)])

    return bool(np.quantile(np.log(resampled(candidate) / resampled(stable)), alpha) > 0)


def fixed_threshold(
    at: Floats, stable: Floats, candidate: Floats, q: float, limit: float, every: float
) -> bool:
    """Whether any check of ``every`` seconds finds the candidate above ``limit`` times stable."""
    window = (at // every).astype(int)
    edges = np.searchsorted(window, np.arange(window[-1] + 2))
    return any(
        np.quantile(candidate[a:b], q) > limit * np.quantile(stable[a:b], q)
        for a, b in pairwise(edges)
        if b - a > 20
    )
