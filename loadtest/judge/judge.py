"""The verdict of a run: each gate by its interval, the run by all gates together.

A gate is PASS when the whole interval of the difference lies on the good side of the margin, FAIL when
all of it lies beyond, else INCONCLUSIVE. A run is PASS when every gate is (intersection-union, Berger
1982: no correction), FAIL when a gate still fails after Holm's correction over all gates, INVALID when
the measurement itself is bad. No I/O and no clock: the same samples give the same verdict for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from loadtest.config import Experiment
from loadtest.dataset import Dataset
from loadtest.gates import Gate
from loadtest.judge.evidence import Evidence, NoEvidence
from loadtest.judge.measurement import margin_of, shown
from loadtest.judge.measures import measure
from loadtest.judge.observations import Observations
from loadtest.judge.preflight import check_gates
from loadtest.judge.reasons import decided, undecided
from loadtest.judge.summary import summarise
from loadtest.judge.verdict import GateResult, LoadSummary, Verdict, Word
from loadtest.sample import SampleSet
from loadtest.stats.estimate import Known
from loadtest.stats.holm import holm

MAX_UNMATCHED = 0.005
"""Share of samples that may lack the other version's (a run that was stopped); more is a bad measurement."""


class _Judged(NamedTuple):
    """A gate's result, its p-value of harm for Holm, and the seconds of load that would decide it."""

    result: GateResult
    p_harm: float
    seconds: float | None


def judge(
    experiment: Experiment, samples: SampleSet, dataset: Dataset, observations: Observations
) -> Verdict:
    """Judge one run.

    Args:
        experiment: what was measured, and the gates to meet.
        samples: every request of the run.
        dataset: the evaluation set that the rows came from.
        observations: facts about the lab and the load.

    Raises:
        DatasetError: the samples do not belong to this evaluation set.
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    evidence = Evidence.gather(experiment, samples, dataset, observations.load)
    return judge_evidence(experiment, evidence, dataset, observations)


def judge_evidence(
    experiment: Experiment, evidence: Evidence, dataset: Dataset, observations: Observations
) -> Verdict:
    """As ``judge``, from samples that are laid out already.

    Raises:
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    check_gates(experiment, dataset)
    judged = [_judge_gate(gate, evidence, experiment, dataset, observations) for gate in experiment.gates]
    problem = _measurement_problem(evidence, observations)
    word, reason = (Word.INVALID, problem) if problem else _together(judged, alpha=1 - experiment.confidence)
    load = observations.load
    return Verdict(
        schema=1,
        verdict=word,
        reason=reason,
        experiment=experiment.name,
        backend=observations.backend,
        gates=tuple(j.result for j in judged),
        versions={
            "stable": summarise("stable", evidence, experiment, dataset, observations),
            "candidate": summarise("candidate", evidence, experiment, dataset, observations),
        },
        load=LoadSummary(
            offered_rps=load.offered_rps,
            achieved_rps=load.achieved_rps,
            schedule_lag_ms_p99=shown(load.schedule_lag_ms_p99, ""),
            duration_s=load.duration_s,
        ),
    )


