"""The best precision at a recall, and the best recall at a precision, over all thresholds of a score.

Definitions are those of TorchMetrics' ``BinaryPrecisionAtFixedRecall`` and ``BinaryRecallAtFixedPrecision``;
equal scores are one threshold. A maximum over thresholds has no influence per row, so it is bootstrapped:
groups of rows are drawn, and of each draw the best threshold is found anew.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.stats.bootstrap import draws, groups

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Kind = Literal["precision", "recall"]

THRESHOLDS = 512
"""How many are tried in each draw: the scores of positive rows, or quantiles of them."""
_REPLICATES = 1_000
_ROUNDING = 1e-12


class Tallies(NamedTuple):
    """Rows by group and by the threshold that they first reach, shape (groups, thresholds + 1) each.

    Rows below all thresholds are in the last column.
    """

    positive: NDArray[np.float32]
    negative: NDArray[np.float32]


def best(positive: Flags, score: Floats, least: float, kind: Kind) -> float:
    """The best ``kind`` where the other of the two is at least ``least``; of recall 0 where none is.

    Args:
        positive: shape (n,), at least one is.
        score: shape (n,).
        least: in (0, 1].
        kind: what is maximised.
    """
    scores = np.unique(score[positive])[::-1]
    return float(_best(*_counts(positive, score, scores), least, kind))


def tallies(positive: Flags, score: Floats) -> Tallies:
    """What the draws are made of: the rows in at most a thousand groups, and at most ``THRESHOLDS``."""
    scores = np.unique(score[positive])[::-1]
    if len(scores) > THRESHOLDS:
        scores = np.unique(np.quantile(score[positive], np.linspace(0, 1, THRESHOLDS), method="lower"))[::-1]
    group, place = groups(len(score)), _places(score, scores)
    count, width = int(group.max()) + 1, len(scores) + 1
    flat = group * width + place
    sides = (np.bincount(flat[side], minlength=count * width) for side in (positive, ~positive))
    return Tallies(*(side.reshape(count, width).astype(np.float32) for side in sides))


def replicates(of: Tallies, least: float, kind: Kind, seed: int = 0) -> Floats:
    """The metric of each draw minus that of all rows at the same thresholds, shape (replicates,).

    NaN of a draw without a positive row. Two versions of the same rows get the same draws by the same seed.
    """
    times = draws(len(of.positive), seed)[:_REPLICATES].astype(np.float32)
    drawn = _best(times @ of.positive, times @ of.negative, least, kind)
    return np.asarray(drawn - _best(of.positive.sum(axis=0), of.negative.sum(axis=0), least, kind))


def _places(score: Floats, descending: Floats) -> NDArray[np.intp]:
    """The first of the thresholds that each score reaches."""
    return np.searchsorted(-descending, -score)


def _counts(positive: Flags, score: Floats, descending: Floats) -> tuple[Floats, Floats]:
    place, width = _places(score, descending), len(descending) + 1
    return tuple(np.bincount(place[side], minlength=width) * 1.0 for side in (positive, ~positive))  # type: ignore[return-value]


def _best(positive: NDArray[np.floating], negative: NDArray[np.floating], least: float, kind: Kind) -> Floats:
    """From rows per threshold, the last axis, to the metric; NaN where no row is positive."""
    hits = np.cumsum(positive, axis=-1, dtype=np.float64)
    answered = hits + np.cumsum(negative, axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        recall = hits / hits[..., -1:]
        precision = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
    held, wanted = (recall, precision) if kind == "precision" else (precision, recall)
    found: Floats = np.where(held >= least - _ROUNDING, wanted, 0.0).max(axis=-1)
    return np.where(hits[..., -1] > 0, found, np.nan)
