"""What both versions are worth on each row, by the metrics that the gates are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import QUALITY
from loadtest.judge import predicted_intervals, ranking_tests, score_tests
from loadtest.judge.answered_values import truth_of
from loadtest.judge.outcomes import Floats, Outcomes
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.quality_tests import row_errors
from loadtest.judge.run import Run
from loadtest.stats import losses, scores
from loadtest.stats import row_errors as formulas

MOST = 4
"""Metrics of a search: each costs the others power."""
SAME = 1e-5
"""Values that differ by less than this share of their scale are equal: single precision may make so much of
the same model."""
_OF_SIZE = (formulas.absolute, formulas.squared, formulas.percentage)
"""By each of these a row is worse if its absolute error is larger."""
_STAND_INS = {
    "regression": "mae",
    "median_error": "mae",
    "largest_error": "mae",
    "discrimination": "log_loss",
    "operating_point": "log_loss",
    "calibration_error": "log_loss",
    "ranking_value": "hit@{k}",
    "classification": "accuracy",
    "value": "accuracy",
}
"""Of tests whose metric is no mean over rows, what is one, and about the same answers."""
_DIFFERENCE = "it says which answers differ, not which version does better"
_NO_STAND_IN = {
    "agreement": _DIFFERENCE,
    "score_shift": _DIFFERENCE,
    "ranking_overlap": _DIFFERENCE,
    "interval_width": "a narrower interval is the better one only if it covers as much",
}
"""Of other tests of answers, why no row is worse by them."""


class RowValues(NamedTuple):
    """The values of a paired run's arrivals by one metric, shape (arrivals,) each.

    Args:
        metric: as a gate names it, without its slice: ``mae[output=price]``.
        sign: 1 where the candidate did worse, -1 where it did better, else 0.
        level: from values of one version, shape (n,), to the metric.
        higher_is_better: whether a fall of the metric is harm.
    """

    metric: str
    stable: Floats
    candidate: Floats
    sign: NDArray[np.int8]
    level: Callable[[Floats], float]
    higher_is_better: bool


class AllValues(NamedTuple):
    """By metric, the values of the rows, or the reason why there are none."""

    found: tuple[RowValues, ...]
    missing: dict[str, str]


def row_values(run: Run) -> AllValues:
    """The values of a paired run by the task's own metric and by those of its gates.

    A metric that is no mean over rows is stood for by one that is; of those by which the same rows are worse,
    such as MAE and RMSE, the first one is taken.
    """
    found: dict[str, RowValues] = {}
    missing: dict[str, str] = {}
    for gate in _gates(run):
        name = named(gate)
        key = f"size {gate.outputs}" if gate.entry.per_row in _OF_SIZE else name
        if key in found or name in missing:
            continue
        if gate.entry.test in _NO_STAND_IN:
            missing[name] = _NO_STAND_IN[gate.entry.test]
            continue
        if len(found) == MOST:
            missing[name] = f"only {MOST} metrics are, as each costs the others power"
            continue
        try:
            found[key] = _values(gate, name, run)
        except NoEvidence as error:
            missing[name] = str(error)
    return AllValues(tuple(found.values()), missing)


def named(gate: Gate) -> str:
    """What a gate is about, without its slice: ``top_k_accuracy@3``, ``mae[output=price]``."""
    arguments = dict(gate.arguments)
    k = arguments.pop("@", None)
    at = f"@{k}" if k and "@" not in gate.metric else ""
    inside = ",".join(text if key == "[]" else f"{key}={text}" for key, text in arguments.items())
    return gate.metric + at + (f"[{inside}]" if inside else "")


def _gates(run: Run) -> Iterator[Gate]:
    """Gates on means over rows: the task's own, and those that the run's gates are or are stood for by; and
    gates on answers that nothing stands for."""
    data = run.experiment.data
    own = Gate.beside_stable(QUALITY[data.task])
    if data.outputs and data.label is None:  # nothing says which of them the answer itself is
        own = replace(own, arguments=(("output", next(iter(data.outputs))),))
    yield own
    for gate in run.experiment.gates:
        whole, entry = replace(gate, column=None, value=None), gate.entry
        by_rows = entry.test in _VALUES and entry.of_sums in (scores.mean, scores.root_mean)
        if by_rows or entry.test in _NO_STAND_IN:
            yield whole
        elif stand_in := _STAND_INS.get(entry.test):
            one = Gate.beside_stable(stand_in.format(k=gate.k))
            output = tuple((key, text) for key, text in gate.arguments if key == "output")
            yield replace(one, arguments=(*one.arguments, *output))


def _values(gate: Gate, name: str, run: Run) -> RowValues:
    both = (run.evidence.stable, run.evidence.candidate)
    if gate.entry.per_row in _OF_SIZE:
        errors = [row_errors(gate, run, outcomes) for outcomes in both]
        stable, candidate = (values for _, _, values in errors)
        moved = np.subtract(*(np.abs(answer - truth) for truth, answer, _ in reversed(errors)))
        scale = float(np.std(truth_of(gate, run.dataset)))
    else:
        stable, candidate = (_VALUES[gate.entry.test](gate, run, outcomes) for outcomes in both)
        moved = stable - candidate if gate.higher_is_better else candidate - stable
        scale = max(float(np.abs(each).mean()) for each in (stable, candidate))
    sign = np.where(np.abs(moved) <= SAME * scale, 0, np.sign(moved)).astype(np.int8)
    return RowValues(name, stable, candidate, sign, _level(gate), gate.higher_is_better)


def _level(gate: Gate) -> Callable[[Floats], float]:
    return lambda values: float(gate.entry.of_sums(np.array([[values.mean(), 0.0, 0.0, 1.0, 0.0]]))[0])


def _correct(_: Gate, __: Run, outcomes: Outcomes) -> Floats:
    return outcomes.correct.astype(np.float64)


def _scored(gate: Gate, run: Run, outcomes: Outcomes) -> Floats:
    given = score_tests.filled(outcomes, run, median=False)
    if gate.metric != "top_k_accuracy" and not losses.are_probabilities(given).all():
        raise NoEvidence("the scores are no probabilities")
    return score_tests.loss_of(gate)(given, run.dataset.class_places[outcomes.row])


def _covered(gate: Gate, run: Run, outcomes: Outcomes) -> Floats:
    return predicted_intervals.covered(gate, run, outcomes).astype(np.float64)


_VALUES: Mapping[str, Callable[[Gate, Run, Outcomes], Floats]] = {
    "accuracy": _correct,
    "regression": lambda gate, run, outcomes: row_errors(gate, run, outcomes)[2],
    "interval_coverage": _covered,
    "per_row_score": _scored,
    "ranking": ranking_tests.values,
    "ranking_hit": ranking_tests.values,
}
"""By the test of a metric, the value of each arrival, shape (arrivals,)."""
