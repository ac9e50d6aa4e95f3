"""Gates on predicted intervals, whose ends are two outputs: how many true values they cover, and their width.

Both ends belong to the interval. One whose lower end lies above its upper end covers nothing, and is as wide
as its ends lie apart, as with MAPIE's ``regression_mean_width_score``; how many there are is shown. A request
without an answer covers nothing and is as wide as the true values spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES, Role
from loadtest.judge import quality_tests
from loadtest.judge.answered_values import output_of, truth_of
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.outcomes import Flags, Floats, Outcomes
from loadtest.judge.quality_tests import LARGEST
from loadtest.judge.run import Run
from loadtest.stats import scores

_BOUNDED = {
    # an interval without an end covers what lies on its side
    "interval_coverage": (np.inf, "whether that covers a true value is undefined"),
    "interval_width": (LARGEST, "no width of that can be added up"),
}
"""By the test of a metric, the largest end that it is defined for, and why no other."""


class _Intervals(NamedTuple):
    """Of each arrival, shape (arrivals,): both ends, NaN where there is no answer, and the true value."""

    lower: Floats
    upper: Floats
    truth: Floats

    @classmethod
    def of(cls, gate: Gate, run: Run, outcomes: Outcomes) -> _Intervals:
        """Raises ``NoEvidence`` where the samples have no such outputs, or ends of which the metric is
        undefined."""
        lower, upper = (output_of(name, run, outcomes) for name in gate.outputs)
        largest, why = _BOUNDED[gate.entry.test]
        for end in (lower, upper):
            if (bad := ~(np.abs(end) <= largest) & ~outcomes.failed).any():
                quality_tests.refuse(outcomes, run, end, bad, why)
        return cls(lower, upper, truth_of(gate, run.dataset)[outcomes.row])

    @classmethod
    def of_both(cls, gate: Gate, run: Run) -> dict[Role, _Intervals]:
        return {role: cls.of(gate, run, run.evidence.of(role)) for role in ROLES}

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
    evidence, both = run.evidence, _Intervals.of_both(gate, run)
    stable, candidate = (replace(evidence.of(role), correct=both[role].covers) for role in ROLES)
    within = replace(run, evidence=replace(evidence, stable=stable, candidate=candidate))
    rows, ends = Rows.of(evidence.candidate, run.dataset), both[Role.CANDIDATE]
    below, above = (
        float(rows.mean(side.astype(np.float64)).mean())
        for side in (ends.truth < ends.lower, ends.truth > ends.upper)
    )
    missed = f"{below:.1%} of its rows lie below the interval, {above:.1%} above"
    note = "; ".join([missed, *_crossed(gate, run, both)])
    return replace(quality_tests.accuracy(gate, within), note=note)


def width(gate: Gate, run: Run) -> Measurement:
    """The mean over distinct rows of the distance between both ends."""
    spread = float(np.ptp(truth_of(gate, run.dataset)))
    both = _Intervals.of_both(gate, run)

    def sums(outcomes: Outcomes, rows: Rows, group: NDArray[np.intp]) -> Floats:
        ends = both[Role.STABLE if outcomes is run.evidence.stable else Role.CANDIDATE]
        apart = np.where(outcomes.failed, spread, np.abs(ends.upper - ends.lower))
        nothing, one = np.zeros(len(rows.rows)), np.ones(len(rows.rows))
        columns = [rows.mean(apart), nothing, nothing, one]
        return quality_tests.sums_of_groups(columns, group)

    measured = quality_tests.resampled(gate, run, scores.mean, sums, spread)
    return replace(measured, note="; ".join(_crossed(gate, run, both)))


def _crossed(gate: Gate, run: Run, both: dict[Role, _Intervals]) -> Iterator[str]:
    """How many intervals of each version are the wrong way round, as clauses."""
    lower, upper = gate.outputs
    for role, ends in both.items():
        rows = run.evidence.of(role).row[ends.crossed]
        if count := len(np.unique(run.dataset.content[rows])):
            yield f"{lower} lies above {upper} on {count:,} row{'s' * (count != 1)} of {role}"
