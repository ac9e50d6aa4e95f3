"""Results by phase, where the rate of the load changes. They describe; gates are about the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from loadtest.experiment.experiment import Phase
from loadtest.experiment.role import ROLES
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.run import Run
from loadtest.judge.verdict import LatencySummary, PhaseSummary, PhaseVersion
from loadtest.stats.quantiles import latency_quantiles


class Seen(NamedTuple):
    """A phase, and when it was; seconds on the clock of the evidence."""

    name: str
    phase: Phase
    begin: float
    end: float


def phases_of(run: Run) -> Iterator[Seen]:
    """Each phase of which the run saw something, in order of time."""
    begin = 0.0
    ends = (end - run.evidence.started_at for end in run.experiment.load.phase_ends)
    planned = list(zip(run.experiment.load.phases, ends, strict=True))
    for number, (phase, planned_end) in enumerate(planned, start=1):
        # random arrivals rarely fill the very last second: what is stated is the run's
        end = run.evidence.duration if number == len(planned) else min(planned_end, run.evidence.duration)
        if end > begin:
            yield Seen(phase.name or f"phase {number}", phase, begin, end)
        begin = max(end, begin)


def summarise_phases(run: Run) -> tuple[PhaseSummary, ...]:
    """One summary per phase; none where the rate does not change."""
    timeout = run.experiment.load.timeout
    summaries = []
    for name, phase, begin, end in phases_of(run):
        lasted = min(end - begin, phase.duration)
        evidence = run.evidence.between(begin, end - begin).requests
        summaries.append(
            PhaseSummary(
                name=name,
                begins_s=begin,
                duration_s=end - begin,
                rate=phase.rate,
                to=phase.end_rate,
                offered_rps=phase.expected(lasted) / lasted,
                achieved_rps=evidence.rate,
                versions={role: _version(evidence.of(role), timeout) for role in ROLES},
            )
        )
    return tuple(summaries)


def _version(outcomes: Outcomes, timeout: float) -> PhaseVersion:
    errors = int(outcomes.failed.sum())
    quantiles = latency_quantiles(outcomes.ranked_latency)
    return PhaseVersion(
        requests=len(outcomes),
        errors=errors,
        latency_ms=LatencySummary.of(quantiles),
        latency_at_least=hidden_quantiles(quantiles, errors, timeout),
    )


def hidden_quantiles(quantiles: dict[str, float | None], errors: int, timeout: float) -> tuple[str, ...]:
    """The names of those that are only known to be the time-out or more."""
    return tuple(
        name for name, value in quantiles.items() if errors and value is not None and value >= timeout
    )
