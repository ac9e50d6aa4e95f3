"""Against scikit-learn on random sets, ties, few rows and rare classes included."""

import numpy as np
import pytest
from scipy import stats
from sklearn import calibration, metrics

from loadtest.stats import curves


def binary(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(4, 400))
    positive = rng.random(rows) < rng.choice([0.02, 0.3, 0.9])
    positive[:2] = True, False
    score = rng.beta(2, 3, rows) + 0.0
    return positive, np.round(score, int(rng.integers(1, 4))) if seed % 2 else score


SEEDS = range(200)


def test_the_roc_curve_and_its_area():
    for seed in SEEDS:
        positive, score = binary(seed)
        ours = curves.roc_curve(positive, score)
        x, y, _ = metrics.roc_curve(positive, score, drop_intermediate=False)
        np.testing.assert_allclose(ours.x, x, atol=1e-12)
        np.testing.assert_allclose(ours.y, y, atol=1e-12)
        assert curves.area(ours) == pytest.approx(metrics.roc_auc_score(positive, score), abs=1e-9)


def test_the_precision_recall_curve():
    for seed in SEEDS:
        positive, score = binary(seed)
        ours = curves.precision_recall_curve(positive, score)
        precision, recall, _ = metrics.precision_recall_curve(positive, score)
        np.testing.assert_allclose(ours.x, recall[::-1], atol=1e-12)
        np.testing.assert_allclose(ours.y, precision[::-1], atol=1e-12)


def test_the_reliability_diagram_and_wilsons_intervals():
    for seed in SEEDS:
        positive, probability = binary(seed)
        ours = curves.reliability(positive, probability, 0.05)
        happened, predicted = calibration.calibration_curve(
            positive, probability, n_bins=curves.BINS, strategy="quantile"
        )
        np.testing.assert_allclose(ours.happened, happened, atol=1e-12)
        np.testing.assert_allclose(ours.predicted, predicted, atol=1e-12)
        assert ours.rows.sum() == len(positive)
        for share, low, high, rows in zip(ours.happened, ours.low, ours.high, ours.rows, strict=True):
            found = stats.binomtest(round(share * rows), int(rows)).proportion_ci(0.9, method="wilson")
            assert (low, high) == pytest.approx(tuple(found), abs=1e-9)


def test_the_confusion_matrix_counts_weights():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rows, classes = int(rng.integers(1, 300)), int(rng.integers(2, 12))
        truth, answer = rng.integers(0, classes, (2, rows))
        weight = rng.random(rows)
        ours = np.zeros((classes, classes))
        curves.add_to_confusion(ours, truth, answer, weight)
        theirs = metrics.confusion_matrix(truth, answer, labels=range(classes), sample_weight=weight)
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_answers_of_a_regression_in_bins_with_students_interval():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        answer = np.sort(rng.normal(size=60))
        truth = answer + rng.standard_t(3, 60)
        ours = curves.answers_in_bins(truth, answer, 0.05)
        for i, (part, guessed) in enumerate(zip(truth.reshape(10, 6), answer.reshape(10, 6), strict=True)):
            low, high = stats.t.interval(0.9, 5, part.mean(), stats.sem(part))
            found = (ours.predicted[i], ours.happened[i], ours.low[i], ours.high[i])
            assert found == pytest.approx((guessed.mean(), part.mean(), low, high), abs=1e-9)


def test_bins_that_ties_leave_empty_are_left_out():
    answer = np.repeat([1.0, 2.0], [30, 3])
    ours = curves.answers_in_bins(np.arange(33.0), answer, 0.05)
    assert ours.predicted.tolist() == [1, 2]
    assert ours.rows.tolist() == [30, 3]
    spread = curves.spread_in_bins(answer, np.arange(33.0), (0.5,))
    assert spread.tolist() == [[1, 14.5], [2, 31]]


def test_a_long_curve_is_thinned_along_its_way_and_keeps_its_ends():
    positive, score = np.arange(20_000) % 100 == 0, np.random.default_rng(1).random(20_000)
    whole = curves.roc_curve(positive, score)
    thin = whole.thin(200)
    assert 100 < len(thin.x) <= 202
    assert (thin.x[0], thin.y[0], thin.x[-1], thin.y[-1]) == (0, 0, 1, 1)
    assert curves.area(thin) == pytest.approx(curves.area(whole), abs=0.005)
    # the short one is whole
    assert curves.roc_curve(positive[:150], score[:150]).thin(200) is not None
    assert len(curves.roc_curve(positive[:150], score[:150]).thin(200).x) == 151


def test_shares_of_a_histogram_add_up_to_one_whatever_lies_beyond():
    found = curves.shares(np.array([-5.0, 0.05, 0.95, 1.0, 7.0]), np.linspace(0, 1, 11))
    assert found[[0, 9]].tolist() == [0.4, 0.6]
    assert found.sum() == 1
