"""The verdict of a run: each gate by its interval, the run by all gates together.

A gate is PASS when the whole interval of the difference lies on the good side of the margin, FAIL when
all of it lies beyond, else INCONCLUSIVE. A run is PASS when every gate is (intersection-union, Berger
1982: no correction), FAIL when a gate still fails after Holm's correction over all gates, INVALID when
the measurement itself is bad. A run that was to end as soon as it is decided is judged by its analyses (see
``loadtest.judge.interim``), any other by one analysis at its end. No I/O and no clock: the same samples give
the same verdict for ever.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.samples import SampleSet
from loadtest.data.timings import PARTS, parts_of
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.by_chance import answers_by_chance
from loadtest.judge.caches import summarise_cache
from loadtest.judge.control import against_itself, compare_with_control, noise
from loadtest.judge.equally_useless import equally_useless
from loadtest.judge.foreign_answers import foreign, no_labels, reads_labels, worse_than_chance
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.gate_test import Judged, decide
from loadtest.judge.interim import judge_until_decided
from loadtest.judge.measurement import shown
from loadtest.judge.metric_tests import good
from loadtest.judge.mismatches import changed
from loadtest.judge.outcomes import first_places
from loadtest.judge.phases import hidden_quantiles, summarise_phases
from loadtest.judge.run import Run
from loadtest.judge.run_verdict import RUN_LONGER, together
from loadtest.judge.saturation import OVER_SATURATED, with_saturation
from loadtest.judge.significance import Level
from loadtest.judge.slow_requests import slowest
from loadtest.judge.stopped_answering import stopped_answering
from loadtest.judge.traces import Traces
from loadtest.judge.verdict import (
    LatencySummary,
    LoadSummary,
    PartTime,
    RowsSummary,
    Verdict,
    VersionSummary,
    Word,
)
from loadtest.stats.quantiles import latency_quantiles

MAX_UNMATCHED = 0.005
"""Share of samples that may lack the other version's (a run that was stopped); more is a bad measurement."""
MOST_STABLE_ERRORS = 0.5
"""Share of requests that stable may fail: two versions that are equally broken look equal."""
MOST_EXAMPLES = 3
MOST_IDS = 100
"""Mismatches that verdict.json names; samples.parquet holds all."""


class Judgement(NamedTuple):
    """A verdict, and its gates with what is needed to judge them beside those of other runs."""

    verdict: Verdict
    gates: list[Judged]


