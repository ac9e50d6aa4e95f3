"""Several deployments of both versions: where they can differ, how much they do decides.

Two deployments of the same version differ too (memory layout, placement, neighbours), so one run that finds a
difference of 2% between versions may have found one between deployments. Here each restart of both versions
gives one estimate, and Student's t over the restarts gives the interval. Answers do not depend on the
deployment: gates on quality count each row of the whole run once, as in any other run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from loadtest.experiment.gate import Gate
from loadtest.judge.measurement import Measurement
from loadtest.judge.metric_tests import measure
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import Run
from loadtest.stats.estimate import Estimate, StudentEstimate


@dataclass(frozen=True)
class Wider:
    """Of two estimates of one quantity the wider interval on each side: the value is the first's."""

    first: Estimate
    second: Estimate

    @property
    def value(self) -> float:
        """The first's."""
        return self.first.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """The outer ends."""
        low, high = zip(self.first.interval(alpha), self.second.interval(alpha), strict=True)
        return min(low), max(high)

    def p_above(self, margin: float) -> float:
        """The larger."""
        return max(self.first.p_above(margin), self.second.p_above(margin))

    def p_below(self, margin: float) -> float:
        """The larger."""
        return max(self.first.p_below(margin), self.second.p_below(margin))


def measure_restarts(gate: Gate, run: Run) -> Measurement:
    """Measure one gate, over the restarts of the run where it has some and the metric depends on them.

    Raises:
        NoEvidence: it cannot be measured from one of them, or there was only one.
    """
    restarts = run.facts.load.restarts
    if not restarts or gate.entry.restarts == "pooled":
        return measure(gate, run)
    if len(restarts) < 2:
        raise NoEvidence("one deployment of both versions was measured, and an interval needs two or more")
    each = [measure(gate, run.between(one.begins_s, one.duration_s)) for one in restarts]
    if any(one.censored for one in each):
        # what a time-out hides has no value to compare: each deployment must show it, and all of them
        pooled = measure(gate, run)
        widest = reduce(Wider, [one.estimate for one in each], pooled.estimate)
        censored = next(f"in a restart, {one.censored}" for one in each if one.censored)
        return replace(pooled, estimate=widest, censored=pooled.censored or censored)
    values = np.array([one.estimate.value for one in each])
    if not np.isfinite(values).all():
        raise NoEvidence(f"{gate.metric} is undefined in one of the restarts")
    error = float(values.std(ddof=1)) / len(each) ** 0.5
    estimate: Estimate = StudentEstimate(float(values.mean()), error, len(each) - 1)
    if gate.entry.restarts == "wider":
        # restarts without any error do not differ, and yet say little of rare ones
        estimate = Wider(estimate, measure(gate, run).estimate)
    return replace(
        each[0],
        estimate=estimate,
        stable=_mean([one.stable for one in each]),
        candidate=_mean([one.candidate for one in each]),
        restarts=len(each),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
