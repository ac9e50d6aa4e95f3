"""What can be said of an experiment's gates before any load: do they fit this evaluation set?"""

from __future__ import annotations

import difflib

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.gate_name import quoted
from loadtest.experiment.metrics import QUALITY
from loadtest.judge import score_tests
from loadtest.judge.answered_values import truth_of
from loadtest.judge.layout import is_paired
from loadtest.judge.metric_tests import TESTS
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.quality_tests import LARGEST, positive_class
from loadtest.judge.run import rows_of_slice
from loadtest.stats.row_errors import LABELS

_SHOWN = 8
_OF_BOTH = ("agreement", "score_shift", "ranking_overlap")
"""Tests that hold the answers of the two versions to each row against each other."""


def check_gates(experiment: Experiment, dataset: Dataset | None) -> None:
    """Refuse gates that these rows can never decide; without rows yet, those that no row could.

    Raises:
        GateError: a gate names a column or value that is not there, or a metric of the other task.
        ExperimentError: the traffic needs labels.
    """
    if dataset is not None:
        check_labels(experiment, dataset)
        check_threshold(experiment, dataset)
    for gate in experiment.gates:
        problem = None
        if gate.entry.test not in TESTS:
            problem = f"one load says nothing of the {gate.metric}; use loadproof capacity --gate"
        elif not gate.entry.fits(experiment.data.task):
            task, fits = gate.entry.task, QUALITY[experiment.data.task]
            if gate.entry.test in _OF_BOTH:
                fits = "agreement >= 99.5%"
            problem = f"{gate.metric} is for {task}s; set [data] task = {task!r}, or gate {fits}"
        elif missing := _no_output(gate, experiment):
            problem = missing
        elif dataset is not None and gate.entry.task and not dataset.labelled and not gate.entry.absolute:
            instead = "agreement@10" if dataset.ranked else "agreement"
            problem = (
                f"{gate.metric} needs labels, and {_no_label(experiment, dataset)}; name the label column "
                f"under [data] label, or gate {instead} >= 99.5%"
            )
        elif gate.entry.test in _OF_BOTH and not is_paired(experiment.load):
            problem = f'{gate.metric} needs each row answered by both versions; set [load] traffic = "duet"'
        elif (
            gate.entry.test in _OF_BOTH
            and gate.needs_scores
            and (why := _no_scores(gate, experiment, dataset))
        ):
            problem = why
        elif beyond := _beyond_timeout(gate, experiment.load.timeout):
            problem = beyond
        elif dataset is not None and gate.column not in (None, *dataset.columns.column_names):
            problem = _no_column(gate, dataset)
        elif dataset is not None and gate.column and not rows_of_slice(gate, dataset).any():
            there = _first_of(dataset.values_of(gate.column))
            problem = f"no row has {quoted(gate.column)}={quoted(gate.value or '')}; there are {there}"
        elif gate.interim == "scored" and experiment.load.until_decided:
            problem = (
                f"{gate.metric} is judged at the end of the load, and [load] until_decided ends it before; "
                "set that to false"
            )
        elif lacking := [
            why for need in gate.entry.needs if (why := _lacks(need, gate, experiment, dataset))
        ]:
            problem = lacking[0]
        elif dataset is not None and gate.entry.task == "regression":
            problem = _huge_labels(gate, dataset)
        if problem:
            raise GateError(f"gate {gate.expression!r}: {problem}")


