"""How well scores tell classes apart, each metric with every row's influence on it, in O(n log n).

DeLong, DeLong and Clarke-Pearson 1988, Comparing the areas under two or more correlated receiver operating
characteristic curves, Biometrics 44; the placements by ranks: Sun and Xu 2014, IEEE Signal Processing
Letters 21. Average precision has no such closed form: its influences are those of the infinitesimal jackknife
(Jaeckel 1972; Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.stats.bootstrap import ANYTHING, JackknifeEstimate
from loadtest.stats.means import freedom

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Discrimination(NamedTuple):
    """A metric of one version's scores.

    Args:
        value: of all rows.
        influence: of each row, shape (n,), which sum up to 0 per class for ROC AUC and over all rows for
            average precision; the metric's variance is about the sum of their squares.
    """

    value: float
    influence: Floats


def roc_auc(positive: Flags, score: Floats) -> Discrimination:
    """The chance that a positive row has the higher score than a negative one, ties counted as a half.

    Args:
        positive: shape (n,), at least two rows of each kind.
        score: shape (n,).
    """
    m, n = int(positive.sum()), int((~positive).sum())
    high, low = score[positive], score[~positive]
    placement = np.empty(len(score))
    # the share of the other kind that a row stands on the right side of
    placement[positive] = _below(high, low) / n
    placement[~positive] = 1 - _below(low, high) / m
    value = float(placement[positive].mean())
    # scaled so that the sum of squares is DeLong's variance, S10 / m + S01 / n
    scale = np.where(positive, 1 / np.sqrt(m * (m - 1.0)), 1 / np.sqrt(n * (n - 1.0)))
    return Discrimination(value, (placement - value) * scale)


def _below(scores: Floats, others: Floats) -> Floats:
    """How many of ``others`` lie below each score, shape of ``scores``; equal ones count as a half."""
    ascending = np.sort(others)
    before = np.searchsorted(ascending, scores, "left") + np.searchsorted(ascending, scores, "right")
    return np.asarray(before / 2)


def average_precision(positive: Flags, score: Floats) -> Discrimination:
    """The mean of the precision at each threshold, weighted by the gain in recall; ties are one threshold.

    Args:
        positive: shape (n,), at least two rows.
        score: shape (n,).
    """
    order = np.argsort(-score, kind="stable")
    descending, hit = score[order], positive[order].astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(descending)), len(score) - 1)
    group = np.concatenate([[0], np.cumsum(np.diff(descending) != 0)])
    hits, rows = np.cumsum(hit)[last], last + 1.0
    gained, total = np.diff(hits, prepend=0.0), hits[-1]
    precision = hits / rows
    value = float((gained * precision).sum() / total)
    # a row's weight moves the precision at its own threshold and at all lower ones
    below_hit = np.cumsum((gained / rows)[::-1])[::-1] / total
    below_any = np.cumsum((gained * hits / rows**2)[::-1])[::-1] / total
    moved = hit * ((precision[group] - value) / total + below_hit[group]) - below_any[group]
    influence = np.empty(len(score))
    influence[order] = moved
    return Discrimination(value, influence * np.sqrt(total / (total - 1)))


def contrast(stable: Floats, candidate: Floats, *, paired: bool) -> Floats:
    """Influences on the candidate's value minus stable's; of ``paired`` versions row by row."""
    return candidate - stable if paired else np.concatenate([candidate, -stable])


def estimate(
    value: float,
    influence: Floats,
    rarest: int,
    reach: float,
    within: tuple[float, float] = ANYTHING,
) -> JackknifeEstimate:
    """A metric, or a difference of two, by Student's t.

    ``rarest`` are the rows of the rarer class: of few positives little is known, however many rows there are.
    For ``reach`` and ``within`` see ``loadtest.stats.bootstrap.Unseen``.
    """
    error = math.sqrt(float((influence**2).sum()))
    return JackknifeEstimate(
        value, rarest, reach, error, freedom(influence, most=max(rarest - 1, 1)), within=within
    )
