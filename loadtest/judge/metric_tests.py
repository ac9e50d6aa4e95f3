"""From a gate to its measurement: which test answers which kind of metric."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import Role
from loadtest.judge import quality_tests
from loadtest.judge.measurement import Measurement, margin_of
from loadtest.judge.mismatches import not_compared
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.paired_outcomes import Evidence, NoEvidence
from loadtest.judge.run_facts import RunFacts
from loadtest.stats.estimate import Estimate, Known, StudentEstimate
from loadtest.stats.proportions import IndependentDifference, PairedDifference, Share, design_effect
from loadtest.stats.quantiles import (
    LEVEL_BLOCKS,
    MIN_BLOCKS,
    SHORTEST_BLOCK,
    block_count,
    difference,
    jackknife,
    log_level,
    log_ratio,
)

STEADY_BLOCK = 10.0
"""Seconds of a block from which on the level of one version alone is looked at as its error says."""
MIN_BEYOND = 10
"""Fewest samples above (and below) a quantile that its interval may rest on."""


def rows_of_slice(gate: Gate, dataset: Dataset) -> NDArray[np.bool_]:
    """Which rows of the evaluation set a gate is about, shape (rows,)."""
    if gate.column is None:
        return np.ones(len(dataset), dtype=bool)
    text = pc.fill_null(dataset.columns[gate.column].cast(pa.string()), "")
    return np.asarray(pc.equal(text, gate.value).to_numpy())


def measure(
    gate: Gate, evidence: Evidence, experiment: Experiment, dataset: Dataset, run_facts: RunFacts
) -> Measurement:
    """Measure one gate.

    Of evidence that is looked at often, tests that hold at every moment, or whose far tails can be had, take
    the place of those that are best for one analysis.

    Raises:
        NoEvidence: it cannot be measured from these samples; the message says why.
    """
    if gate.kind == "memory" or gate.metric == "cpu_throttled":
        return _fact(gate, run_facts)
    bets = gate.metric == "accuracy" and gate.against == "stable" and evidence.paired
    if not bets and gate.kind != "count":
        evidence.await_first_analysis()
    rows = rows_of_slice(gate, dataset)
    if gate.column is not None:
        evidence = evidence.slice(rows)
    for name, outcomes in (("stable", evidence.stable), ("the candidate", evidence.candidate)):
        if not len(outcomes):
            where = f" in {gate.column}={gate.value}" if gate.column else ""
            raise NoEvidence(f"no samples of {name}{where}")
    if gate.kind == "latency":
        return _latency(gate, evidence)
    if gate.metric == "error_rate":
        return _errors(gate, evidence)
    if gate.kind == "rate":
        return _rate(gate, evidence, experiment)
    if gate.kind == "count":
        return _mismatches(gate, evidence, run_facts)
    if gate.metric == "accuracy":
        return quality_tests.accuracy(gate, evidence, int(rows.sum()))
    return quality_tests.score(gate, evidence, dataset, int(rows.sum()))


def _blocks(gate: Gate, evidence: Evidence) -> int:
    """Into how many time blocks the run is cut for this gate."""
    blocks = evidence.burst_blocks if evidence.often else block_count(evidence.duration)
    if not blocks:
        needed = MIN_BLOCKS * SHORTEST_BLOCK - evidence.duration
        raise NoEvidence(
            f"{gate.metric} needs {MIN_BLOCKS} time blocks of {SHORTEST_BLOCK:g} s: "
            f"{_more(needed * evidence.rate, needed)}",
            seconds=needed,
        )
    return LEVEL_BLOCKS if gate.against == "absolute" else blocks


def _latency(gate: Gate, evidence: Evidence) -> Measurement:
    q = gate.quantile or 0.0
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
        raise NoEvidence(
            f"{gate.metric} rests on {int(beyond)} {kind} beyond it, {MIN_BEYOND} are needed: "
            f"{_more(factor * evidence.arrivals, factor * evidence.duration)}",
            seconds=factor * evidence.duration,
        )
    own_s, own_c = s.quantile(q), c.quantile(q)
    if gate.against == "absolute":
        estimate = _alone(log_level(c, q), evidence)
        return Measurement(estimate, math.log(gate.bound), own_s, own_c, to_base=math.exp)
    if gate.relative:
        return Measurement(log_ratio(s, c, q), math.log1p(gate.bound), own_s, own_c, to_base=math.expm1)
    return Measurement(difference(s, c, q), gate.bound, own_s, own_c)


def _alone(estimate: StudentEstimate, evidence: Evidence) -> StudentEstimate:
    """One version's own level: early analyses cannot see the drift that blocks of ten seconds would hold."""
    if not evidence.often:
        return estimate
    short = max(1.0, LEVEL_BLOCKS * STEADY_BLOCK / evidence.duration)
    return replace(estimate, error=estimate.error * short**2)


