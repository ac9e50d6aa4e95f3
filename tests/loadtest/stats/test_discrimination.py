"""Discrimination and losses against scikit-learn's, with ties; their variances against the definitions."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from loadtest.stats import discrimination, losses

SETS = 200


def binary(seed):
    """Labels and scores of which many are equal; rows and prevalence at random."""
    rng = np.random.default_rng(seed)
    positive = rng.random(rng.integers(4, 300)) < rng.uniform(0.02, 0.98)
    positive[:4] = True, True, False, False
    scores = rng.normal(size=len(positive)) + rng.uniform(-1, 2) * positive
    return positive, np.round(scores, rng.integers(0, 4))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (discrimination.roc_auc, metrics.roc_auc_score),
        (discrimination.average_precision, metrics.average_precision_score),
    ],
)
def test_metrics_are_those_of_scikit_learn(ours, theirs):
    for seed in range(SETS):
        positive, scores = binary(seed)
        found = ours(positive, scores)
        assert found.value == pytest.approx(theirs(positive, scores), abs=1e-9)
        assert found.influence.sum() == pytest.approx(0, abs=1e-9)


def delong(positive, one, other):
    """The variance of the difference as the paper has it, from all pairs of rows."""
    parts = []
    for scores in (one, other):
        above, below = scores[positive][:, None], scores[~positive]
        psi = (above > below) + 0.5 * (above == below)
        parts.append((psi.mean(axis=1), psi.mean(axis=0)))
    (v10, v01), (w10, w01) = parts
    s10, s01 = np.cov([w10, v10]), np.cov([w01, v01])
    contrast = np.array([1, -1])
    return contrast @ (s10 / positive.sum() + s01 / (~positive).sum()) @ contrast


def test_the_variance_of_a_difference_is_that_of_delong():
    for seed in range(SETS):
        positive, one = binary(seed)
        other = np.round(one + np.random.default_rng(seed).normal(size=len(one)), 1)
        influences = [discrimination.roc_auc(positive, scores).influence for scores in (one, other)]
        ours = float(((influences[1] - influences[0]) ** 2).sum())
        assert ours == pytest.approx(delong(positive, one, other), rel=1e-9, abs=1e-12)


def test_an_influence_on_average_precision_is_what_a_little_more_weight_of_the_row_changes():
    positive, scores = binary(7)
    found, more = discrimination.average_precision(positive, scores), 1e-6
    hits = positive.sum()
    for row, influence in enumerate(found.influence):
        weight = np.ones(len(scores))
        weight[row] += more
        changed = metrics.average_precision_score(positive, scores, sample_weight=weight)
        by_hand = (changed - found.value) / more * np.sqrt(hits / (hits - 1))
        assert influence == pytest.approx(by_hand, abs=1e-6)


def several(seed, classes):
    """Probabilities in single precision, some of them equal, 0 or 1."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, rng.integers(1, 200))])
    weights = (
        np.round(rng.dirichlet(np.ones(classes), len(truth)), rng.integers(1, 6))
        + (rng.random(len(truth)) < 0.1)[:, None] * np.eye(classes)[truth] * 1e9
    )
    weights += (weights.sum(axis=1) == 0)[:, None]
    return truth, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_losses_are_those_of_scikit_learn(classes):
    labels = np.arange(classes)
    for seed in range(SETS):
        truth, scores = several(seed, classes)
        # scikit-learn clips by the precision of what it is given
        clipped = np.clip(scores, losses.LEAST, 1 - losses.LEAST)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that single precision does not add up to 1
            log_loss = metrics.log_loss(truth, clipped, labels=labels)
            brier = metrics.brier_score_loss(truth, scores[:, 1] if classes == 2 else scores, labels=labels)
        assert losses.log_loss(scores, truth).mean() == pytest.approx(log_loss, abs=1e-9)
        assert losses.brier_score(scores, truth).mean() == pytest.approx(brier, abs=1e-9)
        for k in {1, classes // 2, classes - 1} if classes > 2 else ():
            theirs = metrics.top_k_accuracy_score(truth, scores, k=k, labels=labels)
            assert losses.top_k(scores, truth, k).mean() == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "are"),
    [
        ([0.3, 0.7], True),
        # what single precision makes of them
        ([np.float32(0.1), 1 - np.float32(0.1)], True),
        ([1.0, 0.0], True),
        # margins, one-against-rest, logits
        ([-0.5, 1.5], False),
        ([0.6, 0.7], False),
        ([2.5, -3.0], False),
    ],
)
def test_what_are_probabilities(scores, are):
    assert losses.are_probabilities(np.array([scores], dtype=float)).tolist() == [are]
