"""Gates on predicted intervals, whose ends are two outputs: how many true values they cover, and their width.

Both ends belong to the interval. One whose lower end lies above its upper end covers nothing, and is as wide
as its ends lie apart, as with MAPIE's ``regression_mean_width_score``; how many there are is shown. A request
without an answer covers nothing and is as wide as the true values spread.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES
from loadtest.judge import quality_tests
from loadtest.judge.answered_values import output_of, truth_of
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Flags, Floats, Outcomes
from loadtest.judge.quality_tests import LARGEST
from loadtest.judge.run import Run
from loadtest.stats import scores


class _Intervals(NamedTuple):
    """Of each arrival, shape (arrivals,): both ends, NaN where there is no answer, and the true value."""

    lower: Floats
    upper: Floats
    truth: Floats

    @classmethod
    def of(cls, gate: Gate, run: Run, outcomes: Outcomes) -> _Intervals:
        """Raises ``NoEvidence`` where the samples have no such outputs, or ends that have no width."""
        lower, upper = (output_of(name, run, outcomes) for name in gate.outputs)
        for end in (lower, upper):
            if (huge := np.abs(end) > LARGEST).any():
                quality_tests.refuse(outcomes, run, end, huge, "no width of that can be added up")
        return cls(lower, upper, truth_of(gate, run.dataset)[outcomes.row])

    @property
    def covers(self) -> Flags:
        return (self.lower <= self.truth) & (self.truth <= self.upper)

    @property
    def crossed(self) -> Flags:
        return self.lower > self.upper


def covered(gate: Gate, run: Run, outcomes: Outcomes) -> Flags:
    """Whether the true value lies within the interval, shape (arrivals,)."""
    return _Intervals.of(gate, run, outcomes).covers


def coverage(gate: Gate, run: Run) -> Measurement:
    """Share of distinct rows whose true value lies within the interval, which is to them what accuracy is."""
    evidence = run.evidence
    stable, candidate = (
        replace(outcomes, correct=covered(gate, run, outcomes))
        for outcomes in (evidence.stable, evidence.candidate)
    )
    within = replace(run, evidence=replace(evidence, stable=stable, candidate=candidate))
    return replace(quality_tests.accuracy(gate, within), note=_notes(gate, run, misses=True))


def width(gate: Gate, run: Run) -> Measurement:
    """The mean over distinct rows of the distance between both ends."""
    truth = truth_of(gate, run.dataset)
    spread = float(np.ptp(truth))

    def sums(
        outcomes: Outcomes,
        dataset: Dataset,  # noqa: ARG001 - one shape for all
        rows: Rows,
        group: NDArray[np.intp],
    ) -> Floats:
        ends = _Intervals.of(gate, run, outcomes)
        apart = np.where(outcomes.failed, spread, np.abs(ends.upper - ends.lower))
        nothing, one = np.zeros(len(rows.rows)), np.ones(len(rows.rows))
        columns = [rows.mean(apart), nothing, nothing, one]
        return quality_tests.sums_of_groups(columns, group)

    measured = quality_tests.resampled(gate, run, scores.mean, sums, spread)
    return replace(measured, note=_notes(gate, run, misses=False))


def _notes(gate: Gate, run: Run, *, misses: bool) -> str:
    """On which side true values are missed, and how many intervals are the wrong way round, as a clause."""
    notes = []
    outcomes = run.evidence.candidate
    ends, rows = _Intervals.of(gate, run, outcomes), Rows.of(outcomes, run.dataset)
    if misses:
        below, above = (
            float(rows.mean(side.astype(np.float64)).mean())
            for side in (ends.truth < ends.lower, ends.truth > ends.upper)
        )
        notes.append(f"{below:.1%} of its rows lie below the interval, {above:.1%} above")
    lower, upper = gate.outputs
    for role in ROLES:
        crossed = _Intervals.of(gate, run, run.evidence.of(role)).crossed
        if count := len(np.unique(run.dataset.content[run.evidence.of(role).row[crossed]])):
            notes.append(f"{lower} lies above {upper} on {count:,} rows of {role}")
    return "; ".join(notes)
