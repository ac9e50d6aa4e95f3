"""What pictures of scores and of errors are drawn from: curves, histograms, bins with intervals.

Definitions are scikit-learn's (``roc_curve``, ``precision_recall_curve``, ``calibration_curve``,
``confusion_matrix``). Curves have a bounded number of points, however many rows there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

from loadtest.stats.pieces import add_up
from loadtest.stats.proportions import wilson

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

BINS = 10
"""Of a reliability diagram: with equally many rows each, so that every interval is as narrow as another."""


class Curve(NamedTuple):
    """Points of a line, shape (points,) each."""

    x: Floats
    y: Floats

    def thin(self, most: int) -> Curve:
        """At most about ``most`` of the points, evenly along the line's way; the first and the last stay."""
        if len(self.x) <= most:
            return self
        way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(self.x)) + np.abs(np.diff(self.y)))])
        kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], most)).clip(0, len(way) - 1))
        kept = np.union1d(kept, [0, len(way) - 1])
        return Curve(self.x[kept], self.y[kept])


class Binned(NamedTuple):
    """Rows in bins: each bin's mean of what was predicted, what happened, its interval, and its rows."""

    predicted: Floats
    happened: Floats
    low: Floats
    high: Floats
    rows: Places


def roc_curve(positive: Flags, score: Floats) -> Curve:
    """False positive rate (x) and true positive rate (y) at each threshold, from (0, 0) to (1, 1).

    Args:
        positive: shape (n,), of both kinds.
        score: shape (n,).
    """
    hits, chosen = _at_thresholds(positive, score)
    falls = chosen - hits
    return Curve(np.append(0.0, falls / falls[-1]), np.append(0.0, hits / hits[-1]))


def precision_recall_curve(positive: Flags, score: Floats) -> Curve:
    """Recall (x) and precision (y) at each threshold, from recall 0, where precision counts as 1.

    Args:
        positive: shape (n,), at least one.
        score: shape (n,).
    """
    hits, chosen = _at_thresholds(positive, score)
    return Curve(np.append(0.0, hits / hits[-1]), np.append(1.0, hits / chosen))


def _at_thresholds(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    """Positive rows, and all rows, at or above each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    descending = score[order]
    last = np.append(np.flatnonzero(np.diff(descending)), len(score) - 1)
    return np.cumsum(positive[order])[last].astype(np.float64), last + 1.0


def area(curve: Curve) -> float:
    """Below a curve, by trapezoids: of ``roc_curve`` the ROC AUC."""
    return float(np.trapezoid(curve.y, curve.x))


def reliability(positive: Flags, probability: Floats, alpha: float) -> Binned:
    """How often what was predicted happened: Wilson's interval (1927) per bin of equally many rows.

    Bins that ties leave empty are left out.

    Args:
        positive: whether it happened, shape (n,).
        probability: that was predicted, shape (n,).
        alpha: what lies outside of an interval, on each side.
    """
    place = _quantile_bins(probability, BINS)
    rows = np.bincount(place, minlength=BINS)
    some = rows > 0
    count = rows[some]
    predicted = np.bincount(place, probability, BINS)[some] / count
    hits = np.bincount(place, positive, BINS)[some]
    z = -float(scipy.special.ndtri(alpha))
    low, high = np.array([wilson(float(h), float(n), z) for h, n in zip(hits, count, strict=True)]).T
    return Binned(predicted, hits / count, np.clip(low, 0, 1), np.clip(high, 0, 1), count)


def means_by_place(gains: Floats, alpha: float) -> Binned:
    """The mean gain in each place of ranked lists, from 1: Wilson's interval of a share, else Student's t.

    Args:
        gains: shape (rows, places).
        alpha: what lies outside of an interval, on each side.
    """
    rows, places = gains.shape
    mean = gains.mean(axis=0)
    if np.isin(gains, (0.0, 1.0)).all():
        z = -float(scipy.special.ndtri(alpha))
        low, high = np.array([wilson(float(hits), float(rows), z) for hits in gains.sum(axis=0)]).T
    else:
        half = scipy.special.stdtrit(rows - 1, 1 - alpha) * gains.std(axis=0, ddof=1) / np.sqrt(rows)
        low, high = mean - half, mean + half
    return Binned(
        np.arange(1.0, places + 1), mean, np.maximum(low, 0), high, np.full(places, rows, dtype=np.intp)
    )


def answers_in_bins(truth: Floats, answer: Floats, alpha: float, bins: int = BINS) -> Binned:
    """The mean of the labels where a regression answers about the same, with Student's t interval per bin.

    Args:
        truth: labels, shape (n,).
        answer: shape (n,).
        alpha: what lies outside of an interval, on each side.
        bins: of equally many rows; those with fewer than two rows are left out.
    """
    place = _quantile_bins(answer, bins)
    rows = np.bincount(place, minlength=bins)
    some = rows > 1
    count = rows[some]
    mean = np.bincount(place, truth, bins) / np.maximum(rows, 1)
    squares = np.bincount(place, (truth - mean[place]) ** 2, bins)[some]
    half = scipy.special.stdtrit(count - 1, 1 - alpha) * np.sqrt(squares / (count - 1) / count)
    predicted = np.bincount(place, answer, bins)[some] / count
    return Binned(predicted, mean[some], mean[some] - half, mean[some] + half, count)


def spread_in_bins(by: Floats, values: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Quantiles of ``values`` in bins of ``by``: shape (bins, 1 + quantiles), first the bin's mean of ``by``.

    Args:
        by: shape (n,); bins have equally many rows, and those without any are left out.
        values: shape (n,).
        quantiles: which.
    """
    place = _quantile_bins(by, BINS)
    parts = [place == one for one in np.unique(place)]
    return np.array([[by[part].mean(), *np.quantile(values[part], quantiles)] for part in parts])


def _quantile_bins(values: Floats, bins: int) -> Places:
    inner = np.percentile(values, np.linspace(0, 100, bins + 1))[1:-1]
    return np.asarray(np.searchsorted(inner, values), dtype=np.intp)


def shares(values: Floats, edges: Floats) -> Floats:
    """The share of ``values`` between each two ``edges``; those beyond the ends count in the outer ones."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
    return np.asarray(counts / max(len(values), 1), dtype=np.float64)


def add_to_confusion(counts: Floats, truth: Places, answer: Places, weight: Floats) -> None:
    """Count how many rows of each class (line) got each answer (column).

    Args:
        counts: so far, shape (lines, columns).
        truth: the place of each arrival's label, shape (n,).
        answer: the place of each answer, shape (n,).
        weight: of each arrival, shape (n,).
    """
    add_up(counts.reshape(-1), truth * counts.shape[1] + answer, weight)
