"""Gates on the quality of answers. Distinct rows are the unit: a row that was replayed ten times is one row,
and so are ten rows with the same content (``loadtest.data.row_content``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import METRICS
from loadtest.judge.answered_values import answers_of, truth_of
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Flags, Floats, Outcomes
from loadtest.judge.paired_outcomes import Evidence, NoEvidence
from loadtest.judge.run import Run
from loadtest.stats import bootstrap, scores
from loadtest.stats.estimate import Estimate
from loadtest.stats.pieces import add_up, pieces, taken
from loadtest.stats.proportions import IndependentDifference, PairedDifference, Share
from loadtest.stats.sequential import PairedBets

LARGEST = 1e75
"""Of an answer or a label, what can still be squared, added up and squared again."""

FEWEST = 2
"""Distinct rows without which nothing is known of how a mean varies."""


def accuracy(gate: Gate, run: Run) -> Measurement:
    """Share of distinct rows answered correctly; Tango's interval for pairs, Newcombe's for two streams.

    Pairs that are looked at ``often`` are bet on, each row once: what a row's first replay will answer is not
    known before, what its second will is.
    """
    evidence = run.evidence
    if evidence.often and evidence.paired:
        evidence = evidence.first_of_each_row(run.dataset.content)
    s_rows, c_rows = Rows.of(evidence.stable, run.dataset), Rows.of(evidence.candidate, run.dataset)
    s, c = s_rows.mean(evidence.stable.correct), c_rows.mean(evidence.candidate.correct)
    estimate: Estimate
    if gate.against == "absolute":
        effect = _bursts(evidence, evidence.candidate)
        estimate = Share(float(c.sum()) / effect, len(c) / effect)
    elif evidence.paired:
        effect = _paired_bursts(evidence)
        change = c - s
        gained, lost = float(change[change > 0].sum()), float(-change[change < 0].sum())
        kind = PairedBets if evidence.often else PairedDifference
        estimate = kind(gained / effect, lost / effect, len(change) / effect)
    else:
        s_effect, c_effect = _bursts(evidence, evidence.stable), _bursts(evidence, evidence.candidate)
        estimate = IndependentDifference(
            float(c.sum()) / c_effect, len(c) / c_effect, float(s.sum()) / s_effect, len(s) / s_effect
        )
    return Measurement(estimate, gate.margin, float(s.mean()), float(c.mean()), rows=len(c))


def _paired_bursts(evidence: Evidence) -> float:
    # answers depend on the row alone until errors come, and those come in bursts
    if not (evidence.stable.failed.any() or evidence.candidate.failed.any()):
        return 1.0
    evidence.await_first_analysis()
    if len(evidence.stable) != len(evidence.candidate):  # the same rows, sent at other times
        return max(_bursts(evidence, evidence.stable), _bursts(evidence, evidence.candidate))
    change = evidence.candidate.correct.view(np.int8) - evidence.stable.correct.view(np.int8)
    return evidence.bursts(evidence.stable, change)


def _bursts(evidence: Evidence, outcomes: Outcomes) -> float:
    if not outcomes.failed.any():
        return 1.0
    return evidence.bursts(outcomes, outcomes.correct.view(np.int8))


def classification(gate: Gate, run: Run) -> Measurement:
    """A score of scikit-learn that is a function of hits, answers and truths per class."""
    positive = positive_class(gate, run.dataset)
    metric = scores.classification(gate.metric, positive)
    behind = partial(scores.rows_behind, gate.metric, positive)
    sums = partial(_classification_sums, run.dataset)
    return resampled(gate, run, metric, sums, gate.entry.useless or 0.0, behind)


def value(gate: Gate, run: Run) -> Measurement:
    """What 1,000 requests earn."""
    return resampled(gate, run, scores.value_per_thousand, partial(_value_sums, run.dataset), 0.0)


def regression(gate: Gate, run: Run) -> Measurement:
    """A function of sums over rows of labels and numbers that were answered; see ``Metric.per_row``."""
    entry, labels = gate.entry, truth_of(gate, run.dataset)
    centre = float(labels.mean())

    def sums(outcomes: Outcomes, rows: Rows, group: NDArray[np.intp]) -> Floats:
        truth, guess, part = row_errors(gate, run, outcomes)
        apart, error = truth - centre, guess - truth
        columns = [rows.mean(column) for column in (part, apart, apart**2, error - error.mean())]
        columns.insert(3, np.ones(len(rows.rows)))
        return sums_of_groups(columns, group)

    useless = entry.useless
    if useless is None:
        part = _per_row(gate, labels, np.full(len(labels), centre))
        useless = float(entry.of_sums(np.array([[part.mean(), 0.0, 0.0, 1.0, 0.0]]))[0])
    return resampled(gate, run, entry.of_sums, sums, useless)


def row_errors(gate: Gate, run: Run, outcomes: Outcomes) -> tuple[Floats, Floats, Floats]:
    """Labels, answers and what each adds to the metric of a regression, shape (arrivals,) each.

    Raises:
        NoEvidence: an answer is so large, or of such a kind, that the metric is undefined.
    """
    labels = truth_of(gate, run.dataset)
    truth = labels[outcomes.row]
    # an answer that never came is worth what no model is worth: the mean of the labels
    guess = np.where(outcomes.failed, labels.mean(), answers_of(gate, run, outcomes))
    part = _per_row(gate, truth, guess)
    with np.errstate(invalid="ignore"):
        huge = ~(np.abs(guess) <= LARGEST)
        bad = huge | ~np.isfinite(part)
    if bad.any():
        first = int(np.argmax(bad))
        why = "no error of that can be added up" if huge[first] else f"{gate.metric} of that is undefined"
        refuse(outcomes, run, guess, bad, why)
    return truth, guess, part


def _per_row(gate: Gate, truth: Floats, guess: Floats) -> Floats:
    per_row, number = gate.entry.per_row, gate.number
    if per_row is None:
        raise TypeError(f"the metric {gate.metric} has no formula")
    with np.errstate(all="ignore"):
        return per_row(truth, guess) if number is None else per_row(truth, guess, number)


def refuse(outcomes: Outcomes, run: Run, answers: Floats, bad: Flags, why: str) -> None:
    """Raise ``NoEvidence`` on answers of which nothing can be computed, shape (arrivals,): infinite, 1e239
    for a price, or below 0 for a count."""
    name = "stable" if outcomes is run.evidence.stable else "the candidate"
    places = np.flatnonzero(bad)
    # not as it came: 1e239 may be written in 240 digits
    text, row = f"{answers[places[0]]:.6g}", int(outcomes.row[places[0]])
    rest = len(places) - 1
    more = f" (and {rest:,} more answer{'s' if rest > 1 else ''})" if rest else ""
    raise NoEvidence(f"{name} answers {text} to row {row}{more}, and {why}")


def resampled(
    gate: Gate,
    run: Run,
    metric: bootstrap.Metric,
    sums: Callable[[Outcomes, Rows, NDArray[np.intp]], Floats],
    useless: float,
    behind: Callable[[Floats], float] | None = None,
) -> Measurement:
    """Any metric that is a function of sums over rows.

    ``metric`` goes from sums to the metric, ``sums`` from one version's outcomes to sums over groups of its
    rows. ``useless`` is the metric's value when every answer is. ``behind`` says from the sums on how many
    rows the metric rests; None: on all.
    """
    evidence = run.evidence
    s_rows, c_rows = Rows.of(evidence.stable, run.dataset), Rows.of(evidence.candidate, run.dataset)
    s_sums = sums(evidence.stable, s_rows, bootstrap.groups(len(s_rows.rows)))
    c_sums = sums(evidence.candidate, c_rows, bootstrap.groups(len(c_rows.rows)))
    own_s, own_c = (float(metric(each.sum(axis=0, keepdims=True))[0]) for each in (s_sums, c_sums))
    counted = [("stable", own_s)] if gate.against == "stable" else []
    undefined = [name for name, own in (*counted, ("the candidate", own_c)) if not np.isfinite(own)]
    if undefined:
        raise NoEvidence(f"{gate.metric} of {' and '.join(undefined)} is undefined on these rows: it is 0/0")
    reach = abs(useless - own_c)
    if behind is None and min(len(s_rows.rows), len(c_rows.rows)) < FEWEST:
        raise NoEvidence(f"{gate.metric} rests on 1 distinct row, {FEWEST} are needed to see how rows differ")
    n = float(min(len(s_rows.rows), len(c_rows.rows)))
    if behind is not None:
        n = min(n, behind(c_sums), *([behind(s_sums)] if gate.against == "stable" else []))
    # the far tails that many analyses need would take more replicates than a second has time for
    resample = not evidence.often
    estimate: Estimate
    if gate.against == "absolute":
        level = bootstrap.level(c_sums, metric, rows=n, reach=reach, resample=resample)
        best = gate.entry.best
        if best is not None:
            level = replace(level, within=(-math.inf, best) if gate.higher_is_better else (best, math.inf))
        estimate = level
    else:
        if gate.relative and own_s <= 0:
            raise NoEvidence(
                f"stable's {gate.metric} is {own_s:g}, so a share of it means nothing: give the margin as a "
                "plain number"
            )
        estimate = bootstrap.difference(
            s_sums,
            c_sums,
            metric,
            relative=gate.relative,
            paired=evidence.paired,
            rows=n,
            reach=reach / own_s if gate.relative else reach,
            resample=resample,
            errors=gate.entry.test == "regression",
        )
    if not np.isfinite(estimate.value):
        raise NoEvidence(f"{gate.metric} is undefined on these rows")
    return Measurement(estimate, gate.margin, own_s, own_c, rows=len(c_rows.rows))


def sums_of_groups(columns: list[Floats], group: NDArray[np.intp]) -> Floats:
    """Sums of per-row columns over groups, shape (groups, columns)."""
    count = int(group.max()) + 1
    return np.column_stack([np.bincount(group, weights=column, minlength=count) for column in columns])


def _value_sums(dataset: Dataset, outcomes: Outcomes, rows: Rows, group: NDArray[np.intp]) -> Floats:
    if dataset.values is None:
        raise NoEvidence("the experiment names no value column; set [data] value")
    earned, correct = np.zeros(len(rows.rows)), outcomes.correct
    for piece in pieces(len(outcomes)):
        row = outcomes.row[piece]
        add_up(earned, rows.places[row], dataset.values[row] * correct[piece] * rows.shares[row])
    if not np.isfinite(earned).all():
        raise NoEvidence("the value column has empty cells; fill them")
    return sums_of_groups([earned, np.ones(len(earned))], group)


def _classification_sums(dataset: Dataset, outcomes: Outcomes, rows: Rows, group: NDArray[np.intp]) -> Floats:
    """Per class: hits, answers, truths; the last class stands for answers that are no label at all."""
    classes, label = np.unique(np.asarray(dataset.labels, dtype=str), return_inverse=True)
    count, width = int(group.max()) + 1, len(classes) + 1
    hits, answers, truths = (np.zeros(count * width) for _ in range(3))
    correct, failed = outcomes.correct, outcomes.failed
    answered = places_of_classes(outcomes.prediction, classes.tolist())
    for piece in pieces(len(outcomes)):
        row, right = outcomes.row[piece], correct[piece]
        truth, answer = label[row], answered[piece].astype(np.intp)
        # `correct` is the recorder's judgement, made with the model's own types: it decides
        answer = np.where(right, truth, np.where(answer == truth, len(classes), answer))
        answer[failed[piece]] = len(classes)
        of_arrival, share = group[rows.places[row]] * width, rows.shares[row]
        add_up(hits, of_arrival + truth, share * right)
        add_up(answers, of_arrival + answer, share)
        add_up(truths, of_arrival + truth, share)
    return np.hstack([table.reshape(count, width) for table in (hits, answers, truths)])


def places_of_classes(predictions: pa.Array, classes: Sequence[str]) -> NDArray[np.unsignedinteger]:
    """Where each answer stands among the classes; behind the last one where it is none of them."""
    encoded = predictions if pa.types.is_dictionary(predictions.type) else predictions.dictionary_encode()
    place = {text: i for i, text in enumerate(classes)}
    known = [place.get(text, len(classes)) for text in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(known)).to_numpy()
    return taken(np.array([*known, len(classes)], dtype=np.min_scalar_type(len(classes))), codes)


def positive_class(gate: Gate, dataset: Dataset) -> int | None:
    """Where the positive class stands among the labels in the order of their letters.

    For a score of two classes without an average; None for any other.

    Raises:
        NoEvidence: the labels do not say which class counts as yes, or no row has it.
    """
    if "positive class" not in gate.entry.needs:
        return None
    classes = np.unique(np.asarray(dataset.labels, dtype=str)).tolist()
    signs = [("1", "0"), ("1.0", "0.0"), ("True", "False"), ("true", "false")]
    if len(dataset.named_classes) == 2:
        signs = [(dataset.named_classes[1], dataset.named_classes[0])]
    for yes, no in signs:
        if yes in classes and len(classes) <= 2:
            return int(classes.index(yes))
        if classes == [no]:
            raise NoEvidence(f"no row is labelled {yes}, so it would be 0/0")
    instead = f"; write {gate.metric}_macro" if f"{gate.metric}_macro" in METRICS else ""
    also = ", or name both labels under [data] classes, the positive one last" if len(classes) == 2 else ""
    raise NoEvidence(f"{gate.metric} is for the labels 0 and 1{instead}{also}")