def _more(requests: float, seconds: float) -> str:
    requests, seconds = max(1, math.ceil(requests)), max(1, math.ceil(seconds))
    return f"{requests:,} more requests, about {seconds:,} s at this rate"


def _errors(gate: Gate, evidence: Evidence) -> Measurement:
    s, c = evidence.stable.failed.astype(np.float64), evidence.candidate.failed.astype(np.float64)
    estimate: Estimate
    if gate.against == "absolute":
        effect = _bursts(evidence, evidence.candidate, c)
        estimate = Share(float(c.sum()) / effect, len(c) / effect)
    elif evidence.paired:
        effect = _bursts(evidence, evidence.stable, c - s)
        gained, lost = float(np.sum(c > s)), float(np.sum(s > c))
        estimate = PairedDifference(gained / effect, lost / effect, len(c) / effect)
    else:
        s_effect = _bursts(evidence, evidence.stable, s)
        c_effect = _bursts(evidence, evidence.candidate, c)
        estimate = IndependentDifference(
            float(c.sum()) / c_effect, len(c) / c_effect, float(s.sum()) / s_effect, len(s) / s_effect
        )
    return Measurement(estimate, margin_of(gate), float(s.mean()), float(c.mean()))


def _bursts(evidence: Evidence, outcomes: Outcomes, values: NDArray[np.float64]) -> float:
    blocks = evidence.burst_blocks
    return (
        design_effect(values, evidence.blocks_of(outcomes, blocks), blocks, often=evidence.often)
        if blocks > 1
        else 1.0
    )


def good(outcomes: Outcomes, experiment: Experiment) -> NDArray[np.bool_]:
    """Per arrival: the answer was correct (for a classification) and within the latency objective."""
    usable = ~outcomes.failed if experiment.data.task == "regression" else outcomes.correct
    return usable & (outcomes.latency <= experiment.objective.latency)


def _rate(gate: Gate, evidence: Evidence, experiment: Experiment) -> Measurement:
    blocks = _blocks(gate, evidence)

    def per_block(outcomes: Outcomes) -> NDArray[np.float64]:
        counted = good(outcomes, experiment) if gate.metric == "goodput" else ~outcomes.failed
        block = evidence.blocks_of(outcomes, blocks)
        return np.bincount(block, counted, blocks).astype(np.float64) * (blocks / evidence.duration)

    s, c = per_block(evidence.stable), per_block(evidence.candidate)
    own_s, own_c = float(s.mean()), float(c.mean())
    if gate.against == "absolute":
        estimate = _alone(jackknife(own_c, _means_without(c)), evidence)
    elif not gate.relative:
        estimate = jackknife(own_c - own_s, _means_without(c - s))
    elif own_s > s.max() / blocks:
        estimate = jackknife(own_c / own_s - 1, _means_without(c) / _means_without(s) - 1)
    else:
        raise NoEvidence(f"stable's {gate.metric} is nearly 0, so a share of it means nothing")
    return Measurement(estimate, margin_of(gate), own_s, own_c)


def _means_without(values: NDArray[np.float64]) -> NDArray[np.float64]:
    without: NDArray[np.float64] = (values.sum() - values) / (len(values) - 1)
    return without


def _mismatches(gate: Gate, evidence: Evidence, run_facts: RunFacts) -> Measurement:
    if not evidence.candidate.compared.any():
        raise NoEvidence(not_compared(run_facts))
    s, c = float(evidence.stable.mismatch.sum()), float(evidence.candidate.mismatch.sum())
    return Measurement(Known(c - s if gate.against == "stable" else c), gate.bound, s, c)


def _fact(gate: Gate, run_facts: RunFacts) -> Measurement:
    def read(role: Role) -> float | None:
        facts = run_facts.of(role)
        return facts.memory_bytes if gate.kind == "memory" else facts.cpu_throttled_ratio

    s, c = read(Role.STABLE), read(Role.CANDIDATE)
    if c is None or (gate.against == "stable" and s is None):
        raise NoEvidence(f"{gate.metric} was not observed on this backend")
    value = c
    if gate.against == "stable" and s is not None:
        if gate.relative and s <= 0:
            raise NoEvidence(f"stable's {gate.metric} is 0, so a share of it means nothing")
        value = c / s - 1 if gate.relative else c - s
    return Measurement(Known(value), gate.bound, s, c)
