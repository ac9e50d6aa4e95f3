"""A margin on stable's latency that is met by one stretch of the load alone, in which stable was slow.

Where slow answers of stable fill several time blocks, its far quantile is theirs whichever one is left out:
the jackknife sees no noise, and a candidate that is slower at all other times meets the margin.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from loadtest.experiment.gate import Gate
from loadtest.judge.caches import without_cached
from loadtest.judge.outcomes import Floats
from loadtest.judge.run import Run, rows_of_slice
from loadtest.stats.quantiles import Blocked, block_count, difference, log_ratio

_PART = 4
"""A stretch is this part of the load."""
_FEWEST_BEYOND = 5
_STEPS = 3
"""Stretches that are tried begin so many times per their length."""


def met_by_one_stretch(gate: Gate, run: Run) -> str | None:
    """Why a margin that is met shows nothing: without one quarter of the load it is proven to be missed."""
    q, load = gate.quantile, run.facts.load
    if q is None or gate.against != "stable" or load.restarts or run.evidence.often:
        return None
    whole = without_cached(replace(run, evidence=run.evidence.requests), (q,)).run
    if gate.column is not None:
        whole = whole.slice(rows_of_slice(gate, run.dataset))
    evidence, blocks = whole.evidence, block_count(whole.evidence.duration)
    if not blocks or len(evidence.phase_ends) > 1:
        return None  # in phases a quarter of the load is another load
    versions, width = (evidence.stable, evidence.candidate), blocks // _PART
    length = width * evidence.duration / blocks
    left, limit = evidence.duration - length, math.log1p(gate.bound) if gate.relative else gate.bound
    for first in range(0, blocks - width + 1, max(width // _STEPS, 1)):
        begin = first * evidence.duration / blocks
        kept = [(o.scheduled_at < begin) | (o.scheduled_at >= begin + length) for o in versions]
        if min(map(np.count_nonzero, kept)) * min(q, 1 - q) < _FEWEST_BEYOND:
            continue
        own = [float(np.quantile(o.latency[k], q)) for o, k in zip(versions, kept, strict=True)]
        if own[1] <= (own[0] * (1 + gate.bound) if gate.relative else own[0] + gate.bound):
            continue  # most are, and to sort takes longer
        stable, candidate = (
            Blocked.sort(o.latency[k], _closed(o.scheduled_at[k], begin, length), left, blocks - width)
            for o, k in zip(versions, kept, strict=True)
        )
        apart = (log_ratio if gate.relative else difference)(stable, candidate, q)
        if apart.interval(whole.alpha)[0] > limit:
            return (
                f"only the time from {begin:.0f} s to {begin + length:.0f} s meets it, in which stable was "
                f"slow: without that stable has {1000 * own[0]:.3g} ms, the candidate {1000 * own[1]:.3g} "
                "ms, beyond the margin; one such time tells little of the next: run longer, or with --control"
            )
    return None


def _closed(at: Floats, begin: float, length: float) -> Floats:
    """Moments of a load in which there is nothing from ``begin`` on, as if that had not been."""
    return np.where(at < begin, at, at - length)
