"""By how much one sample lies above another."""

import numpy as np
import pytest
from scipy import stats

from loadtest.stats.medians import location_shift

RNG = np.random.default_rng(3)


def test_the_estimate_and_an_interval_that_agrees_with_the_rank_sum_test():
    one, other = RNG.lognormal(0, 1, 80), RNG.lognormal(0, 1, 120) + 0.4
    value, low, high = location_shift(one, other, 0.025)
    assert value == pytest.approx(np.median(other[:, None] - one))
    for end in (low, high):
        # moved by an end of the interval, the two samples are just as far apart as the test allows
        assert stats.mannwhitneyu(other - end, one).pvalue == pytest.approx(0.05, abs=0.002)


def test_equal_samples_differ_as_rarely_as_the_level_says():
    apart = sum(location_shift(*RNG.normal(size=(2, 12)), 0.05)[1] > 0 for _ in range(400))
    # of 5%, one in ten thousand binomials is beyond
    assert apart < 40


def test_too_few_values_to_tell():
    assert location_shift(np.array([1.0, 2.0]), np.array([8.0, 9.0]), 0.005)[1:] == (-np.inf, np.inf)
