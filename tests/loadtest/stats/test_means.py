"""Means and their differences: textbook values, and the degrees of freedom that rare large values leave."""

import math

import numpy as np
import pytest
from scipy import stats

from loadtest.stats import means

RNG = np.random.default_rng(1)
STABLE = RNG.normal(2, 1, 4_000)
CANDIDATE = STABLE + RNG.normal(0.1, 0.5, 4_000)


def test_pairs_are_students_t_of_the_differences():
    found = means.difference(STABLE, CANDIDATE, paired=True, relative=False)
    theirs = stats.ttest_rel(CANDIDATE, STABLE)
    assert found.value == pytest.approx((CANDIDATE - STABLE).mean())
    assert found.error == pytest.approx(found.value / theirs.statistic)
    # of normal values it is nearly the number of rows
    assert found.freedom == pytest.approx(theirs.df, rel=0.1)


def test_two_streams_are_welchs():
    found = means.difference(STABLE, CANDIDATE[:500], paired=False, relative=False)
    theirs = stats.ttest_ind(CANDIDATE[:500], STABLE, equal_var=False)
    assert found.error == pytest.approx(found.value / theirs.statistic)
    assert found.freedom == pytest.approx(theirs.df, rel=0.2)


def test_a_share_of_stable_varies_as_many_drawn_ratios_do():
    found = means.difference(STABLE, CANDIDATE, paired=True, relative=True)
    drawn = RNG.integers(len(STABLE), size=(2_000, len(STABLE)))
    ratios = CANDIDATE[drawn].mean(axis=1) / STABLE[drawn].mean(axis=1) - 1
    assert found.value == pytest.approx(CANDIDATE.mean() / STABLE.mean() - 1)
    assert found.error == pytest.approx(ratios.std(), rel=0.1)


@pytest.mark.parametrize(
    ("deviations", "freedom"),
    [
        # one large value in a hundred says as little as two values would
        (np.append(np.full(99, -0.01), 0.99), pytest.approx(2.06, abs=0.05)),
        # values that are all as far from the mean say all that they can
        (np.tile([1.0, -1.0], 50), 99),
        (np.zeros(100), 99),
        # squared, they would overflow
        (np.tile([1e200, -1e200], 50), 99),
    ],
)
def test_degrees_of_freedom(deviations, freedom):
    assert means.freedom(deviations, most=99) == freedom


def test_one_value_says_nothing_of_how_it_varies():
    assert means.mean(np.array([3.0])).interval(0.05) == (-math.inf, math.inf)