def judge(run: Run) -> Verdict:
    """Judge one run.

    Raises:
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    return judge_gates(run).verdict


def judge_gates(run: Run, rates: int = 1) -> Judgement:
    """As ``judge``, with each gate on its own; ``rates``: of how many runs at rates of their own it is one.

    Raises:
        GateError: a gate names a column or value that the evaluation set does not have.
    """
    check_gates(run.experiment, run.dataset)
    decided_after = None
    if run.experiment.load.until_decided:
        judged, decided_after = judge_until_decided(run)
    else:
        judged = [decide(gate, run, Level(run.alpha)) for gate in run.experiment.gates]
    problem = _measurement_problem(run) or no_labels(run)
    stopped = stopped_answering(run)
    # what has stopped looks like a backlog
    judged, saturated = (judged, "") if stopped else with_saturation(judged, run)
    died = _death(run)
    itself = against_itself(run)
    control = compare_with_control(itself, rates) if itself else []
    if problem:
        word, reason = Word.INVALID, problem
    elif died:
        word, reason = Word.FAIL, died
    elif itself and (noisy := noise(control, itself)):
        word, reason = Word.INVALID, noisy
    else:
        word, reason = _by_gates(judged, run)
        # a FAIL by a gate needs no other reason
        if stopped and word is not Word.FAIL:
            word, reason = stopped
    if word is Word.PASS and run.facts.load.cut_off and not run.facts.versions:
        word = Word.INCONCLUSIVE
        reason += ", but the run was cut off: whether both versions had the same CPU, and lived, is not known"
    target = run.experiment.target
    if word is Word.PASS and target and target.is_one_server:
        reason += "; stable and candidate have one address: the server was compared with itself"
    if saturated and saturated not in reason:
        for advice in (f"; {OVER_SATURATED}", RUN_LONGER):
            reason = reason.replace(advice, "")
        reason += f"; {saturated}"
    if saturated and decided_after is None and _ended_early(run):
        reason += f"; ended after {run.facts.load.duration_s:.0f} s, as more load would not change that"
    if decided_after is not None and word is not Word.INVALID:
        reason += f"; decided after {decided_after:.0f} s"
    load = run.facts.load
    if load.cut_off:
        reason += f"; {load.cut_off}"
    verdict = Verdict(
        schema=1,
        verdict=word,
        reason=reason,
        experiment=run.experiment.name,
        backend=run.facts.backend,
        decided_after_s=decided_after,
        gates=tuple(j.result for j in judged),
        control=tuple(control),
        versions={role: _summarise(role, run) for role in ROLES}
        | ({Role.CONTROL: _summarise(Role.CANDIDATE, itself)} if itself else {}),
        rows=_rows(run),
        samples_sha256=run.samples.digest,
        load=LoadSummary(
            offered_rps=load.offered_rps,
            achieved_rps=load.achieved_rps,
            schedule_lag_ms_p99=shown(load.schedule_lag_ms_p99, ""),
            duration_s=load.duration_s,
        ),
        phases=summarise_phases(run),
    )
    return Judgement(verdict, judged)


def _by_gates(judged: list[Judged], run: Run) -> tuple[Word, str]:
    word, reason = together(judged, run.alpha)
    problem = worse_than_chance(run, harmed=word is Word.FAIL)
    if problem is None and word is Word.PASS:
        problem = equally_useless(run)
    if problem is None:
        doubt = answers_by_chance(run) if word is Word.PASS else None
        return (Word.INCONCLUSIVE, doubt) if doubt else (word, reason)
    # a harm that no label shows is one whatever the labels mean
    others = [each for each in judged if not reads_labels(each.result.gate)]
    word, reason = together(others, run.alpha)
    return (word, reason) if word is Word.FAIL else (Word.INVALID, problem)


def _death(run: Run) -> str | None:
    """How the candidate died under the load that stable stood; None: it did not."""
    how, outcomes = run.facts.of(Role.CANDIDATE).died, run.evidence.candidate.requests
    stable = run.evidence.stable.requests
    if how is None:
        return None
    answered = outcomes.scheduled_at[~outcomes.failed]
    last = f"it answered nothing after {answered.max():.1f} s" if len(answered) else "it answered nothing"
    return (
        f"the candidate died under load: {how}; {last}, while stable failed "
        f"{int(stable.failed.sum()):,} of {len(stable):,} requests"
    )


def _ended_early(run: Run) -> bool:
    load = run.experiment.load
    return load.until_decided and run.facts.load.duration_s < load.duration


def _measurement_problem(run: Run) -> str | None:
    evidence, facts = run.evidence, run.facts
    samples = evidence.samples
    if not facts.load.valid:
        return facts.load.reason or "the load generator calls its own measurement invalid"
    if not samples:
        return "no sample was recorded"
    if evidence.unmatched > MAX_UNMATCHED * samples:
        return f"{evidence.unmatched:,} of {samples:,} samples stand alone, without the other version's"
    stable = evidence.stable.requests
    failed, asked = int(stable.failed.sum()), len(stable)
    if asked and failed == asked:
        return f"stable answered none of {asked:,} requests: there is nothing to compare with"
    if failed > MOST_STABLE_ERRORS * asked:
        return (
            f"stable failed {failed:,} of {asked:,} requests: what half answers is nothing to compare with; "
            "see its errors, lower the rate or give it more CPU"
        )
    cpus = [facts.of(role).cpus for role in ROLES]
    if None not in cpus and cpus[0] != cpus[1]:
        return f"stable ran on {cpus[0]:g} CPUs, the candidate on {cpus[1]:g}: nothing can be compared"
    return None


def _rows(run: Run) -> RowsSummary:
    content = run.dataset.content
    distinct, sent = (np.zeros(len(content), dtype=bool) for _ in range(2))
    distinct[content] = True
    for role in ROLES:
        sent[first_places(run.evidence.of(role).row, content)[0]] = True
    return RowsSummary(
        rows=len(content), distinct=int(distinct.sum()), sent=int(sent.sum()), labelled=run.dataset.labelled
    )


def _summarise(role: Role, run: Run) -> VersionSummary:
    """Describe one version; quality over all rows sent, so that replayed rows count as often as they came."""
    outcomes, facts, values = run.evidence.of(role), run.facts.of(role), run.dataset.values
    seconds = run.evidence.duration
    requests = outcomes.requests
    n, errors = len(requests), int(requests.failed.sum())
    accuracy = value = None
    if n and run.experiment.data.task != "regression" and run.dataset.labelled:
        accuracy = float(outcomes.correct.mean())
        if values is not None:
            earned = 1000 * float(np.mean(values[outcomes.row] * outcomes.correct))
            value = earned if math.isfinite(earned) else None
    quantiles = latency_quantiles(requests.ranked_latency)
    unknown = foreign(outcomes, run) if n else None
    mismatches = tuple(c.request_id for c in changed(outcomes, MOST_IDS) if c.request_id)
    traces = Traces.of(run.experiment.load, run.facts.load, run.samples)
    traces_by_id = traces.of_requests(mismatches) if traces else {}
    return VersionSummary(
        requests=n,
        rows=len(outcomes) if outcomes.several else None,
        errors=errors,
        errors_by_kind=run.samples.errors(role),
        warmup_errors=run.facts.load.warmup_errors.get(role),
        resent=run.facts.load.resent.get(role),
        not_answer_examples=tuple(run.facts.load.not_answers.get(role, {}))[:MOST_EXAMPLES],
        throughput_rps=(n - errors) / seconds,
        goodput_rps=float(outcomes.as_requests(good(outcomes, run)).sum()) / seconds,
        accuracy=accuracy,
        value_per_1000=value,
        mismatches=int(outcomes.mismatch.sum()) if outcomes.compared.any() else None,
        mismatch_ids=mismatches,
        mismatch_traces=tuple(traces_by_id[one] for one in mismatches if one in traces_by_id),
        slowest=slowest(run.samples, role, traces) if traces or run.samples.timed else (),
        timings=_timings(run.samples, role),
        compared=int(outcomes.compared.sum()) if outcomes.compared.any() else None,
        foreign_answers=None if unknown is None else unknown.count,
        foreign_examples=() if unknown is None else unknown.examples,
        latency_ms=LatencySummary.of(quantiles),
        latency_at_least=hidden_quantiles(quantiles, errors, run.experiment.load.timeout),
        cache=summarise_cache(run, role),
        cpus=facts.cpus,
        cpu_throttled_ratio=facts.cpu_throttled_ratio,
        memory_bytes=facts.memory_bytes,
    )


def _timings(samples: SampleSet, role: Role) -> dict[str, PartTime]:
    """The quantiles of each part over the requests that had it; empty where no time was recorded."""
    if not samples.timed:
        return {}
    place = samples.array("place", lambda chunk: pc.fill_null(chunk, 0), np.int16)
    wanted = samples.is_role(role) & (place == 0)
    found, begin = [np.empty((0, len(PARTS)), np.float32)], 0
    for chunk in samples.chunks("timings"):
        found.append(parts_of(chunk.filter(pa.array(wanted[begin : begin + len(chunk)]))))
        begin += len(chunk)
    columns = zip(PARTS, np.concatenate(found).T, strict=True)
    had = {name: column[~np.isnan(column)] for name, column in columns}
    return {name: PartTime.of(seconds.astype(np.float64)) for name, seconds in had.items() if len(seconds)}
