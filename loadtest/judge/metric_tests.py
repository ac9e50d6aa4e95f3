"""From a gate to its measurement: the test that each metric names, in ``TESTS``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES
from loadtest.judge import error_ranks, predicted_intervals, quality_tests, ranking_tests, score_tests
from loadtest.judge.agreement import agreement, score_shift
from loadtest.judge.caches import without_cached
from loadtest.judge.censored_latency import censored_latency
from loadtest.judge.distinct_rows import Rows
from loadtest.judge.measurement import Measurement
from loadtest.judge.mismatches import LEAST_COMPARED, compared_share, not_compared, too_few_compared
from loadtest.judge.operating_point_tests import operating_point
from loadtest.judge.outcomes import Flags, Floats, Outcomes
from loadtest.judge.paired_outcomes import Evidence, NoEvidence
from loadtest.judge.run import Run, VersionFacts, rows_of_slice
from loadtest.judge.score_tests import FEWEST_AT_A_POINT, filled, refuse_others
from loadtest.stats.calibration_error import BiasedUpwards, estimate
from loadtest.stats.censored import reaches_censored
from loadtest.stats.estimate import Estimate, Known, StudentEstimate
from loadtest.stats.pieces import summed
from loadtest.stats.proportions import IndependentDifference, PairedDifference, Share
from loadtest.stats.quantiles import (
    LEVEL_BLOCKS,
    MIN_BLOCKS,
    Strata,
    block_count,
    difference,
    jackknife,
    log_level,
    log_ratio,
)
from loadtest.stats.time_blocks import SHORTEST_BLOCK, TimeBlocks

MIN_BEYOND = 10
"""Fewest samples above (and below) a quantile that its interval may rest on."""


def measure(gate: Gate, run: Run) -> Measurement:
    """Measure one gate.

    Of evidence that is looked at often, tests that hold at every moment, or whose far tails can be had, take
    the place of those that are best for one analysis.

    Raises:
        NoEvidence: it cannot be measured from these samples; the message says why.
    """
    test, interim = TESTS[gate.entry.test], gate.interim
    if interim == "read":
        return test(gate, run)
    exact = interim == "bets" and run.evidence.paired and (gate.against == "stable" or gate.entry.absolute)
    if not exact and interim != "counted":
        run.evidence.await_first_analysis()
    rows = rows_of_slice(gate, run.dataset)
    if gate.entry.test in ("latency", "errors", "throughput"):
        run = replace(run, evidence=run.evidence.requests)
    note = ""
    if gate.entry.test in ("latency", "goodput"):
        run, note = without_cached(run, () if gate.entry.quantile is None else (gate.entry.quantile,))
    if gate.column is not None:
        run = run.slice(rows)
    for name, outcomes in (("stable", run.evidence.stable), ("the candidate", run.evidence.candidate)):
        if not len(outcomes):
            where = f" in {gate.column}={gate.value}" if gate.column else ""
            raise NoEvidence(f"no samples of {name}{where}" + (f"; {note}" if note else ""))
    try:
        measured = test(gate, run)
        measured = replace(measured, note="; ".join(filter(None, (note, measured.note))))
    except NoEvidence as missing:
        if not note:
            raise
        remedy = "bring more rows, and forbid [data] repeats"
        raise NoEvidence(f"{missing}; {note}: {remedy}", missing.seconds, missing.more) from None
    if measured.rows is None:
        return measured
    return replace(measured, rows_left=len(np.unique(run.dataset.content[rows])) - measured.rows)


def _blocks(gate: Gate, evidence: Evidence) -> int:
    """Into how many time blocks the run is cut for this gate."""
    blocks = evidence.burst_blocks if evidence.often else block_count(evidence.duration)
    if not blocks:
        needed = MIN_BLOCKS * SHORTEST_BLOCK - evidence.duration
        more = _more(needed * evidence.rate, needed)
        text = f"{gate.metric} needs {MIN_BLOCKS} time blocks of {SHORTEST_BLOCK:g} s"
        raise NoEvidence(text + more, needed, more)
    return LEVEL_BLOCKS if gate.against == "absolute" else blocks


def _latency(gate: Gate, run: Run) -> Measurement:
    evidence, q = run.evidence, gate.entry.quantile or 0.0
    blocks = _blocks(gate, evidence)
    s, c = (evidence.blocked(o, blocks) for o in (evidence.stable, evidence.candidate))
    fewest = min(s.smallest_rest, c.smallest_rest) if gate.against == "stable" else c.smallest_rest
    beyond = fewest * min(q, 1 - q)
    kind = "samples"
    if evidence.often and beyond >= MIN_BEYOND:
        # with many analyses one comes just after the only pause of the run, or just before
        kind = "separate samples"
        beyond = min(side.beyond(q) for side in ((s, c) if gate.against == "stable" else (c,)))
    if beyond < MIN_BEYOND:
        factor = MIN_BEYOND / beyond - 1 if beyond else 1.0
        more = _more(factor * evidence.arrivals, factor * evidence.duration)
        text = f"{gate.metric} rests on {int(beyond)} {kind} beyond it, {MIN_BEYOND} are needed"
        raise NoEvidence(text + more, factor * evidence.duration, more)
    own_s, own_c = s.quantile(q), c.quantile(q)
    timeout = run.experiment.load.timeout
    if reaches_censored(c, q, timeout) or (gate.against == "stable" and reaches_censored(s, q, timeout)):
        return censored_latency(gate, run, s, c)
    if gate.against == "absolute":
        estimate = _alone(log_level(c, q), evidence)
        return Measurement(estimate, math.log(gate.bound), own_s, own_c, to_base=math.exp)
    if gate.relative:
        return Measurement(log_ratio(s, c, q), math.log1p(gate.bound), own_s, own_c, to_base=math.expm1)
    return Measurement(difference(s, c, q), gate.bound, own_s, own_c)


def _alone(estimate: StudentEstimate, evidence: Evidence) -> StudentEstimate:
    return replace(estimate, error=estimate.error * evidence.early_drift)


def _more(requests: float, seconds: float) -> str:
    requests, seconds = max(1, math.ceil(requests)), max(1, math.ceil(seconds))
    return f": {requests:,} more requests, about {seconds:,} s at this rate"


def _errors(gate: Gate, run: Run) -> Measurement:
    evidence = run.evidence
    s, c = evidence.stable.failed, evidence.candidate.failed
    estimate: Estimate
    if gate.against == "absolute":
        effect = evidence.bursts(evidence.candidate, c.view(np.int8))
        estimate = Share(float(c.sum()) / effect, len(c) / effect)
    elif evidence.paired:
        effect = evidence.bursts(evidence.stable, c.view(np.int8) - s.view(np.int8))
        gained, lost = float(np.sum(c & ~s)), float(np.sum(s & ~c))
        estimate = PairedDifference(gained / effect, lost / effect, len(c) / effect)
    else:
        s_effect = evidence.bursts(evidence.stable, s.view(np.int8))
        c_effect = evidence.bursts(evidence.candidate, c.view(np.int8))
        estimate = IndependentDifference(
            float(c.sum()) / c_effect, len(c) / c_effect, float(s.sum()) / s_effect, len(s) / s_effect
        )
    return Measurement(estimate, gate.margin, float(s.mean()), float(c.mean()))


def answered(outcomes: Outcomes, run: Run) -> Flags:  # noqa: ARG001 - as ``good``
    """Per arrival: a usable answer came."""
    return ~outcomes.failed


def good(outcomes: Outcomes, run: Run) -> Flags:
    """Per arrival: the answer was correct (where right and wrong are known), and within the objective."""
    known = run.experiment.data.task != "regression" and run.dataset.labelled
    usable = outcomes.correct if known else ~outcomes.failed
    return usable & (outcomes.latency <= run.experiment.objective.latency)


def _rate(gate: Gate, run: Run, counted: Callable[[Outcomes, Run], Flags]) -> Measurement:
    evidence = run.evidence
    blocks = _blocks(gate, evidence)

    cut = evidence.cut(blocks)
    lengths, strata = cut.lengths, answers_by_phase(cut)

    def per_block(outcomes: Outcomes) -> Floats:
        counted_here = outcomes.as_requests(counted(outcomes, run))
        return summed(cut.of(outcomes.scheduled_at), counted_here, len(cut)) * evidence.weight

    s, c = per_block(evidence.stable), per_block(evidence.candidate)
    own_s, own_c = float(s.sum()) / evidence.duration, float(c.sum()) / evidence.duration
    if gate.against == "absolute":
        estimate = _alone(jackknife(own_c, rates_without(c, lengths), strata), evidence)
    elif not gate.relative:
        estimate = jackknife(own_c - own_s, rates_without(c - s, lengths), strata)
    elif s.sum() > s.max():
        ratios = rates_without(c, lengths) / rates_without(s, lengths)
        estimate = jackknife(own_c / own_s - 1, ratios - 1, strata)
    else:
        raise NoEvidence(f"stable's {gate.metric} is nearly 0, so a share of it means nothing")
    return Measurement(estimate, gate.margin, own_s, own_c)


def rates_without(counts: Floats, lengths: Floats) -> Floats:
    """The rate without each time block in turn, per second.

    Args:
        counts: of each block, shape (blocks,).
        lengths: seconds, shape (blocks,).
    """
    without: Floats = (counts.sum() - counts) / (lengths.sum() - lengths)
    return without


def answers_by_phase(cut: TimeBlocks) -> Strata | None:
    """The blocks by phase for a count per second: each is as large as it is long."""
    return None if cut.phase is None else Strata(cut.phase, cut.lengths / cut.lengths.sum())


def _mismatches(gate: Gate, run: Run) -> Measurement:
    stable, candidate = run.evidence.stable, run.evidence.candidate
    if not candidate.compared.any():
        raise NoEvidence(not_compared(run.facts))
    s, c = float(stable.mismatch.sum()), float(candidate.mismatch.sum())
    proven = gate.against == "absolute" and c > gate.bound
    for name, outcomes in (("stable", stable), ("the candidate", candidate)):
        counts = name != "stable" or gate.against == "stable"
        if counts and not proven and compared_share(outcomes) < LEAST_COMPARED:
            raise NoEvidence(too_few_compared(name, outcomes))
    return Measurement(Known(c - s if gate.against == "stable" else c), gate.bound, s, c)


def _read(gate: Gate, run: Run, read: Callable[[VersionFacts], float | None]) -> Measurement:
    s, c = (read(run.facts.of(role)) for role in ROLES)
    if c is None or (gate.against == "stable" and s is None):
        raise NoEvidence(f"{gate.metric} was not measured on this backend")
    value = c
    if gate.against == "stable" and s is not None:
        if gate.relative and s <= 0:
            raise NoEvidence(f"stable's {gate.metric} is 0, so a share of it means nothing")
        value = c / s - 1 if gate.relative else c - s
    return Measurement(Known(value), gate.bound, s, c)


def calibration_error(gate: Gate, run: Run) -> Measurement:
    """Over 15 bins of equal width; see ``loadtest.stats.calibration_error``."""
    stable, candidate = (
        _calibration_of(run, outcomes) for outcomes in (run.evidence.stable, run.evidence.candidate)
    )
    rows = int(candidate.plain.rows)
    note = f"too large by at most {candidate.bias:.2g}, as it rests on {rows:,} rows"
    return Measurement(candidate, gate.margin, stable.value, candidate.value, rows=rows, note=note)


def _calibration_of(run: Run, outcomes: Outcomes) -> BiasedUpwards:
    scores = filled(outcomes, run, median=False)
    refuse_others(outcomes, scores, "stable" if outcomes is run.evidence.stable else "the candidate")
    rows = Rows.of(outcomes, run.dataset)
    truth = run.dataset.class_places[rows.rows]
    fewest = int(np.bincount(truth, minlength=2).min())
    if scores.shape[1] == 2 and fewest < FEWEST_AT_A_POINT:
        raise NoEvidence(
            f"ece rests on {fewest} rows of one class, {FEWEST_AT_A_POINT} are needed; run longer, or gate "
            "log_loss"
        )
    each = np.column_stack([rows.mean(column) for column in scores.T])
    return estimate(each, truth)


TESTS: Mapping[str, Callable[[Gate, Run], Measurement]] = {
    "latency": _latency,
    "errors": _errors,
    "goodput": partial(_rate, counted=good),
    "throughput": partial(_rate, counted=answered),
    "mismatches": _mismatches,
    "accuracy": quality_tests.accuracy,
    "agreement": agreement,
    "value": quality_tests.value,
    "classification": quality_tests.classification,
    "regression": quality_tests.regression,
    "median_error": error_ranks.median_error,
    "largest_error": error_ranks.largest_error,
    "interval_coverage": predicted_intervals.coverage,
    "interval_width": predicted_intervals.width,
    "discrimination": score_tests.discrimination,
    "calibration_error": calibration_error,
    "operating_point": operating_point,
    "score_shift": score_shift,
    "per_row_score": score_tests.per_row,
    "ranking": ranking_tests.ranking,
    "ranking_hit": ranking_tests.hit,
    "ranking_value": ranking_tests.value,
    "ranking_overlap": ranking_tests.overlap,
    "memory": partial(_read, read=lambda facts: facts.memory_bytes),
    "cpu_throttled": partial(_read, read=lambda facts: facts.cpu_throttled_ratio),
}
"""Every ``Metric.test`` that one load can answer; each raises ``NoEvidence`` where it has no answer."""
