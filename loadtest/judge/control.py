"""A run held against itself: the control, a second deployment of stable, in the candidate's place.

What the same tests then find is noise of the machine, as nothing else differs. A gate that is held against
stable is beyond its margin where control and stable are shown to differ by more than it. Either direction
counts: a stable that had bad luck lets a bad candidate pass. All gates together call equal deployments
different in at most ``alpha`` of runs without margins, and hardly ever with them.

A run that ended as soon as it was decided is held against itself at the moment at which it ended, as the
gates' own analyses were: by their tests, at the level that holds at every moment. With several restarts the
control is deployed again in each; the runs at several rates share ``alpha``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import Role
from loadtest.judge.explanations import amount
from loadtest.judge.interim import awaited
from loadtest.judge.measurement import Measurement, shown
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.restarts import measure_restarts
from loadtest.judge.run import Run, RunFacts
from loadtest.judge.significance import Level, holm
from loadtest.judge.verdict import ControlGate
from loadtest.stats.estimate import Known

MOST_ERRORS = 0.5
"""Share of requests that a control may fail."""
_COMPARES = ("agreement", "score_shift", "ranking_overlap")
"""Tests of metrics that hold the candidate against stable, although their bound is absolute."""


def against_itself(run: Run) -> Run | None:
    """The run as if the control were the candidate; None: it has no control."""
    if not run.experiment.load.control:
        return None
    samples = run.samples.where(~run.samples.is_role(Role.CANDIDATE))
    return Run.gather(run.experiment, run.dataset, _renamed(samples), _facts(run.facts))


def compare_with_control(itself: Run, rates: int = 1) -> list[ControlGate]:
    """Each gate for control against stable.

    The run is one of ``rates`` at rates of their own.
    """
    often = itself.experiment.load.until_decided
    level = Level(itself.alpha, itself.evidence.duration if often else None)
    moment = itself.until(itself.evidence.duration) if often else itself
    found = [_Compared(gate, moment if awaited(gate) else itself) for gate in itself.experiment.gates]
    tested = [each for each in found if each.is_tested]
    refused = holm([each.p(level) for each in tested], level.alpha / rates)
    shown_to_differ = dict(zip(map(id, tested), refused, strict=True))
    return [each.result(level, shown_to_differ.get(id(each), each.known_beyond)) for each in found]


def noise(gates: list[ControlGate], itself: Run) -> str | None:
    """Why a run cannot be judged, by its control; None: it can."""
    evidence = itself.evidence
    failed, asked = int(evidence.candidate.failed.sum()), len(evidence.candidate)
    if not asked:
        return "the control has no answers beside stable's: whether the run is quiet enough is not known"
    cpus = [itself.facts.of(role).cpus for role in (Role.STABLE, Role.CANDIDATE)]
    if None not in cpus and cpus[0] != cpus[1]:
        return f"stable ran on {cpus[0]:g} CPUs, the control on {cpus[1]:g}: they are not deployed alike"
    if failed > MOST_ERRORS * asked:
        return f"the control failed {failed:,} of {asked:,} requests, and is to be stable once more"
    beyond = [gate for gate in gates if gate.beyond]
    if not beyond:
        return None
    first, others = beyond[0], f" (and {len(beyond) - 1} more)" if len(beyond) > 1 else ""
    ends = [amount(end, first.unit, signed=True) for end in first.interval]
    between = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    return (
        f"control: {first.name}: stable and a second deployment of it differ by {between}, more than the "
        f"margin{others}: what the candidate differs by may be the machine's doing; use a quieter machine, a "
        "wider margin, or --restarts, which counts how deployments differ"
    )


class _Compared:
    """One gate, measured for control against stable."""

    def __init__(self, gate: Gate, itself: Run) -> None:
        self._gate = gate
        self.measured: Measurement | None
        try:
            self.measured = measure_restarts(gate, itself)
        except NoEvidence:
            self.measured = None
        self._both_ways = gate.against == "stable"

    @property
    def is_tested(self) -> bool:
        """Whether an interval says how far control and stable are apart; else nothing is asked of it."""
        sampled = self.measured is not None and not isinstance(self.measured.estimate, Known)
        return sampled and (self._both_ways or self._gate.entry.test in _COMPARES)

    def p(self, level: Level) -> float:
        """The p-value of 'control and stable differ by no more than the margin'."""
        assert self.measured is not None  # noqa: S101 - for the type checker: only such are tested
        estimate, margin, below = (
            self.measured.estimate,
            self.measured.margin,
            self._gate.higher_is_better,
        )
        if self._both_ways:
            ways = ((margin, below), (-margin, not below))
            return min(1.0, 2 * min(level.p_beyond(estimate, limit, below=side) for limit, side in ways))
        return level.p_beyond(estimate, margin, below=below)

    @property
    def known_beyond(self) -> bool:
        """Whether what was read or counted differs by more than the margin."""
        if self.measured is None or not (self._both_ways and isinstance(self.measured.estimate, Known)):
            return False
        return abs(self.measured.estimate.value) > abs(self.measured.margin)

    def result(self, level: Level, beyond: bool) -> ControlGate:
        """As verdict.json has it."""
        gate, measured = self._gate, self.measured
        if measured is None:
            nothing: tuple[None, None] = (None, None)
            return ControlGate(
                gate=gate, stable=None, control=None, estimate=None, interval=nothing, unit=gate.margin_unit
            )
        low, high = (
            shown(measured.to_base(end), gate.margin_unit) for end in level.interval(measured.estimate)
        )
        return ControlGate(
            gate=gate,
            stable=shown(measured.stable, gate.value_unit),
            control=shown(measured.candidate, gate.value_unit),
            estimate=shown(measured.to_base(measured.estimate.value), gate.margin_unit),
            interval=(low, high),
            unit=gate.margin_unit,
            beyond=beyond,
        )


def _renamed(samples: SampleSet) -> SampleSet:
    """The control's samples as the candidate's."""
    roles = np.where(samples.is_role(Role.CONTROL), Role.CANDIDATE, Role.STABLE).astype(str)
    place = SCHEMA.get_field_index("role")
    column = pa.array(roles.tolist(), pa.string()).cast(SCHEMA.field(place).type)
    return SampleSet(samples.table.set_column(place, SCHEMA.field(place), column), samples.digest)


def _facts(facts: RunFacts) -> RunFacts:
    """What is known of the control, as if it were of the candidate."""

    def renamed(by_role: Mapping[Any, Any]) -> dict[Any, Any]:
        kept = {Role.STABLE: by_role.get(Role.STABLE), Role.CANDIDATE: by_role.get(Role.CONTROL)}
        return {role: value for role, value in kept.items() if value is not None}

    load, by_role = facts.load, ("baseline", "warmup_errors", "resent", "not_answers")
    return facts.model_copy(
        update={
            "versions": renamed(facts.versions),
            "load": load.model_copy(update={key: renamed(getattr(load, key)) for key in by_role}),
        }
    )
