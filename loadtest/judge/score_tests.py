"""Gates on scores: how well they tell classes apart, and how far probabilities are from what happened.

The unit is the distinct row, as in ``loadtest.judge.quality_tests``. A request without an answer counts as
what everybody knows: the classes' shares among the labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.gate import Gate
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Floats, Outcomes, Places
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run, rows_of_slice
from loadtest.stats import bootstrap, losses, means
from loadtest.stats import discrimination as discriminations
from loadtest.stats.bootstrap import JackknifeEstimate
from loadtest.stats.discrimination import Discrimination

FEWEST = 2
"""Rows of a class, and of all others, without which nothing is known of how such a metric varies."""
FEWEST_AT_A_POINT = 20
"""The same where a threshold is chosen among the scores of positive rows, and of two classes for ``ece``."""
COMMON = 0.05
"""Share of rows below which average precision of a class promotes a worse candidate in up to 8% of runs."""
_ROUNDING = 1e-12
NEEDS = ("pair", "rows of each class", "yes", "k")
"""Those of ``Metric.needs`` that ``lacks`` looks at."""

Loss = Callable[[Floats, Places], Floats]
"""From scores, shape (n, classes), and places of classes, shape (n,), to values, shape (n,)."""


def lacks(need: str, gate: Gate, dataset: Dataset) -> str | None:
    """Why these labels do not suffice for a metric of scores; None: they do."""
    classes = dataset.classes
    if need == "pair":
        if len(classes) == 2:
            return None
        return f"{gate.metric} is for two classes, there are {len(classes)}; write {gate.metric}_ovr"
    if need == "k":
        if dataset.ranked:
            return None
        k = _k(gate)
        return None if 0 < k < len(classes) else f"of {len(classes)} classes, the top {k} say nothing"
    if need == "yes":
        if len(classes) != 2 or dataset.is_positive_last:
            return None
        return (
            f"nothing says which of {' and '.join(classes)} is the positive class; name both under [data] "
            "classes, the positive one last"
        )
    counts = np.bincount(dataset.class_places[rows_of_slice(gate, dataset)], minlength=len(classes))
    needed, instead = FEWEST, "log_loss"
    if gate.entry.test == "operating_point":
        needed, instead = FEWEST_AT_A_POINT, "roc_auc"
    if gate.metric == "ece":
        # of several classes it goes by the most probable one, whichever that is
        needed = FEWEST_AT_A_POINT if len(classes) == 2 else 0
    if gate.metric == "average_precision":
        needed = max(FEWEST, math.ceil(COMMON * counts.sum()))
        instead = "roc_auc" if len(classes) == 2 else "roc_auc_ovr"
    few = [
        (name, count)
        for name, count in zip(classes, counts.tolist(), strict=True)
        if min(count, counts.sum() - count) < needed
    ]
    if not few:
        return None
    where = f" with {gate.column}={gate.value}" if gate.column else ""
    name, count = min(few, key=lambda one: one[1])
    return (
        f"{count} of {counts.sum()} rows{where} are labelled {name}, and {gate.metric} needs {needed} of "
        f"each class; gate {instead}"
    )


def discrimination(gate: Gate, run: Run) -> Measurement:
    """ROC AUC by DeLong's variance of paired rows, average precision by the infinitesimal jackknife.

    Of more than two classes it is the mean over classes, each against all others.
    """
    evidence = run.evidence
    stable, candidate = (_discriminate(gate, run, each) for each in (evidence.stable, evidence.candidate))
    reach = abs(candidate.value - candidate.chance)
    if gate.against == "absolute":
        estimate = discriminations.estimate(
            candidate.value, candidate.influence, candidate.fewest, reach, within=(-math.inf, 1.0)
        )
    else:
        _refuse_below_chance(gate, stable)
        _refuse_chance(gate, stable, candidate)
        influence = discriminations.contrast(stable.influence, candidate.influence, paired=evidence.paired)
        fewest = min(stable.fewest, candidate.fewest)
        estimate = discriminations.estimate(candidate.value - stable.value, influence, fewest, reach)
    return Measurement(estimate, gate.margin, stable.value, candidate.value, rows=len(candidate.influence))


def _discriminate(gate: Gate, run: Run, outcomes: Outcomes) -> _Discriminated:
    rows = Rows.of(outcomes, run.dataset)
    scores = filled(outcomes, run, median=True)
    each = np.column_stack([rows.mean(column) for column in scores.T])
    return _of_each_row(gate, each, run.dataset.class_places[rows.rows])


class _Discriminated(NamedTuple):
    """Of all classes; rows of the rarest one, and the value of scores that say nothing."""

    value: float
    influence: Floats
    fewest: int
    chance: float


def _of_each_row(gate: Gate, scores: Floats, truth: Places) -> _Discriminated:
    metric: Callable[[NDArray[np.bool_], Floats], Discrimination] = discriminations.average_precision
    if gate.metric.startswith("roc_auc"):
        metric = discriminations.roc_auc
    count = scores.shape[1]
    counted = (1,) if count == 2 else range(count)
    each, sizes = [], []
    for place in counted:
        positive = truth == place
        size = int(positive.sum())
        sizes.append(min(size, len(truth) - size))
        if sizes[-1] < FEWEST:
            raise NoEvidence(f"{gate.metric} rests on {sizes[-1]} rows of one class, {FEWEST} are needed")
        each.append(metric(positive, scores[:, place]))
    chance = (
        0.5 if metric is discriminations.roc_auc else float(np.mean([(truth == p).mean() for p in counted]))
    )
    value = float(np.mean([one.value for one in each]))
    influence = np.mean([one.influence for one in each], axis=0)
    return _Discriminated(value, influence, min(sizes), chance)


def _refuse_below_chance(gate: Gate, stable: _Discriminated) -> None:
    """Two versions whose classes are in the wrong order look equal."""
    error = math.sqrt(float((stable.influence**2).sum()))
    if gate.metric.startswith("roc_auc") and stable.value + 2 * error < stable.chance:
        raise NoEvidence(
            f"stable's {gate.metric} is {stable.value:.3f}, worse than chance: the scores seem to be in "
            "another order than the classes; name them under [data] classes"
        )


def _refuse_chance(gate: Gate, stable: _Discriminated, candidate: _Discriminated) -> None:
    """Two versions that give every row the same score look equal."""
    if all(abs(each.value - each.chance) < _ROUNDING for each in (stable, candidate)):
        raise NoEvidence(
            f"{gate.metric} of both versions is {stable.value:.3g}, that of the same score for every row: "
            "check that the columns that are sent reach the models"
        )


def per_row(gate: Gate, run: Run) -> Measurement:
    """Log loss, Brier score and top-k accuracy: the mean of a value per row, by Student's t of paired rows.

    The bootstrap took as good a candidate for worse in 9% of runs of 200 rows.
    """
    evidence, truth = run.evidence, run.dataset.class_places
    loss = loss_of(gate)
    stable, candidate = (
        _values(gate, run, loss, outcomes) for outcomes in (evidence.stable, evidence.candidate)
    )
    own_s, own_c = float(stable.mean()), float(candidate.mean())
    shares = _shares(run.dataset)
    useless = float(loss(np.tile(shares, (len(truth), 1)), truth).mean())
    reach, within = abs(useless - own_c), bootstrap.ANYTHING
    if gate.against == "absolute":
        best = gate.entry.best or 0.0
        within = (-math.inf, best) if gate.higher_is_better else (best, math.inf)
        estimate = means.mean(candidate)
    elif gate.relative and own_s <= 0:
        raise NoEvidence(
            f"stable's {gate.metric} is {own_s:g}, so a share of it means nothing: give the margin as a "
            "plain number"
        )
    else:
        estimate = means.difference(stable, candidate, paired=evidence.paired, relative=gate.relative)
        reach = reach / own_s if gate.relative else reach
    rows = min(len(stable), len(candidate))
    return Measurement(
        JackknifeEstimate(estimate.value, rows, reach, estimate.error, estimate.freedom, within=within),
        *(gate.margin, own_s, own_c),
        rows=len(candidate),
    )


def _values(gate: Gate, run: Run, loss: Loss, outcomes: Outcomes) -> Floats:
    """The value of each distinct row."""
    scores = filled(outcomes, run, median=False)
    if gate.entry.name != "top_k_accuracy":
        refuse_others(outcomes, scores, "stable" if outcomes is run.evidence.stable else "the candidate")
    per_arrival = loss(scores, run.dataset.class_places[outcomes.row])
    return Rows.of(outcomes, run.dataset).mean(per_arrival)


def _shares(dataset: Dataset) -> Floats:
    truth = dataset.class_places
    return np.bincount(truth, minlength=len(dataset.classes)) / len(truth)


def loss_of(gate: Gate) -> Loss:
    """Of a metric with a value per row, that value, from scores and the places of the true classes."""
    if gate.entry.name == "top_k_accuracy":
        return partial(losses.top_k, k=_k(gate))
    return losses.log_loss if gate.entry.name == "log_loss" else losses.brier_score


def _k(gate: Gate) -> int:
    return int(dict(gate.arguments)["@"])


def refuse_others(outcomes: Outcomes, scores: Floats, name: str) -> None:
    """Raise ``NoEvidence`` where scores are no probabilities."""
    fine = losses.are_probabilities(scores)
    if not fine.all():
        bad = int(np.argmin(fine))
        shown = ", ".join(f"{score:.3g}" for score in scores[bad, :5])
        raise NoEvidence(
            f"{name} gives the scores {shown} to row {int(outcomes.row[bad])}, which are no probabilities; "
            "gate roc_auc, which only takes their order"
        )


def filled(outcomes: Outcomes, run: Run, *, median: bool) -> Floats:
    """Scores per arrival, shape (n, classes), with those of a request that has none made up.

    With ``median``, and where scores are no probabilities, the median of what the version gives takes the
    place of the classes' shares.
    """
    classes = len(run.dataset.classes)
    scores = class_scores(outcomes, classes)
    gaps = np.isnan(scores[:, 0])
    if gaps.all():
        raise NoEvidence("the samples carry no scores; measure again with this gate in the experiment")
    if gaps.any():
        fill = _shares(run.dataset)
        if median and not losses.are_probabilities(scores[~gaps]).all():
            fill = np.median(scores[~gaps], axis=0)
        scores = scores.copy()
        scores[gaps] = fill
    return scores


def class_scores(outcomes: Outcomes, classes: int) -> Floats:
    """The scores of each arrival as ``matrix`` has them; not to be written to."""
    return outcomes.once("scores", lambda: matrix(outcomes.scores, classes))


def matrix(lists: pa.Array, classes: int) -> Floats:
    """Lists of scores as a matrix, shape (n, classes), NaN where there is none; one score p is (1 - p, p).

    Raises:
        NoEvidence: a list has another length.
    """
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    values = np.asarray(pc.list_flatten(lists)).astype(np.float64)
    starts = np.cumsum(counts) - counts
    whole, single = counts == classes, (counts == 1) & (classes == 2)
    if not (whole | single | (counts == 0)).all():
        raise NoEvidence(f"the samples carry {int(counts.max())} scores, there are {classes} classes")
    if whole.all():
        return values.reshape(-1, classes)
    found = np.full((len(lists), classes), np.nan)
    if not single.any():
        found[whole] = values.reshape(-1, classes)
        return found
    found[whole] = values[starts[whole][:, None] + np.arange(classes)]
    found[single, 1] = values[starts[single]]
    found[single, 0] = 1 - found[single, 1]
    return found
