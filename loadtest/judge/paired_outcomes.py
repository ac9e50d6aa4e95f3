"""The evidence of a run: stable's outcomes beside the candidate's, and what parts they are cut into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Load
from loadtest.experiment.role import Role
from loadtest.judge.layout import compared, is_paired, lay_out
from loadtest.judge.outcomes import Flags, Floats, Outcomes, places_where
from loadtest.stats.pieces import taken
from loadtest.stats.proportions import design_effect
from loadtest.stats.quantiles import LEVEL_BLOCKS, Blocked, block_count
from loadtest.stats.time_blocks import SHORTEST_BLOCK, TimeBlocks, whole_phases

_MOMENT = 1e-6
FIRST_ANALYSIS = 15.0
"""Seconds of load that an analysis which is one of many must see, unless its test is exact: before, there are
too few blocks of time to know how much an estimate varies."""


STEADY_BLOCK = 10.0
"""Seconds of a block from which on the level of one version alone is looked at as its error says."""


class NoEvidence(Exception):  # noqa: N818 - an answer that the judge reports, no error
    """A gate cannot be decided from these samples.

    Args:
        reason: the human line that says why.
        seconds: load of the same kind that would decide it; None where no such length is known.
        more: the part of the reason that asks for more load; empty where none does.
    """

    def __init__(self, reason: str, seconds: float | None = None, more: str = "") -> None:
        super().__init__(reason)
        self.seconds, self.more = seconds, more


@dataclass(frozen=True)
class Evidence:
    """Both versions' outcomes.

    Args:
        candidate: outcomes of the candidate; entry i is the same arrival as stable's when ``paired``.
        paired: each arrival went to both versions.
        unmatched: samples whose arrival has none of the other version, though it should.
        duration: seconds of load.
        often: it still grows, and this analysis of it is one of many.
        weight: how many arrivals each stands for, where rates are counted on a part of them.
        phase_ends: seconds until each phase ends, the last is ``duration``; none: one constant rate.
        started_at: the first arrival, seconds since the measurement began.
    """

    stable: Outcomes
    candidate: Outcomes
    paired: bool
    unmatched: int
    duration: float
    often: bool = False
    weight: float = 1.0
    phase_ends: tuple[float, ...] = ()
    started_at: float = 0.0

    def of(self, role: str) -> Outcomes:
        """What one version did."""
        return self.stable if role == Role.STABLE else self.candidate

    @property
    def requests(self) -> Evidence:
        """One outcome per request, where some had several rows: of latency and errors."""
        if not (self.stable.several or self.candidate.several):
            return self
        return replace(self, stable=self.stable.requests, candidate=self.candidate.requests)

    @property
    def arrivals(self) -> int:
        """How many arrivals there are, over both versions when they are not paired."""
        stable = len(self.stable.requests)
        return stable if self.paired else stable + len(self.candidate.requests)

    @property
    def samples(self) -> int:
        """How many samples there are, those that stand alone included."""
        return len(self.stable) + len(self.candidate) + self.unmatched

    @property
    def rate(self) -> float:
        """Arrivals per second."""
        return self.arrivals / self.duration

    def await_first_analysis(self) -> None:
        """Refuse an analysis that comes too early.

        Raises:
            NoEvidence: there is too little load for an interval that is not exact.
        """
        if self.often and self.duration < FIRST_ANALYSIS:
            rest = FIRST_ANALYSIS - self.duration
            raise NoEvidence(f"the first analysis is after {FIRST_ANALYSIS:g} s of load", seconds=rest)

    @property
    def early_drift(self) -> float:
        """Factor of the standard error of one version's own level: early analyses cannot see the drift that
        blocks of ten seconds would hold."""
        return max(1.0, LEVEL_BLOCKS * STEADY_BLOCK / self.duration) ** 2 if self.often else 1.0

    @property
    def burst_blocks(self) -> int:
        """Into how many time blocks bursts are looked for; short runs have fewer than latency needs."""
        return block_count(self.duration) or int(self.duration // SHORTEST_BLOCK)

    def cut(self, blocks: int) -> TimeBlocks:
        """About ``blocks`` time blocks, of which none straddles two phases."""
        return TimeBlocks.cut(self.duration, blocks, self.phase_ends)

    def bursts(self, outcomes: Outcomes, values: Floats | NDArray[np.int8]) -> float:
        """The design effect of ``values``, one an outcome, that come in bursts: at least 1."""
        if not (self.burst_blocks and len(values)):
            return 1.0
        cut = self.cut(self.burst_blocks)
        block = cut.of(outcomes.scheduled_at)
        if cut.phase is not None:
            # that a spike has more errors than the rest is its doing, and no burst
            phase = cut.phase[block]
            values = values - (np.bincount(phase, values) / np.maximum(np.bincount(phase), 1))[phase]
        return design_effect(values, block, len(cut), often=self.often)

    def blocked(self, outcomes: Outcomes, blocks: int) -> Blocked:
        """The latencies of ``outcomes`` in about ``blocks`` time blocks."""
        return outcomes.blocked(self.cut(blocks))

    def lasting(self, duration: float) -> Evidence:
        """The same outcomes, none of which came later than ``duration`` seconds."""
        return replace(self, duration=duration, phase_ends=whole_phases(self.phase_ends, duration))

    def slice(self, rows: Flags) -> Evidence:
        """Only the arrivals whose row is marked in ``rows``, shape (rows of the evaluation set,)."""
        kept = places_where(taken(rows, self.stable.row))
        stable = self.stable.take(kept)
        if self.candidate.row is self.stable.row:
            return replace(self, stable=stable, candidate=self.candidate.take(kept, beside=stable))
        kept = places_where(taken(rows, self.candidate.row))
        return replace(self, stable=stable, candidate=self.candidate.take(kept))

    def until(self, seconds: float) -> Evidence:
        """What was scheduled in the first ``seconds`` of load, as one analysis of many sees it."""
        stable, candidate = (
            o.part(0, int(np.searchsorted(o.scheduled_at, seconds))) for o in (self.stable, self.candidate)
        )
        return Evidence(stable, candidate, self.paired, self.unmatched, seconds, often=True)

    def between(self, begin: float, duration: float) -> Evidence:
        """What was scheduled from ``begin`` on for ``duration`` seconds of load, as a run of its own."""
        # moments are sums of floats: a microsecond is less than any gap between arrivals tells
        ends = (begin - _MOMENT, begin + duration - _MOMENT)
        stable, candidate = (
            o.part(
                int(np.searchsorted(o.scheduled_at, ends[0])),
                int(np.searchsorted(o.scheduled_at, ends[1])),
                begin,
            )
            for o in (self.stable, self.candidate)
        )
        return Evidence(stable, candidate, self.paired, 0, duration)

    def first_of_each_row(self, content: NDArray[np.intp]) -> Evidence:
        """Only the first arrival of each distinct row, of pairs."""
        kept = self.stable.first_of_each(content)
        if len(kept) == len(self.stable):
            return self
        stable = self.stable.take(kept)
        beside = stable if self.candidate.row is self.stable.row else None
        return replace(self, stable=stable, candidate=self.candidate.take(kept, beside=beside))

    @classmethod
    def gather(cls, load: Load, samples: SampleSet, seconds: float) -> Evidence:
        """Lay out the samples of one run; ``seconds`` of load is what the generator states."""
        samples = compared(load, samples)
        at = samples.scheduled_at
        start, end = (float(at.min()), float(at.max())) if len(samples) else (0.0, 0.0)
        del at  # before the columns are read
        stable, candidate = lay_out(load, samples, start)
        span = end - start
        duration = _duration(span, seconds)
        return cls(
            stable=stable,
            candidate=candidate,
            paired=is_paired(load),
            unmatched=len(samples) - len(stable) - len(candidate),
            duration=duration,
            phase_ends=whole_phases([end - start for end in load.phase_ends], duration),
            started_at=start,
        )


def _duration(span: float, stated: float) -> float:
    """Seconds of load: as the generator states them, unless the arrivals contradict it (a run cut short)."""
    if span <= stated <= 1.1 * span + 2 or span <= 0:
        return stated if stated > 0 else 1.0
    return span
