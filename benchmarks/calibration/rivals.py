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


def mann_whitney_analysed_at(
    stable_at: Floats, stable: Floats, candidate_at: Floats, candidate: Floats, analyses: Floats
) -> Floats:
    """The same test's p-value at each of ``analyses`` (seconds, ascending), on what has arrived until then.

    The statistic counts pairs in which the candidate is slower, so each analysis only adds the pairs of what
    is new: an hour of analyses costs little more than one.
    """
    s_old, c_old, pairs = np.empty(0), np.empty(0), 0.0
    s_done = c_done = 0
    p_values = np.ones(len(analyses))
    for i, now in enumerate(analyses):
        s_end, c_end = np.searchsorted(stable_at, now), np.searchsorted(candidate_at, now)
        s_new, c_new = np.sort(stable[s_done:s_end]), np.sort(candidate[c_done:c_end])
        s_done, c_done = s_end, c_end
        pairs += float(np.searchsorted(s_old, c_new).sum())  # old stable below new candidate
        c_old = np.insert(c_old, np.searchsorted(c_old, c_new), c_new)
        pairs += float((len(c_old) - np.searchsorted(c_old, s_new, side="right")).sum())
        s_old = np.insert(s_old, np.searchsorted(s_old, s_new), s_new)
        n, m = len(s_old), len(c_old)
        if n and m:  # the usual normal approximation; latencies have no ties
            z = (pairs - n * m / 2 - 0.5) / np.sqrt(n * m * (n + m + 1) / 12)
            p_values[i] = stats.norm.sf(z)
    return p_values


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
