"""The usual ways are done justice: they are what their libraries compute."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.calibration.rivals import mann_whitney_analysed_at
from benchmarks.calibration.simulator import CALM, replicate


def test_mann_whitney_at_each_analysis_is_scipys():
    rng = np.random.default_rng(1)
    s_at, c_at = np.sort(rng.uniform(0, 60, 900)), np.sort(rng.uniform(0, 60, 150))
    stable, candidate = rng.lognormal(0, 1, 900), rng.lognormal(0.1, 1, 150)
    analyses = np.array([5.0, 20.0, 60.0])
    expected = [
        stats.mannwhitneyu(
            candidate[c_at < now], stable[s_at < now], alternative="greater", method="asymptotic"
        ).pvalue
        for now in analyses
    ]
    assert mann_whitney_analysed_at(s_at, stable, c_at, candidate, analyses) == pytest.approx(expected)


def test_copies_of_a_run_share_its_conditions_and_nothing_else():
    at, latency = replicate(CALM, 3, 4, 20.0, 100.0, np.random.default_rng(2))
    assert at.shape == latency.shape == (3, 4, 2000)
    assert not np.array_equal(at[0, 0], at[0, 1])
    medians = np.median(latency, axis=2)
    # the machine's drift is the run's, so copies of one run are nearer to each other than runs are
    assert medians.std(axis=1).mean() < medians.mean(axis=1).std()
