"""Whether a version answers from a cache, and what is left of a run without such answers.

A random half of the rows was asked before the load. What the halves differ by, at the first time that each
row is asked under load, is the cache's doing. Real traffic may repeat itself less than an evaluation set
does, so a gate on latency then counts first asks alone, of rows that were not asked before. It does so where
the half that was asked is faster by the confidence of the gates: without a cache both halves say the same,
and leaving one out would only cost half of the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.role import ROLES, Role
from loadtest.judge.outcomes import Flags, Outcomes, Places
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import Run
from loadtest.judge.verdict import CacheSummary
from loadtest.stats.medians import location_shift
from loadtest.stats.quantiles import Blocked, block_count, log_ratio
from loadtest.stats.time_blocks import SHORTEST_BLOCK

FEWEST = 50
"""Answers in each half below which nothing is said."""
_FEWEST_RANKED = 10
_FEWEST_BEYOND = 5
_FEWEST_BLOCKS = 6
_USUAL = (0.5,)
SURE = 0.005
"""Error on each side of the interval by which answers are *said* to look cached, or the median shows it."""
WORTH_SAYING = 1.2
"""How many times as fast they are then at least."""


class CacheEffect(NamedTuple):
    """How much faster rows are answered that were asked before the load.

    Args:
        quantile: of latency that is compared.
        ratio: the quantile over rows not asked, by that over rows asked; above 1: those asked are faster.
        low, high: its interval.
    """

    quantile: float
    ratio: float
    low: float
    high: float


class Uncached(NamedTuple):
    """What a gate on latency is judged on.

    Args:
        run: the whole one, or what is left without answers that a cache may have given.
        note: what was left out and why; empty: nothing.
    """

    run: Run
    note: str


def without_cached(run: Run, quantiles: Iterable[float]) -> Uncached:
    """The run as a gate on these quantiles must see it."""
    # beside the quantile itself only a sure effect counts: each look costs some honest runs half of them
    looks = ((tuple(quantiles), run.alpha), (_USUAL, SURE))
    found = {
        role: effect
        for role in ROLES
        for looked_at, alpha in looks
        for effect in effects(run, role, looked_at, alpha)
        if effect.low > 1
    }
    if not found:
        return Uncached(run, "")
    kept = _fresh_first_asks(run)
    names = " and ".join("stable" if role == Role.STABLE else "the candidate" for role in found)
    times = " and ".join(f"{effect.ratio:.3g}" for effect in found.values())
    note = (
        f"rows that were asked before the load are answered {times} times as fast by {names}, so only first "
        f"asks of the others count: {kept.arrivals:,} of {run.evidence.arrivals:,} arrivals"
    )
    return Uncached(replace(run, evidence=kept), note)


def effects(run: Run, role: Role, quantiles: Iterable[float], alpha: float) -> list[CacheEffect]:
    """The effect on each quantile that the answers tell of; none where rows were not asked before the load.

    ``alpha`` is the error on each side of the intervals.
    """
    quantiles, halves = set(quantiles), _halves(run.evidence.of(role), run.dataset.request)
    if halves is None:
        return _of_short_first_asks(run, role) if _USUAL[0] in quantiles else []
    asked, others = halves
    fewest = min(asked.smallest_rest, others.smallest_rest)
    found = []
    for q in sorted(quantiles):
        if fewest * min(q, 1 - q) >= _FEWEST_BEYOND:
            estimate = log_ratio(asked, others, q)
            low, high = estimate.interval(alpha)
            found.append(CacheEffect(q, math.exp(estimate.value), math.exp(low), math.exp(high)))
    return found


def _of_short_first_asks(run: Run, role: Role) -> list[CacheEffect]:
    """The same of a few rows that soon come again, for which there are no time blocks.

    A draw decided which rows were asked, so ranks alone tell; at the level of what is said, as such a run has
    little else but repeats to lose.
    """
    outcomes = run.evidence.of(role)
    if outcomes.several:
        # as in ``_halves``
        return []
    asked, others = _asked_or_not(outcomes, run.dataset.request)
    if min(len(asked), len(others)) < _FEWEST_RANKED:
        return []
    ends = outcomes.scheduled_at[_answered_first(outcomes, run.dataset.request)].max()
    if block_count(float(ends)) or ends // SHORTEST_BLOCK >= _FEWEST_BLOCKS:
        return []
    shift = location_shift(np.log(outcomes.latency[asked]), np.log(outcomes.latency[others]), SURE)
    return [CacheEffect(_USUAL[0], *(math.exp(min(end, 700.0)) for end in shift))]


def summarise_cache(run: Run, role: Role) -> CacheSummary | None:
    """What the report says of a version's cache; None where no row was asked before the load."""
    outcomes, request = run.evidence.of(role), run.dataset.request
    gated = [gate.entry.quantile for gate in run.experiment.gates if gate.entry.quantile is not None]
    found = effects(run, role, (*gated, *_USUAL), SURE)
    if not found:
        return None
    effect = max(found, key=lambda effect: effect.low)
    asked, others = _asked_or_not(outcomes, request)
    repeats = ~outcomes.failed
    repeats[outcomes.first_of_each(request)] = False

    def milliseconds(which: Places | Flags) -> float | None:
        latency = outcomes.latency[which]
        if not len(latency):
            return None
        return 1000 * float(np.quantile(latency, effect.quantile, overwrite_input=True))

    return CacheSummary(
        quantile=f"p{100 * effect.quantile:g}".replace(".", ""),
        asked_before=len(asked),
        not_asked=len(others),
        repeats=int(repeats.sum()),
        asked_before_ms=milliseconds(asked),
        not_asked_ms=milliseconds(others),
        repeats_ms=milliseconds(repeats),
        times_as_fast=effect.ratio,
        interval=(effect.low, effect.high),
        seen=effect.low > 1 and effect.ratio >= WORTH_SAYING,
    )


