"""Answers and errors in runs that end as soon as they are decided: 50 arrivals per second, duet traffic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadtest.judge.paired_outcomes import FIRST_ANALYSIS
from loadtest.stats.proportions import PairedDifference, design_effect
from loadtest.stats.quantiles import block_count
from loadtest.stats.sequential import level_at, paired_log_e
from loadtest.stats.time_blocks import SHORTEST_BLOCK

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]
ALPHA, LIMIT = 0.05, 300.0
DUET_RATE, ROWS_LIMIT = 50, 600
BURSTS = 20
"""In bursts, one second of so many has all the errors."""


def analysis_seconds() -> list[float]:
    """Every second, and later after each fortieth more: thinned, since later analyses hardly differ."""
    seconds = [FIRST_ANALYSIS]
    while seconds[-1] < LIMIT:
        seconds.append(min(LIMIT, seconds[-1] + max(1.0, round(seconds[-1] / 40, 2))))
    return seconds


SECONDS = np.array(analysis_seconds())
BLOCKS = [block_count(t) or int(t // SHORTEST_BLOCK) for t in SECONDS]


def ever(hit: NDArray[np.bool_]) -> float:
    """The share of runs in which any analysis hits."""
    return float(np.mean(hit.any(axis=1)))


def when(hit: NDArray[np.bool_], seconds: Floats = SECONDS) -> dict[str, float | None]:
    """In which share of runs any analysis hits; after how many seconds in half and in 90% of all runs."""
    first = np.sort(np.where(hit.any(axis=1), seconds[hit.argmax(axis=1)], np.inf))
    median, late = first[len(first) // 2], first[int(0.9 * len(first))]
    return {
        "share": ever(hit),
        "median": float(median) if np.isfinite(median) else None,
        "p90": float(late) if np.isfinite(late) else None,
    }


def discordant(
    runs: int, pairs: Counts, gained: float, lost: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Cumulated counts of pairs in which only one outcome was yes, shape (runs, analyses) each."""
    new = np.broadcast_to(np.diff(pairs, prepend=0), (runs, len(pairs)))
    total = rng.multinomial(new, [gained, lost, 1 - gained - lost]).cumsum(axis=1).astype(np.float64)
    return total[..., 0], total[..., 1]


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Both tables."""
    rng = np.random.default_rng([seed, 9])
    return [*_answers(runs, rng), *_errors(runs, rng)]


def _answers(runs: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Accuracy within 1 point, bet on row by row from the first second on, for ten minutes."""
    rows = []
    seconds = np.arange(1.0, ROWS_LIMIT + 1)
    pairs = np.round(seconds * DUET_RATE).astype(np.intp)
    limit = math.log(1 / ALPHA)
    for both, worse in ((0.10, 0.0), (0.10, 0.01), (0.10, 0.05), (0.04, 0.0), (0.04, 0.01), (0.04, 0.03)):
        gained, lost = discordant(runs, pairs, (both - worse) / 2, (both + worse) / 2, rng)
        too_high = paired_log_e(gained, lost, pairs, -worse) >= limit
        too_low = paired_log_e(lost, gained, pairs, worse) >= limit
        row = {
            "table": "answers",
            "what": f"{100 * both:.0f}% discordant, {f'{100 * worse:g} points worse' if worse else 'equal'}",
            "runs": runs,
            "coverage": 1 - ever(too_high | too_low),
            "passed": when(paired_log_e(gained, lost, pairs, -0.01) >= limit, seconds),
            "failed": when(paired_log_e(lost, gained, pairs, 0.01) >= limit, seconds),
        }
        for second in (60, 300):
            ends = [
                PairedDifference(float(b), float(c), float(pairs[second - 1]))
                for b, c in zip(gained[:, second - 1], lost[:, second - 1], strict=True)
            ]
            row[f"passed_{second}"] = float(np.mean([end.p_above(-0.01) < ALPHA for end in ends]))
            row[f"failed_{second}"] = float(np.mean([end.p_below(-0.01) < ALPHA for end in ends]))
        rows.append(row)
    return rows


def _errors(runs: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Errors within 0.5 points, one by one or in bursts of one version."""
    rows = []
    for bursts in (False, True):
        for candidate in (0.005, 0.010, 0.050):
            alarm, passed, failed = (np.zeros((runs, len(SECONDS)), dtype=bool) for _ in range(3))
            once = np.zeros((runs, 2), dtype=bool)
            for run in range(runs):
                at = np.sort(rng.uniform(0, LIMIT, rng.poisson(DUET_RATE * LIMIT)))
                change = _failures(at, candidate, bursts, rng) - _failures(at, 0.005, bursts, rng)
                for analysis, seconds in enumerate(SECONDS):
                    estimate = _paired(at, change, seconds, BLOCKS[analysis], often=True)
                    level = level_at(seconds, ALPHA)
                    alarm[run, analysis] = estimate.p_above(0.0) <= level
                    passed[run, analysis] = estimate.p_below(0.005) <= level
                    failed[run, analysis] = estimate.p_above(0.005) <= level
                end = _paired(at, change, 60.0, block_count(60.0), often=False)
                once[run] = end.p_below(0.005) < ALPHA, end.p_above(0.005) < ALPHA
            how = "in bursts" if bursts else "one by one"
            rows.append(
                {
                    "table": "errors",
                    "what": f"0.5% and {100 * candidate:g}%, {how}",
                    "runs": runs,
                    "alarm": ever(alarm),
                    "passed": when(passed),
                    "failed": when(failed),
                    "passed_60": float(once[:, 0].mean()),
                    "failed_60": float(once[:, 1].mean()),
                }
            )
    return rows


def _failures(at: Floats, share: float, bursts: bool, rng: np.random.Generator) -> Floats:
    chance = np.full(len(at), share)
    if bursts:
        chance = np.where(rng.random(int(LIMIT) + 1) < 1 / BURSTS, share * BURSTS, 0.0)[at.astype(int)]
    return (rng.random(len(at)) < chance).astype(np.float64)


def _paired(at: Floats, change: Floats, seconds: float, blocks: int, *, often: bool) -> PairedDifference:
    """What the judge makes of the arrivals until an analysis."""
    n = int(np.searchsorted(at, seconds))
    block = np.clip((at[:n] * (blocks / seconds)).astype(np.intp), 0, blocks - 1)
    effect = design_effect(change[:n], block, blocks, often=often)
    gained, lost = float(np.sum(change[:n] > 0)), float(np.sum(change[:n] < 0))
    return PairedDifference(gained / effect, lost / effect, n / effect)
