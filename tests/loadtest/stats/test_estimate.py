"""Estimates that are joined."""

import numpy as np
import pytest
from scipy import stats

from loadtest.stats.estimate import StudentEstimate, independent_difference


def test_the_difference_of_two_independent_means_is_welchs():
    rng = np.random.default_rng(1)
    one, other = rng.normal(5, 1, 12), rng.normal(6, 3, 30)
    joined = independent_difference(
        *(StudentEstimate(x.mean(), stats.sem(x), len(x) - 1) for x in (one, other))
    )
    welch = stats.ttest_ind(other, one, equal_var=False)
    assert joined.freedom == pytest.approx(welch.df)
    assert joined.interval(0.05) == pytest.approx(welch.confidence_interval(0.9))


def test_two_values_without_any_spread():
    joined = independent_difference(StudentEstimate(1.0, 0.0, 11), StudentEstimate(3.0, 0.0, 5))
    assert joined.interval(0.05) == (2.0, 2.0)