def _answered_first(outcomes: Outcomes, request: NDArray[np.intp]) -> Places:
    """Where a request was answered that is sent for the first time under load, in order of time."""
    first = outcomes.first_of_each(request)
    return first[~outcomes.failed[first]]


def _asked_or_not(outcomes: Outcomes, request: NDArray[np.intp]) -> tuple[Places, Places]:
    """Where a request was answered that is sent for the first time under load: of rows that were asked before
    the load, and of those that were not."""
    first = _answered_first(outcomes, request)
    asked = outcomes.asked_before[first]
    return first[asked == 1], first[asked == 0]


def _halves(outcomes: Outcomes, request: NDArray[np.intp]) -> tuple[Blocked, Blocked] | None:
    """Latencies of first asks in time blocks: of rows that were asked before the load, and of the others."""
    if outcomes.several:
        # what is asked for a row before the load is no request that the load sends
        return None
    asked, others = _asked_or_not(outcomes, request)
    if min(len(asked), len(others)) < FEWEST:
        return None
    # where the time did not suffice for all, those asked are the ones sent first
    end = float(outcomes.scheduled_at[asked].max())
    others = others[outcomes.scheduled_at[others] <= end]
    blocks = block_count(end) or int(end // SHORTEST_BLOCK)
    if len(others) < FEWEST or blocks < _FEWEST_BLOCKS:
        return None
    one, other = (
        Blocked.sort(outcomes.latency[which], outcomes.scheduled_at[which], end, blocks)
        for which in (asked, others)
    )
    return one, other


def _fresh_first_asks(run: Run) -> Evidence:
    """The arrivals whose row no version was asked before, by nobody known, until the last of them."""
    evidence, request = run.evidence, run.dataset.request
    fresh = [o.asked_before == 0 for o in (evidence.stable, evidence.candidate)]
    if evidence.paired:
        fresh = [fresh[0] & fresh[1]] * 2
    stable, candidate = (
        o.take(first[kept[first]])
        for o, kept in zip((evidence.stable, evidence.candidate), fresh, strict=True)
        for first in (o.first_of_each(request),)
    )
    arrivals = len(stable) if evidence.paired else len(stable) + len(candidate)
    if not arrivals:
        return replace(evidence, stable=stable, candidate=candidate)
    end = max(float(o.scheduled_at[-1]) for o in (stable, candidate) if len(o))
    # gaps between arrivals are random: what ends with the run lasts as long
    duration = evidence.duration if end > 0.95 * evidence.duration else end
    weight = evidence.rate / (arrivals / duration)
    return replace(evidence.lasting(duration), stable=stable, candidate=candidate, weight=weight)
