"""The expected calibration error: scikit-learn's curve summed up, and what the judge makes of it."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from loadtest.errors import GateError
from loadtest.experiment.gate import Gate
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.verdict import Word
from loadtest.stats import calibration_error as errors
from tests.loadtest.judge.test_score_tests import GOOD, LABELS, SETS, dataset, drawn, experiment, made


def by_definition(hit, confidence):
    """The gaps of scikit-learn's curve, weighted by the rows of each bin; empty bins are left out."""
    happened, said = calibration_curve(hit, confidence, n_bins=errors.BINS, strategy="uniform")
    place = np.searchsorted(np.linspace(0, 1, errors.BINS + 1)[1:-1], confidence)
    rows = np.bincount(place, minlength=errors.BINS)
    return float(np.abs(happened - said) @ rows[rows > 0] / len(hit))


@pytest.mark.filterwarnings("ignore:y_true takes value:UserWarning")
@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_that_of_scikit_learns_curve(classes):
    for seed in range(SETS):
        # with ties, and probabilities at the ends of bins
        truth, scores, _ = drawn(seed, classes)
        scores = scores.astype(np.float64)
        if classes == 2:
            hit, confidence = truth == 1, scores[:, 1]
        else:
            hit, confidence = scores.argmax(axis=1) == truth, scores.max(axis=1)
        assert errors.estimate(scores, truth).value == pytest.approx(by_definition(hit, confidence), abs=1e-9)


@pytest.mark.parametrize(
    ("says", "truth", "value"),
    [
        # certain, and right or wrong
        ([0.0, 1.0], [0, 1], 0.0),
        ([1.0, 1.0, 1.0], [0, 0, 0], 1.0),
        # one class alone
        ([0.25, 0.25], [0, 0], 0.25),
        # one bin, whose gaps make up for each other
        ([0.5, 0.5], [0, 1], 0.0),
    ],
)
def test_by_hand(says, truth, value):
    said = np.array(says)
    found = errors.estimate(np.column_stack([1 - said, said]), np.array(truth))
    assert found.value == pytest.approx(value)
    low, high = found.interval(0.05)
    assert 0 <= low <= value <= high <= 1


def test_few_rows_of_a_calibrated_model_fail_no_bound():
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        said = rng.random(150)
        found = errors.estimate(np.column_stack([1 - said, said]), (rng.random(150) < said).astype(np.intp))
        wrong += found.interval(0.05)[0] > 0.001
        assert (found.p_above(0.01) < 0.05) == (found.interval(0.05)[0] > 0.01)
        assert (found.p_below(0.2) < 0.05) == (found.interval(0.05)[1] < 0.2)
    assert wrong <= 10


def test_the_judge_takes_distinct_rows_of_both_versions():
    truth, stable, candidate = drawn(3, 2)
    run = made([str(label) for label in truth], stable, candidate)
    found = measure(Gate.parse("ece <= 0.1"), run)
    assert found.rows == len(truth)
    assert found.candidate == pytest.approx(
        by_definition(truth == 1, candidate[:, 1].astype(float)), abs=1e-9
    )
    assert found.stable == pytest.approx(by_definition(truth == 1, stable[:, 1].astype(float)), abs=1e-9)


SURE = np.where(LABELS == "1", 0.99, 0.01)


@pytest.mark.parametrize("traffic", ["duet", "canary"])
@pytest.mark.parametrize(
    ("gate", "candidate", "word"),
    [
        # always right, and says 90%: too careful
        ("ece <= 0.05", SURE, Word.PASS),
        ("ece <= 0.3", GOOD, Word.PASS),
        ("ece <= 0.02", GOOD, Word.FAIL),
        # half of the answers are wrong, and all say 99%
        ("ece <= 0.1", np.where(np.arange(120) % 4 < 2, SURE, 1 - SURE), Word.FAIL),
        ("ece <= 0.1", 4 * GOOD, Word.INCONCLUSIVE),
    ],
)
def test_verdicts(gate, candidate, word, traffic):
    (found,) = judge(made(LABELS, GOOD, candidate, gate, traffic=traffic)).gates
    assert found.verdict is word, found.reason


def test_a_margin_would_favour_the_worse_calibrated_version():
    with pytest.raises(GateError, match="their difference favours the other; write a bound of its own"):
        Gate.parse("ece <= stable + 0.01")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["0"] * 90 + ["1"] * 19, "19 of 109 rows are labelled 1, and ece needs 20"),
        (["0"] * 90 + ["1"] * 20, None),
        # the most probable class may be any
        (["a"] * 90 + ["b"] * 5 + ["c"], None),
    ],
)
def test_few_rows_of_one_of_two_classes_are_refused_before_the_load(labels, says):
    if says is None:
        check_gates(experiment("ece <= 0.1"), dataset(labels))
        return
    with pytest.raises(GateError, match=says):
        check_gates(experiment("ece <= 0.1"), dataset(labels))
