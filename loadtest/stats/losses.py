"""Metrics of probabilities that have a value per row: log loss, Brier score, top-k accuracy.

Definitions are scikit-learn's. ``scores`` has the shape (n, classes), ``truth`` the shape (n,): the place of
each row's class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

LEAST = float(np.finfo(np.float32).eps)
"""A probability counts as at least this in a logarithm: what single precision tells from 0 beside 1."""


def log_loss(scores: Floats, truth: Places) -> Floats:
    """Minus the logarithm of the true class's probability, clipped away from 0 and 1."""
    loss: Floats = -np.log(np.clip(_of_truth(scores, truth), LEAST, 1 - LEAST))
    return loss


def brier_score(scores: Floats, truth: Places) -> Floats:
    """The squared error of the probabilities, summed over classes; of two classes, that of one."""
    if scores.shape[1] == 2:
        return (scores[:, 1] - truth) ** 2
    squared: Floats = (scores**2).sum(axis=1) - 2 * _of_truth(scores, truth) + 1
    return squared


def top_k(scores: Floats, truth: Places, k: int) -> Floats:
    """1 where the true class is among the ``k`` highest scores, else 0; of equal ones the last goes first."""
    own = _of_truth(scores, truth)[:, None]
    later = np.arange(scores.shape[1]) > truth[:, None]
    before = np.asarray(((scores > own) | ((scores == own) & later)).sum(axis=1))
    hit: Floats = (before < k).astype(np.float64)
    return hit


def _of_truth(scores: Floats, truth: Places) -> Floats:
    chosen: Floats = scores[np.arange(len(truth)), truth]
    return chosen


def are_probabilities(scores: Floats) -> NDArray[np.bool_]:
    """Per row: none is negative, and they add up to 1 as far as single precision can tell."""
    in_range: NDArray[np.bool_] = (scores >= -LEAST).all(axis=1) & (np.abs(scores.sum(axis=1) - 1) < 1e-3)
    return in_range
