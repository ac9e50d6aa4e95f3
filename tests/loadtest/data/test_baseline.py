from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.baseline import Comparison
from loadtest.data.dataset import Dataset


def dataset(labels):
    return Dataset(Path("e.csv"), np.zeros((len(labels), 1)), ("x",), np.asarray(labels), None, pa.table({}))


def agrees(labels, baseline, prediction):
    comparison = Comparison(dataset(labels), {} if baseline is None else {0: baseline})
    return comparison.agrees(pa.array([0], pa.int32()), pa.array([prediction], pa.string())).to_pylist()[0]


@pytest.mark.parametrize(
    ("baseline", "prediction", "same"),
    [
        ("1", "1", True),
        ("1", "0", False),
        # a label is text: 1e0 is another one
        ("1", "1e0", False),
        (None, "1", None),
        ("1", None, None),
    ],
)
def test_a_label_is_the_same_to_the_letter(baseline, prediction, same):
    assert agrees(["0", "1"], baseline, prediction) is same


@pytest.mark.parametrize(
    ("baseline", "prediction", "same"),
    [
        ("150.25", "150.25", True),
        # single precision, added up in another order
        ("150.25", "150.25002", True),
        ("150.25", "150.26", False),
        # near zero the labels' spread (50) is the scale
        ("0.0001", "0.0003", True),
        ("0.0", "0.001", False),
        ("nan", "nan", True),
        ("nan", "1.0", False),
        ("inf", "inf", True),
        ("1.0", "inf", False),
        ("1.0", "much", False),
        (None, "1.0", None),
        ("1.0", None, None),
    ],
)
def test_a_regression_may_differ_by_rounding(baseline, prediction, same):
    assert agrees([100.0, 200.0], baseline, prediction) is same
