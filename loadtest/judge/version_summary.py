"""What each version did in the run: plain descriptions for verdict.json."""

from __future__ import annotations

import math

import numpy as np

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.judge.metric_tests import good
from loadtest.judge.mismatches import changed
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run_facts import RunFacts
from loadtest.judge.verdict import LatencySummary, VersionSummary
from loadtest.stats.summary import latency_quantiles

MOST_IDS = 100
"""Mismatches that verdict.json names; samples.parquet holds all."""


def summarise(
    role: Role,
    evidence: Evidence,
    experiment: Experiment,
    dataset: Dataset,
    run_facts: RunFacts,
) -> VersionSummary:
    """Describe one version; quality over all requests, so that replayed rows count as often as they came."""
    outcomes = evidence.stable if role == "stable" else evidence.candidate
    facts = run_facts.of(role)
    n, errors = len(outcomes), int(outcomes.failed.sum())
    accuracy = value = None
    if n and experiment.data.task == "classification":
        accuracy = float(outcomes.correct.mean())
        if dataset.values is not None:
            earned = 1000 * float(np.mean(dataset.values[outcomes.row] * outcomes.correct))
            value = earned if math.isfinite(earned) else None
    quantiles = latency_quantiles(outcomes.latency)
    return VersionSummary(
        requests=n,
        errors=errors,
        throughput_rps=(n - errors) / evidence.duration,
        goodput_rps=float(good(outcomes, experiment).sum()) / evidence.duration,
        accuracy=accuracy,
        value_per_1000=value,
        mismatches=int(outcomes.mismatch.sum()) if outcomes.compared.any() else None,
        mismatch_ids=tuple(c.request_id for c in changed(outcomes, MOST_IDS) if c.request_id),
        compared=int(outcomes.compared.sum()) if outcomes.compared.any() else None,
        latency_ms=LatencySummary(**{k: None if v is None else 1000 * v for k, v in quantiles.items()}),
        cpus=facts.cpus,
        cpu_throttled_ratio=facts.cpu_throttled_ratio,
        memory_bytes=facts.memory_bytes,
    )
