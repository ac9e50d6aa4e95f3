"""Medians: what the intervals contain, by exact counts and by resampling outright."""

import math

import numpy as np
import pytest
from scipy import stats

from loadtest.stats import medians
from loadtest.stats.medians import MedianDifference, RankQuantile


@pytest.mark.parametrize("n", [1, 4, 5, 20, 201])
def test_the_interval_of_one_median_is_that_of_the_sign_test(n):
    values = np.arange(1.0, n + 1)
    low, high = RankQuantile(values).interval(0.05)
    # the exact chance that fewer than `low` of n coins show heads
    tails = [j for j in range(n) if stats.binom.cdf(j, n, 0.5) <= 0.05]
    assert low == (len(tails) and values[len(tails) - 1])
    assert high == (values[n - len(tails)] if tails else math.inf)


def test_p_values_agree_with_the_interval():
    values = np.sort(np.random.default_rng(1).exponential(1, 101))
    for estimate in (
        RankQuantile(values),
        MedianDifference(RankQuantile(values), RankQuantile(np.sort(values * 2)), relative=True),
    ):
        low, high = estimate.interval(0.02)
        assert estimate.p_above(low - 1e-6) < 0.021
        assert estimate.p_above(low + 1e-6) > 0.019
        assert estimate.p_below(high + 1e-6) < 0.021
        assert estimate.p_below(high - 1e-6) > 0.019


@pytest.mark.parametrize("n", [7, 50, 1000, 5003])
def test_the_draws_are_those_of_rows_drawn_outright(n):
    rng = np.random.default_rng(n)
    stable, candidate = rng.exponential(1, n), rng.exponential(1.2, n)
    estimate = medians.difference(stable, candidate, relative=False, paired=True, rows=n, reach=0.0)
    drawn = rng.integers(n, size=(4000, n))
    outright = np.median(candidate[drawn], axis=1) - np.median(stable[drawn], axis=1)
    assert estimate.value == np.median(candidate) - np.median(stable)
    # two samples of one distribution of 4,000: the standard error of a standard deviation is 1.1%
    assert np.std(estimate.replicates) == pytest.approx(np.std(outright), rel=0.1)
    assert np.mean(estimate.replicates) == pytest.approx(np.mean(outright), abs=0.1 * np.std(outright))


def test_ties_of_most_rows_leave_an_interval_all_the_same():
    errors = np.zeros(500)
    errors[:100] = 1.0
    estimate = medians.difference(errors, errors, relative=False, paired=True, rows=500, reach=2.0)
    low, high = estimate.interval(0.05)
    assert low < 0 < high
    assert RankQuantile(np.sort(errors)).interval(0.05) == (0.0, 0.0)
