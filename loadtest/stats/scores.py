"""Metrics of whole sets of answers as functions of sums over rows, for the bootstrap.

Classification sums are, per class: hits, answers, truths (three equal runs of columns, the last class of
each standing for answers that are no label); definitions and names are scikit-learn's. A score of one class,
or of Matthews or Cohen, that is 0/0 is NaN: undefined is no evidence. In an average over classes such a class
counts as 0, as with scikit-learn. Regression sums are what the metric adds up (such as |error|), label, label
squared, rows, error, with labels and errors counted from their mean, or squares far from zero would lose
their last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def value_per_thousand(sums: Floats) -> Floats:
    """What 1,000 rows earn; sums are earned, rows."""
    return 1000 * sums[:, 0] / sums[:, 1]


def mean(sums: Floats) -> Floats:
    """The mean over rows: of absolute errors, the MAE."""
    return sums[:, 0] / sums[:, 3]


def root_mean(sums: Floats) -> Floats:
    """Its square root: of squared errors, the RMSE."""
    return np.sqrt(mean(sums))


def r2(sums: Floats) -> Floats:
    """From squared errors, the share of the labels' variance that is explained."""
    squared, label, label_squared, rows, _ = sums.T
    explained: Floats = 1 - squared / (label_squared - label**2 / rows)
    return explained


def explained_variance(sums: Floats) -> Floats:
    """The same from errors about their own mean: an offset of all answers costs nothing."""
    squared, label, label_squared, rows, error = sums.T
    explained: Floats = 1 - (squared - error**2 / rows) / (label_squared - label**2 / rows)
    return explained


def classification(name: str, positive: int | None) -> Callable[[Floats], Floats]:
    """A metric by its scikit-learn name, such as ``f1_macro`` or ``balanced_accuracy``.

    Args:
        name: of a metric whose ``test`` is ``classification``.
        positive: the class that counts as yes, for a name without an average.
    """
    if name.endswith("likelihood_ratio"):
        return _likelihood_ratio(1 if positive is None else positive, by_yes=name.startswith("positive"))
    if name == "balanced_accuracy":
        return lambda sums: _mean_where(_SCORES["recall"](*_parts(sums)), _parts(sums)[2] > 0)
    if name == "matthews_corrcoef":
        return _matthews
    if name == "cohen_kappa":
        return _kappa
    base, _, average = name.partition("_")
    if positive is not None:
        return _of_one_class(base, positive)
    score = _SCORES[base]

    def metric(sums: Floats) -> Floats:
        hits, answers, truths = _parts(sums)
        if average == "micro":
            totals = (part.sum(axis=1, keepdims=True) for part in (hits, answers, truths))
            return score(*totals)[:, 0]
        # answers that are no label are missed truths, but no class of their own
        per_class = score(hits[:, :-1], answers[:, :-1], truths[:, :-1])
        if average == "weighted":
            return _ratio((per_class * truths[:, :-1]).sum(axis=1), truths[:, :-1].sum(axis=1))
        return _mean_where(per_class, (answers + truths)[:, :-1] > 0)

    return metric


_SCORES: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "precision": lambda hits, answers, _: _ratio(hits, answers),
    "recall": lambda hits, _, truths: _ratio(hits, truths),
    "f1": lambda hits, answers, truths: _ratio(2 * hits, answers + truths),
    "jaccard": lambda hits, answers, truths: _ratio(hits, answers + truths - hits),
}
_BEHIND: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "precision": lambda _, answers, __: answers,
    "recall": lambda _, __, truths: truths,
    "f1": lambda hits, answers, truths: answers + truths - hits,
    "jaccard": lambda hits, answers, truths: answers + truths - hits,
}
"""How many rows a score of one class rests on; of none, it is undefined."""


def rows_behind(name: str, positive: int | None, sums: Floats) -> float:
    """How many of the rows a classification metric rests on, by its rarest class.

    One row moves a recall of 20 positives as much as it moves an accuracy of 20 rows, however many negatives
    stand beside them.

    Args:
        name: of the metric.
        positive: the class that counts as yes, for a name without an average.
        sums: shape (groups, features).
    """
    hits, answers, truths = _parts(sums.sum(axis=0, keepdims=True))
    rows = float(truths.sum())
    there = truths[0, :-1][truths[0, :-1] > 0]
    if positive is not None:
        base = name.partition("_")[0]
        if base not in _BEHIND:  # likelihood ratios need both classes
            return float(truths[0, :-1].min())
        return float(_BEHIND[base](hits, answers, truths)[0, positive])
    if name.endswith(("_micro", "_weighted")) or not len(there):
        return rows
    return min(rows, len(there) * float(there.min()))


def _of_one_class(base: str, positive: int) -> Callable[[Floats], Floats]:
    score = _SCORES[base]

    def metric(sums: Floats) -> Floats:
        parts = _parts(sums)
        values = score(*parts)[:, positive]
        return np.where(_BEHIND[base](*parts)[:, positive] > 0, values, np.nan)

    return metric


def _parts(sums: Floats) -> tuple[Floats, Floats, Floats]:
    hits, answers, truths = np.split(sums, 3, axis=1)
    return hits, answers, truths


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _likelihood_ratio(positive: int, *, by_yes: bool) -> Callable[[Floats], Floats]:
    """Of two classes. An answer that is no label is a wrong one of its class."""

    def metric(sums: Floats) -> Floats:
        hits, _, truths = _parts(sums)
        rates = _ratio(hits, truths)
        sensitivity, specificity = rates[:, positive], rates[:, 1 - positive]
        above, below = (sensitivity, 1 - specificity) if by_yes else (1 - sensitivity, specificity)
        defined = (below > 0) & (truths[:, :-1].min(axis=1) > 0)
        return np.divide(above, below, out=np.full_like(above, np.nan), where=defined)

    return metric


def _mean_where(per_class: Floats, counted: NDArray[np.bool_]) -> Floats:
    return _ratio((per_class * counted).sum(axis=1), counted.sum(axis=1).astype(np.float64))


def _matthews(sums: Floats) -> Floats:
    hits, answers, truths = _parts(sums)
    rows = truths.sum(axis=1)
    together = hits.sum(axis=1) * rows - (answers * truths).sum(axis=1)
    apart = (rows**2 - (answers**2).sum(axis=1)) * (rows**2 - (truths**2).sum(axis=1))
    return np.where(apart > 0, _ratio(together, np.sqrt(np.maximum(apart, 0))), np.nan)


def _kappa(sums: Floats) -> Floats:
    hits, answers, truths = _parts(sums)
    rows = truths.sum(axis=1)
    expected = (answers * truths).sum(axis=1) / rows
    beyond = rows - expected
    kappa = np.divide(hits.sum(axis=1) - expected, beyond, out=np.full_like(rows, np.nan), where=beyond > 0)
    return np.asarray(kappa)
