"""The verdict of a run: each gate by its interval, the run by all gates together.

A gate is PASS when the whole interval of the difference lies on the good side of the margin, FAIL when
all of it lies beyond, else INCONCLUSIVE. A run is PASS when every gate is (intersection-union, Berger
1982: no correction), FAIL when a gate still fails after Holm's correction over all gates, INVALID when
the measurement itself is bad. A run that was to end as soon as it is decided is judged by its analyses (see
``loadtest.judge.interim``), any other by one analysis at its end. No I/O and no clock: the same samples give
the same verdict for ever.
"""

from __future__ import annotations

from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.gate_test import Judged, decide
from loadtest.judge.interim import judge_until_decided
from loadtest.judge.measurement import shown
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run_facts import RunFacts
from loadtest.judge.run_verdict import together
from loadtest.judge.significance import Level
from loadtest.judge.verdict import LoadSummary, Verdict, Word
from loadtest.judge.version_summary import summarise

MAX_UNMATCHED = 0.005
"""Share of samples that may lack the other version's (a run that was stopped); more is a bad measurement."""


def judge(experiment: Experiment, samples: SampleSet, dataset: Dataset, run_facts: RunFacts) -> Verdict:
    """Judge one run.

    Args:
        experiment: what was measured, and the gates to meet.
        samples: every request of the run.
        dataset: the evaluation set that the rows came from.
        run_facts: facts about the lab and the load.

    Raises:
        DatasetError: the samples do not belong to this evaluation set.
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    evidence = Evidence.gather(experiment, samples, dataset, run_facts.load)
    return judge_evidence(experiment, evidence, dataset, run_facts)


def judge_evidence(
    experiment: Experiment, evidence: Evidence, dataset: Dataset, run_facts: RunFacts
) -> Verdict:
    """As ``judge``, from samples that are laid out already.

    Raises:
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    judged, decided_after = judge_gates(experiment, evidence, dataset, run_facts)
    problem = _measurement_problem(evidence, run_facts) or _foreign_labels(evidence, experiment, dataset)
    word, reason = (Word.INVALID, problem) if problem else together(judged, 1 - experiment.confidence)
    if decided_after is not None and not problem:
        reason += f"; decided after {decided_after:.0f} s"
    load = run_facts.load
    return Verdict(
        schema=1,
        verdict=word,
        reason=reason,
        experiment=experiment.name,
        backend=run_facts.backend,
        decided_after_s=decided_after,
        gates=tuple(j.result for j in judged),
        versions={role: summarise(role, evidence, experiment, dataset, run_facts) for role in ROLES},
        load=LoadSummary(
            offered_rps=load.offered_rps,
            achieved_rps=load.achieved_rps,
            schedule_lag_ms_p99=shown(load.schedule_lag_ms_p99, ""),
            duration_s=load.duration_s,
        ),
    )


def judge_gates(
    experiment: Experiment, evidence: Evidence, dataset: Dataset, run_facts: RunFacts
) -> tuple[list[Judged], float | None]:
    """Each gate of an experiment on its own, and the second after which a run until decided was decided.

    Raises:
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    check_gates(experiment, dataset)
    if experiment.load.until_decided:
        return judge_until_decided(experiment, evidence, dataset, run_facts)
    level = Level(1 - experiment.confidence)
    return [decide(gate, evidence, experiment, dataset, run_facts, level) for gate in experiment.gates], None


def _measurement_problem(evidence: Evidence, run_facts: RunFacts) -> str | None:
    samples = evidence.samples
    if not run_facts.load.valid:
        return run_facts.load.reason or "the load generator calls its own measurement invalid"
    if not samples:
        return "no sample was recorded"
    if evidence.unmatched > MAX_UNMATCHED * samples:
        return f"{evidence.unmatched:,} of {samples:,} samples stand alone, without the other version's"
    if len(evidence.stable) and evidence.stable.failed.all():
        return f"stable answered none of {len(evidence.stable):,} requests: there is nothing to compare with"
    cpus = [run_facts.of(Role.STABLE).cpus, run_facts.of(Role.CANDIDATE).cpus]
    if None not in cpus and cpus[0] != cpus[1]:
        return f"stable ran on {cpus[0]:g} CPUs, the candidate on {cpus[1]:g}: nothing can be compared"
    return None


def _foreign_labels(evidence: Evidence, experiment: Experiment, dataset: Dataset) -> str | None:
    """Labels in other words than the answers would make both versions wrong alike, and so equally good."""
    if experiment.data.task != "classification" or evidence.stable.correct.any():
        return None
    answers = set(evidence.stable.prediction.drop_null().unique().to_pylist())
    labels = set(dataset.labels.tolist())
    if not answers or answers & labels:
        return None
    given, read = (", ".join(repr(text) for text in sorted(some)[:3]) for some in (answers, labels))
    return f"stable answers {given}, the labels read {read}: write labels as the model does"
