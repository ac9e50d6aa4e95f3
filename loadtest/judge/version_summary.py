"""What each version did in the run: plain descriptions for verdict.json."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from loadtest.judge.metric_tests import good
from loadtest.judge.mismatches import changed
from loadtest.judge.run import Run
from loadtest.judge.verdict import LatencySummary, VersionSummary
from loadtest.stats.quantiles import latency_quantiles

MOST_IDS = 100
"""Mismatches that verdict.json names; samples.parquet holds all."""


def summarise(role: Literal["stable", "candidate"], run: Run) -> VersionSummary:
    """Describe one version; quality over all requests, so that replayed rows count as often as they came."""
    outcomes, facts, values = run.evidence.of(role), run.facts.of(role), run.dataset.values
    seconds = run.evidence.duration
    n, errors = len(outcomes), int(outcomes.failed.sum())
    accuracy = value = None
    if n and run.experiment.data.task == "classification":
        accuracy = float(outcomes.correct.mean())
        if values is not None:
            earned = 1000 * float(np.mean(values[outcomes.row] * outcomes.correct))
            value = earned if math.isfinite(earned) else None
    quantiles = latency_quantiles(outcomes.latency)
    return VersionSummary(
        requests=n,
        errors=errors,
        throughput_rps=(n - errors) / seconds,
        goodput_rps=float(good(outcomes, run.experiment).sum()) / seconds,
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
