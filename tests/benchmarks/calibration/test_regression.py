"""The calibration of a regression's gates draws runs that the gates can tell apart."""

import numpy as np
import pytest

from benchmarks.calibration import regression
from loadtest.experiment.metrics import METRICS


def test_every_metric_of_a_regression_with_an_interval_is_calibrated():
    known = {
        name.partition("[")[0] for name in (*regression.LOWER, *regression.HIGHER, *regression.INTERVALS)
    }
    assert known == {m.name for m in METRICS.values() if m.task == "regression" and not m.absolute}


@pytest.mark.parametrize("name", ["mae", "explained_variance"])
def test_equal_versions_pass_more_often_than_one_at_the_margin(name):
    row = regression.one(name, 12, np.random.default_rng(5))
    assert row["pass_equal"] > 0.5 > row["wrong_pass"]
    assert row["alarm"] < 0.5
