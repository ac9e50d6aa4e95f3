"""Quantiles of latency, and their uncertainty by a delete-one-block jackknife over time blocks.

Latencies of neighbouring requests are not independent: a pause or a throttled CPU period delays many at
once, and counts of slow requests per second vary about ten times more than independence allows. Blocks of
seconds are nearly independent, so the jackknife deletes one block of time at a time, of both versions
together, and lets the spread of the results speak (Künsch 1989, The jackknife and the bootstrap for
general stationary observations, Annals of Statistics 17(3)).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from loadtest.stats.estimate import StudentEstimate
from loadtest.stats.pieces import summed
from loadtest.stats.proportions import design_effect
from loadtest.stats.time_blocks import SHORTEST_BLOCK, Places, TimeBlocks

Floats = NDArray[np.float64]

MIN_BLOCKS, MAX_BLOCKS = 12, 30
"""Fewer blocks make a wide t interval; more gain nothing (t(29) is 3% from the normal), so longer runs get
longer blocks, which forgive longer disturbances (Schmeiser 1982, Operations Research 30)."""
LEVEL_BLOCKS = 6
"""Blocks for the level of one version alone: drift that both versions share does not cancel there, so blocks
must be as long as the run affords."""
USUAL_BLOCK = 5.0
"""Seconds, until there are ``MAX_BLOCKS``."""


_STRIDE = 4096
"""Values between which the values of each block are counted."""

DESCRIBED = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def latency_quantiles(latency: Ranked) -> dict[str, float | None]:
    """``p50`` to ``p999`` and ``max`` in the unit of ``latency``, shape (n,); None for each when n is 0.

    Plain descriptions, without inference.
    """
    if not len(latency):
        return dict.fromkeys((*DESCRIBED, "max"))
    found: dict[str, float | None] = {name: sorted_quantile(latency, q) for name, q in DESCRIBED.items()}
    return {**found, "max": float(latency[-1])}


def sorted_quantile(values: Floats | Ranked, q: float) -> float:
    """As ``numpy.quantile``, to the last digit, of values in ascending order, shape (n,): without a copy."""
    place = (len(values) - 1) * q
    lower = math.floor(place)
    share = place - lower
    low, high = float(values[lower]), float(values[min(lower + 1, len(values) - 1)])
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


@dataclass(frozen=True)
class Ranked:
    """Values in ascending order that stay where they are: ``Ranked(values, numpy.argsort(values))``.

    Of many values few are ever looked at, and a sorted copy of them all would be as large again.

    Args:
        unsorted: shape (n,).
        order: places of the values in ascending order, shape (n,).
        scale: what every value is multiplied by; positive.
    """

    unsorted: Floats
    order: NDArray[np.integer]
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, rank: int | np.integer) -> float: ...
    @overload
    def __getitem__(self, rank: slice | NDArray[np.integer]) -> Floats: ...
    def __getitem__(self, rank: int | np.integer | slice | NDArray[np.integer]) -> float | Floats:
        """The values of these ranks, from 0."""
        found: Floats = self.unsorted[self.order[rank]]
        return found if self.scale == 1.0 else self.scale * found

    def below(self, value: float, *, equal: bool = False) -> int:
        """How many values are smaller than ``value``, or, with ``equal``, not larger."""
        return (bisect_right if equal else bisect_left)(self, value)


def block_count(duration: float) -> int:
    """How many equal time blocks a run of ``duration`` seconds divides into; 0 when it is too short."""
    if duration < MIN_BLOCKS * SHORTEST_BLOCK * 0.95:  # random arrivals rarely fill the very last second
        return 0
    return min(max(MIN_BLOCKS, round(duration / USUAL_BLOCK)), MAX_BLOCKS)


@dataclass(frozen=True)
class Strata:
    """Blocks by phase.

    Args:
        phase: of each block, from 0, shape (blocks,); at least two blocks each.
        part: of the whole that each block is, shape (blocks,); they add up to 1.
    """

    phase: Places
    part: Floats


@dataclass(frozen=True)
class Blocked:
    """Values that happened in time blocks, sorted once so that any quantile without any block is cheap.

    Args:
        values: shape (n,), ascending.
        block: shape (n,), the time block of each value, 0 to ``blocks - 1``.
        blocks: how many blocks there are.
        phase: of each block, shape (blocks,), where the load has phases.
    """

    values: Ranked
    block: NDArray[np.integer]
    blocks: int
    phase: Places | None = None

    @classmethod
    def sort(cls, values: Floats, times: Floats, duration: float, blocks: int) -> Blocked:
        """Cut ``duration`` seconds into equal ``blocks`` and sort.

        Values and times, in seconds since the run began, have the shape (n,); times outside the run fall to
        its end blocks.
        """
        block = TimeBlocks.cut(duration, blocks).of(times)
        order = np.argsort(values)
        return cls(Ranked(values, order), block[order], blocks)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """How many values each block has, shape (blocks,)."""
        return summed(self.block, None, self.blocks).astype(np.intp)

    @cached_property
    def _deleted(self) -> NDArray[np.intp]:
        """How many values of each block lie before every ``_STRIDE``-th value, shape (strides, blocks)."""
        begins = range(0, max(len(self.values) - _STRIDE, 0), _STRIDE)
        inside = [np.bincount(self.block[at : at + _STRIDE], minlength=self.blocks) for at in begins]
        return np.cumsum([np.zeros(self.blocks, dtype=np.intp), *inside], axis=0)

    def before(self, block: int, place: int) -> int:
        """How many values of one block are among the ``place`` smallest values of all."""
        stride = min(place // _STRIDE, len(self._deleted) - 1)
        rest = np.count_nonzero(self.block[stride * _STRIDE : place] == block)
        return int(self._deleted[stride, block]) + int(rest)

    def without(self, block: int, rank: int) -> float:
        """The value of this rank, from 0, among those of the other blocks; past the last, the last of all."""
        kept = np.arange(len(self._deleted)) * _STRIDE - self._deleted[:, block]
        stride = max(int(np.searchsorted(kept, rank, side="right")) - 1, 0)
        # a place for each value that is kept, up to the end of the stride that has this one
        near = slice(stride * _STRIDE, (stride + 1) * _STRIDE)
        places = np.flatnonzero(self.block[near] != block)
        left = rank - int(kept[stride])
        return float(self.values[near.start + int(places[left])] if left < len(places) else self.values[-1])

    @property
    def strata(self) -> Strata | None:
        """The blocks by phase, each as large as its part of the values."""
        if self.phase is None:
            return None
        return Strata(self.phase, self.counts / max(len(self.values), 1))

    @property
    def smallest_rest(self) -> int:
        """How many values are left when the fullest block is deleted."""
        return len(self.values) - int(self.counts.max())

    def quantile(self, q: float) -> float:
        """The quantile of all values (linear interpolation, as ``numpy.quantile``)."""
        return sorted_quantile(self.values, q)

    def beyond(self, q: float) -> float:
        """How many values lie beyond the quantile, on its rarer side, by how many independent ones would tell
        as much: slow requests that one pause delayed together tell of one pause.
        """
        end = self.quantile(q)
        hits = np.zeros(len(self.values), dtype=np.int8)
        if q >= 0.5:
            hits[self.values.below(end) :] = 1
        else:
            hits[: self.values.below(end, equal=True)] = 1
        return float(hits.sum()) / design_effect(hits, self.block, self.blocks)

    def leave_one_out(self, q: float) -> Floats:
        """The quantile with each block deleted in turn, shape (blocks,)."""
        return np.array([self._without(block, q) for block in range(self.blocks)])

    def _without(self, block: int, q: float) -> float:
        rank = q * (len(self.values) - int(self.counts[block]) - 1)
        lower = int(rank)
        low = self.without(block, lower)
        return float(low + (rank - lower) * (self.without(block, lower + 1) - low)) if rank > lower else low


def jackknife(whole: float, without: Floats, strata: Strata | None = None) -> StudentEstimate:
    """The delete-one-block jackknife of a statistic.

    Args:
        whole: the statistic on all blocks.
        without: shape (k,), the statistic with each block deleted in turn.
        strata: the blocks by phase; None: all of one phase, and equal.

    Returns:
        ``whole`` with the standard error of the pseudo-values and k - 1 degrees of freedom. By phase, each
        block is compared with those of its phase, and the degrees of freedom are Satterthwaite's: where all
        of the spread is in one short phase, they are those of its blocks.
    """
    k = len(without)
    if strata is None:
        pseudo_values = k * whole - (k - 1) * without
        return StudentEstimate(whole, float(np.std(pseudo_values, ddof=1)) / k**0.5, k - 1)
    influence = (1 - strata.part) * (whole - without)
    blocks = np.bincount(strata.phase)
    centred = influence - (np.bincount(strata.phase, influence) / blocks)[strata.phase]
    variances = blocks / (blocks - 1) * np.bincount(strata.phase, centred**2)
    total = float(variances.sum())
    freedom = total**2 / float((variances**2 / (blocks - 1)).sum()) if total else float(k - len(blocks))
    return StudentEstimate(whole, total**0.5, freedom)


def log_ratio(stable: Blocked, candidate: Blocked, q: float) -> StudentEstimate:
    """ln(quantile of candidate / quantile of stable), over paired time blocks; values must be positive."""
    return jackknife(
        float(np.log(candidate.quantile(q) / stable.quantile(q))),
        np.log(candidate.leave_one_out(q) / stable.leave_one_out(q)),
        candidate.strata,
    )


def difference(stable: Blocked, candidate: Blocked, q: float) -> StudentEstimate:
    """Quantile of candidate minus quantile of stable, in the unit of the values, over paired time blocks."""
    return jackknife(
        candidate.quantile(q) - stable.quantile(q),
        candidate.leave_one_out(q) - stable.leave_one_out(q),
        candidate.strata,
    )


def log_level(values: Blocked, q: float) -> StudentEstimate:
    """ln of one version's own quantile: the log keeps the interval of a long tail from ending too low."""
    return jackknife(float(np.log(values.quantile(q))), np.log(values.leave_one_out(q)), values.strata)