def check_labels(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse traffic whose users report the true outcome, where there is none.

    Raises:
        ExperimentError: the evaluation set has no labels.
    """
    traffic, relevant = experiment.load.traffic, dataset.relevant
    if traffic in ("canary", "shadow") and relevant is not None and not relevant.single:
        row = next(row for row, items in enumerate(relevant.items) if len(items) > 1)
        raise ExperimentError(
            f"{traffic} traffic reports one item that the user wanted, and row {row} of {dataset.path} has "
            f"{len(relevant.items[row])}; label each row with one, or use duet traffic"
        )
    if traffic in ("canary", "shadow") and not dataset.labelled:
        raise ExperimentError(
            f"{traffic} traffic reports the true outcome of requests, and {_no_label(experiment, dataset)}; "
            "name the label column under [data] label, or use duet traffic"
        )


def check_threshold(experiment: Experiment, dataset: Dataset) -> None:
    """Refuse a threshold where nothing says which of two classes it makes.

    Raises:
        ExperimentError: there are not two classes, or the positive one is not known.
    """
    classes = dataset.classes
    if experiment.data.threshold is None or dataset.is_positive_last:
        return
    found = (
        f"nothing says which of {' and '.join(classes)} is the positive class"
        if len(classes) == 2
        else f"the evaluation set has {len(classes)}"
    )
    raise ExperimentError(
        f"[data] threshold is for two classes, and {found}; name both under [data] classes, the positive one "
        "last"
    )


def _no_output(gate: Gate, experiment: Experiment) -> str | None:
    """Why a gate's outputs are not compared, or nothing says which it is about; None: all is well."""
    data, named = experiment.data, gate.outputs
    if not named:
        if gate.entry.task != "regression" or not data.outputs or data.label is not None:
            return None
        return (
            f"[data] names outputs and no label; write {gate.metric}[output={next(iter(data.outputs))}], or "
            "name under [data] label the true value of what the versions answer"
        )
    if others := [name for name in named if name not in data.outputs]:
        if not data.outputs:
            return (
                "the experiment names no outputs; write each under [data.outputs] with the column of its "
                f'true value, such as {others[0]} = "{data.label_column}"'
            )
        return f"[data.outputs] does not name {others[0]!r}; it has {', '.join(data.outputs)}"
    columns = [data.outputs[name] for name in named]
    if len(set(columns)) > 1:
        return (
            f"{named[0]} and {named[1]} have different true values, {columns[0]} and {columns[1]}, and the "
            "ends of an interval have one"
        )
    return None


def _no_scores(gate: Gate, experiment: Experiment, dataset: Dataset | None) -> str | None:
    """Why there are no scores to compare, without labels; None: there are."""
    if experiment.data.task == "regression":
        return (
            f"a regression has no scores; write {gate.metric} without [scores=]"
            if gate.arguments[0][0] == "scores"
            else None
        )
    if dataset is None or dataset.classes:
        return None
    return "nothing says which classes there are scores of; name them in their order under [data] classes"


def _no_label(experiment: Experiment, dataset: Dataset) -> str:
    if experiment.load.replay is not None and dataset.recorded is not None:
        return f"{experiment.load.replay} does not have one for each request"
    there = _first_of(dataset.columns.column_names)
    return f"{dataset.path} has no column {experiment.data.label_column!r}; it has {there}"


def _first_of(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(quoted, names[:_SHOWN])) + more


def _no_column(gate: Gate, dataset: Dataset) -> str:
    """Why a slice has no column, and how to write what was meant."""
    column, value, takes = gate.column or "", gate.value or "", gate.entry.takes
    if column in dataset.left_out:
        return f"column {column!r} of the evaluation set {dataset.left_out[column]}, so no slice is by it"
    for name in dataset.columns.column_names:
        # the first = of a slice ends the column's name
        if "=" in name and f"{column}={value}".startswith(f"{name}="):
            rest = f"{column}={value}"[len(name) + 1 :]
            return f"write [{quoted(name)}={quoted(rest)}], because the column's name has '=' in it"
    if near := difflib.get_close_matches(column, [name for name in takes if name.isalpha()], 1):
        return f"the evaluation set has no column {column!r}; did you mean [{near[0]}={value}]?"
    names = ", ".join(map(quoted, dataset.columns.column_names))
    return f"the evaluation set has no column {column!r}; it has {names}"


def _beyond_timeout(gate: Gate, timeout: float) -> str | None:
    """Why a latency gate can never fail: requests are given up at the time-out; nothing beyond it is seen."""
    if gate.quantile is None or gate.unit == "%" or gate.bound < timeout:
        return None
    what = "margin" if gate.against == "stable" else "bound"
    return (
        f"the {what} does not lie below [load] timeout of {timeout:g} s, after which nothing is measured; "
        f"give a longer timeout or a smaller {what}"
    )


def _lacks(need: str, gate: Gate, experiment: Experiment, dataset: Dataset | None) -> str | None:
    """Why there is no such input of a metric (see ``Metric.needs``); None: there is."""
    if need == "baseline" and not experiment.load.baseline_time:
        return "it needs baseline answers; set [load] baseline above 0"
    if need == "value" and experiment.data.value is None:
        return "the experiment names no value column; set [data] value"
    if dataset is None:
        return None
    if need == "value" and dataset.values is not None and not np.isfinite(dataset.values).all():
        return f"the value column has empty cells; fill them in {dataset.path}"
    if need in LABELS:
        return _outside(need, gate, dataset)
    if need in score_tests.NEEDS:
        return score_tests.lacks(need, gate, dataset)
    if need not in ("positive class", "two classes", "vary"):
        return None
    where = f" with {gate.column}={gate.value}" if gate.column else ""
    labels = truth_of(gate, dataset) if gate.outputs else dataset.labels
    seen = np.unique(labels[rows_of_slice(gate, dataset)])
    if need == "positive class":
        classes = np.unique(np.asarray(dataset.labels, dtype=str))
        try:
            positive = classes[positive_class(gate, dataset)]
        except NoEvidence as reason:
            return str(reason)
        return None if positive in seen else f"no row{where} is labelled {positive}, so it would be 0/0"
    instead = QUALITY[experiment.data.task]
    says_nothing = f"every row{where} is labelled {seen[0]}, so it would say nothing; gate {instead}"
    return says_nothing if len(seen) == 1 else None


def _outside(need: str, gate: Gate, dataset: Dataset) -> str | None:
    """Which label is none that the metric is defined for; None: all are."""
    labels, about = truth_of(gate, dataset), rows_of_slice(gate, dataset)
    outside = np.flatnonzero(about & ~LABELS[need](labels))
    if outside.size:
        more = f" (and {outside.size - 1:,} more are like it)" if outside.size > 1 else ""
        return (
            f"row {outside[0]} is labelled {labels[outside[0]]:g}{more}, and {gate.metric} is defined for "
            f"{need} alone; leave such rows out, or gate mae"
        )
    if labels.mean() <= 0 and need == "labels of at least 0":
        return f"every row is labelled 0, so {gate.metric} would say nothing; gate mae"
    return None


def _huge_labels(gate: Gate, dataset: Dataset) -> str | None:
    labels = truth_of(gate, dataset)
    huge = np.flatnonzero(np.abs(labels) > LARGEST)
    if not huge.size:
        return None
    return f"row {huge[0]} is labelled {labels[huge[0]]:g}, and no errors of that size can be added up"
