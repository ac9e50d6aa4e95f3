from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.config import Load
from loadtest.dataset import Dataset
from loadtest.load.arrivals import draw
from loadtest.load.references import Comparison, from_bytes, rows_to_ask, to_bytes


def dataset(labels):
    return Dataset(Path("e.csv"), np.zeros((len(labels), 1)), ("x",), np.asarray(labels), None, pa.table({}))


def agrees(labels, reference, prediction):
    comparison = Comparison(dataset(labels), {} if reference is None else {0: reference})
    return comparison.agrees(pa.array([0], pa.int32()), pa.array([prediction], pa.string())).to_pylist()[0]


@pytest.mark.parametrize(
    ("reference", "prediction", "same"),
    [
        ("1", "1", True),
        ("1", "0", False),
        # a label is text: 1e0 is another one
        ("1", "1e0", False),
        (None, "1", None),
        ("1", None, None),
    ],
)
def test_a_label_is_the_same_to_the_letter(reference, prediction, same):
    assert agrees(["0", "1"], reference, prediction) is same


@pytest.mark.parametrize(
    ("reference", "prediction", "same"),
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
def test_a_regression_may_differ_by_rounding(reference, prediction, same):
    assert agrees([100.0, 200.0], reference, prediction) is same


def test_references_travel():
    references = {"stable": {0: "1", 7: "ä"}, "candidate": {7: "0"}}
    assert from_bytes(to_bytes(references)) == references
    assert from_bytes(to_bytes({})) == {}
    assert from_bytes(b"") == {}


def test_the_rows_of_the_load_are_asked_those_sent_most_often_first():
    load = Load(rate=50, duration=10, warmup=5)
    schedules = [draw(load, 300, worker, 3) for worker in range(3)]
    sent = np.concatenate([schedule.row[schedule.at >= 0] for schedule in schedules])
    counts = np.bincount(sent, minlength=300)
    rows = rows_to_ask(schedules, seed=1)
    # every measured row once, and none of the warm-up's alone
    assert sorted(rows) == np.flatnonzero(counts).tolist()
    assert (np.diff(counts[rows]) <= 0).all()
    # what time does not suffice for is spread over the run
    first = {row: at for s in schedules for at, row in zip(s.at[::-1], s.row[::-1], strict=True)}
    asked = [first[row] for row in rows[: len(rows) // 4]]
    assert max(asked) > 6
    assert rows == rows_to_ask(schedules, seed=1)
