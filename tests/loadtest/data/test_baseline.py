from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.baseline import Comparison, ScoredAnswer
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


SCORED = {row: ScoredAnswer("1" if score > 0.5 else "0", (1 - score, score)) for row, score in
          enumerate(np.linspace(0.02, 0.98, 49))}  # fmt: skip


@pytest.mark.parametrize(
    ("label", "scores", "same"),
    [
        ("1", (0.22, 0.78), True),
        # added up in another order
        ("1", (0.220002, 0.779998), True),
        # another row's answer, whose label is the same
        ("1", (0.2, 0.8), False),
        ("1", (0.2201, 0.7799), False),
        # the same scores and another label
        ("0", (0.22, 0.78), False),
        # one score where there were two; none, of an error; more than there were
        ("1", (0.78,), False),
        (None, None, None),
    ],
)
def test_scores_belong_to_the_answer(label, scores, same):
    comparison = Comparison(dataset(["0", "1"] * 25), SCORED)
    row, told = pa.array([38], pa.int32()), pa.array([label], pa.string())
    lists = pa.array([scores], pa.list_(pa.float32()))
    assert comparison.agrees(row, told, lists).to_pylist() == [same]
    assert comparison.shown(row).to_pylist() == ["1 (0.22, 0.78)"]
    assert comparison.shown(pa.array([49], pa.int32())).to_pylist() == [None]


SEVERAL = {row: ScoredAnswer(repr(150.25 + row), (150.25 + row, 0.001 * row)) for row in range(50)}


@pytest.mark.parametrize(
    ("told", "values", "same"),
    [
        ("160.25", (160.25, 0.01), True),
        # added up in another order, in each of them
        ("160.25000001", (160.25000001, 0.01), True),
        ("160.25", (160.25, 0.010000001), True),
        # one output is that of another row, whose spread is a ten-thousandth of the first one's
        ("160.25", (160.25, 0.011), False),
        ("160.25", (161.25, 0.01), False),
        # the answer itself is another one
        ("161.25", (160.25, 0.01), False),
        (None, None, None),
    ],
)
def test_all_outputs_belong_to_the_answer(told, values, same):
    comparison = Comparison(dataset(np.zeros(50)), SEVERAL)
    row, text = pa.array([10], pa.int32()), pa.array([told], pa.string())
    assert comparison.agrees(row, text, pa.array([values], pa.list_(pa.float64()))).to_pylist() == [same]


def regression(baseline, prediction, others):
    """Whether an answer to row 0 agrees with the baseline answer, beside ``others`` to other rows."""
    answers = dict(enumerate([baseline, *map(repr, map(float, others))]))
    if baseline is None:
        del answers[0]
    comparison = Comparison(dataset(np.zeros(len(others) + 1)), answers)
    return comparison.agrees(pa.array([0], pa.int32()), pa.array([prediction], pa.string())).to_pylist()[0]


SPREAD_50 = np.linspace(65.0, 235.0, 400) + 1 / 3
"""A standard deviation of 50, in double precision."""


@pytest.mark.parametrize(
    ("baseline", "prediction", "same"),
    [
        ("150.25", "150.25", True),
        # added up in another order
        ("150.25", "150.2502", True),
        ("150.25", "150.26", False),
        # near zero the spread of the answers is the scale
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
    assert regression(baseline, prediction, SPREAD_50) is same


@pytest.mark.parametrize(
    ("baseline", "prediction", "others", "same"),
    [
        # epoch seconds of one day: an hour later is another answer, a microsecond later is not
        ("1764000000.25", "1764003600.25", 1764000000 + 500 * SPREAD_50, False),
        ("1764000000.25", "1764000000.250001", 1764000000 + 500 * SPREAD_50, True),
        # epoch milliseconds
        ("1764000000000.5", "1764000060000.5", 1764e9 + 5e5 * SPREAD_50, False),
        # below zero
        ("-1764000000.25", "-1764000100.25", -1764000000 + 500 * SPREAD_50, False),
        # single precision keeps 7 digits of a large number: its last ones are no other answer
        ("1764000000.0", "1764000128.0", (1764000000 + 5 * SPREAD_50).astype(np.float32), True),
        ("1764000000.0", "1764003584.0", (1764000000 + 500 * SPREAD_50).astype(np.float32), False),
        # one absurd answer does not make all others alike
        ("150.25", "170.25", [*SPREAD_50, 1e239], False),
        ("150.25", "170.25", [*SPREAD_50, -np.inf], False),
        # every answer is the same
        ("7.5", "7.6", [7.5] * 400, False),
        ("7.5", "7.5000001", [7.5] * 400, True),
        # counts: one more is another answer, however large
        ("10000000.0", "10000001.0", 10000000 + np.arange(400), False),
    ],
)  # fmt: skip
def test_answers_far_from_zero_are_told_apart_as_well_as_others(baseline, prediction, others, same):
    assert regression(baseline, prediction, others) is same


def test_answers_that_are_mixed_up_are_found():
    rng = np.random.default_rng(6)
    answers = rng.normal(1.76e12, 3.6e6, 500)
    comparison = Comparison(dataset(np.zeros(500)), {row: repr(float(a)) for row, a in enumerate(answers)})
    mixed = pa.array([repr(float(a)) for a in np.roll(answers, 1)])
    assert comparison.agrees(pa.array(np.arange(500, dtype=np.int32)), mixed).true_count < 3