def _judge_gate(
    gate: Gate, evidence: Evidence, experiment: Experiment, dataset: Dataset, observed: Observations
) -> _Judged:
    alpha, unit = 1 - experiment.confidence, gate.margin_unit
    try:
        measured = measure(gate, evidence, experiment, dataset, observed)
    except NoEvidence as missing:
        return _Judged(_unmeasured(gate, experiment.confidence, str(missing)), 1.0, missing.seconds)
    estimate, margin = measured.estimate, measured.margin
    low, high = estimate.interval(alpha)
    p_harm = estimate.p_below(margin) if gate.higher_is_better else estimate.p_above(margin)
    harmed, met = (high < margin, low > margin) if gate.higher_is_better else (low > margin, high < margin)
    if isinstance(estimate, Known):
        met = not harmed
    seconds = None
    if harmed or met:
        word, reason = Word.FAIL if harmed else Word.PASS, decided(gate, measured, alpha, passed=met)
    else:
        outlook = undecided(gate, measured, evidence, alpha)
        word, reason, seconds = Word.INCONCLUSIVE, outlook.text, outlook.seconds
    if gate.kind == "count" and harmed:
        reason += _unfaithful_rows(evidence)
    result = GateResult(
        name=str(gate),
        verdict=word,
        stable=shown(measured.stable, gate.value_unit),
        candidate=shown(measured.candidate, gate.value_unit),
        estimate=shown(measured.to_base(estimate.value), unit),
        interval=(shown(measured.to_base(low), unit), shown(measured.to_base(high), unit)),
        margin=shown(measured.to_base(margin), unit) or 0.0,
        unit=unit,
        confidence=experiment.confidence,
        reason=reason,
    )
    return _Judged(result, p_harm, seconds)


def _unmeasured(gate: Gate, confidence: float, reason: str) -> GateResult:
    return GateResult(
        name=str(gate),
        verdict=Word.INCONCLUSIVE,
        stable=None,
        candidate=None,
        estimate=None,
        interval=(None, None),
        margin=shown(margin_of(gate), gate.margin_unit) or 0.0,
        unit=gate.margin_unit,
        confidence=confidence,
        reason=reason,
    )


def _unfaithful_rows(evidence: Evidence) -> str:
    rows = evidence.candidate.row[evidence.candidate.unfaithful][:5].tolist()
    return f"; rows {', '.join(map(str, rows))} were answered differently under load"


def _measurement_problem(evidence: Evidence, observed: Observations) -> str | None:
    samples = evidence.samples
    if not observed.load.valid:
        return observed.load.reason or "the load generator calls its own measurement invalid"
    if not samples:
        return "no sample was recorded"
    if evidence.unmatched > MAX_UNMATCHED * samples:
        return f"{evidence.unmatched:,} of {samples:,} samples stand alone, without the other version's"
    if len(evidence.stable) and evidence.stable.failed.all():
        return f"stable answered none of {len(evidence.stable):,} requests: there is nothing to compare with"
    cpus = [observed.of("stable").cpus, observed.of("candidate").cpus]
    if None not in cpus and cpus[0] != cpus[1]:
        return f"stable ran on {cpus[0]:g} CPUs, the candidate on {cpus[1]:g}: nothing can be compared"
    return None


def _together(judged: Sequence[_Judged], alpha: float) -> tuple[Word, str]:
    """The run's word from its gates'."""
    count = len(judged)
    proven = holm([j.p_harm for j in judged], alpha)
    failed = [j for j, sure in zip(judged, proven, strict=True) if sure and j.result.verdict is Word.FAIL]
    if failed:
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return Word.FAIL, f"{failed[0].result.name}: {failed[0].result.reason}{others}"
    open_ = [j for j in judged if j.result.verdict is not Word.PASS]
    if not open_:
        which = "the gate is" if count == 1 else f"all {count} gates are"
        return Word.PASS, f"{which} met with {1 - alpha:.0%} confidence"
    alone = [j for j in open_ if j.result.verdict is Word.FAIL]
    if alone:
        name = alone[0].result.name
        why = f"{name} fails on its own, but one of {count} gates does so by chance too often"
        return Word.INCONCLUSIVE, f"{why}: not proven after Holm's correction; run longer"
    names = ", ".join(j.result.name for j in open_)
    if len(open_) == 1:
        return Word.INCONCLUSIVE, f"{names}: {open_[0].result.reason}"
    seconds = [j.seconds for j in open_]
    if all(s is not None for s in seconds):
        longest = max(s for s in seconds if s is not None)
        return Word.INCONCLUSIVE, f"undecided: {names}; about {math.ceil(longest):,} s more would settle them"
    return Word.INCONCLUSIVE, f"undecided: {names}; their own lines say what would settle each"
