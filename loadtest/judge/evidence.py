"""Samples laid out for comparison: each arrival's answer of stable beside its answer of the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.config import Experiment
from loadtest.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.judge.observations import LoadFacts
from loadtest.sample import CANDIDATE, SampleSet
from loadtest.stats.quantiles import SHORTEST_BLOCK, Blocked, block_count

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


class NoEvidence(Exception):  # noqa: N818 - an answer that the judge reports, no error
    """A gate cannot be decided from these samples.

    Args:
        reason: the human line that says why.
        seconds: load of the same kind that would decide it; None where no such length is known.
    """

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True)
class Outcomes:
    """What one version did, one entry an arrival, shape (n,) each.

    Args:
        row: row of the evaluation set.
        at: intended send, seconds since the first arrival of the run.
        latency: seconds. A request without a usable answer counts as at least the time-out, so that
            a version that refuses quickly does not look fast.
        failed: no usable answer came.
        correct: the answer equals the label; False where it failed.
        unfaithful: the answer differs from the one given without load.
        referenced: there is such an answer to compare with.
        prediction: the answer as text, null where there is none.
    """

    row: NDArray[np.int32]
    at: Floats
    latency: Floats
    failed: Flags
    correct: Flags
    unfaithful: Flags
    referenced: Flags
    prediction: pa.Array

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def by_latency(self) -> Places:
        """Places in ascending order of latency, sorted once for all gates."""
        return np.argsort(self.latency)

    def where(self, kept: Flags) -> Outcomes:
        """The arrivals at which ``kept``, shape (n,), is true."""
        mask = pa.array(kept)
        return Outcomes(
            self.row[kept],
            self.at[kept],
            self.latency[kept],
            self.failed[kept],
            self.correct[kept],
            self.unfaithful[kept],
            self.referenced[kept],
            self.prediction.filter(mask),
        )


@dataclass(frozen=True)
class Evidence:
    """Both versions' outcomes.

    Args:
        stable: outcomes of stable.
        candidate: outcomes of the candidate; entry i is the same arrival as stable's when ``paired``.
        paired: each arrival went to both versions.
        unmatched: samples whose arrival has none of the other version, though it should.
        duration: seconds of load.
    """

    stable: Outcomes
    candidate: Outcomes
    paired: bool
    unmatched: int
    duration: float

    @property
    def arrivals(self) -> int:
        """How many arrivals there are, over both versions when they are not paired."""
        return len(self.stable) if self.paired else len(self.stable) + len(self.candidate)

    @property
    def samples(self) -> int:
        """How many samples there are, those that stand alone included."""
        return len(self.stable) + len(self.candidate) + self.unmatched

    @property
    def rate(self) -> float:
        """Arrivals a second."""
        return self.arrivals / self.duration

    @property
    def burst_blocks(self) -> int:
        """Into how many time blocks bursts are looked for; short runs have fewer than latency needs."""
        return block_count(self.duration) or int(self.duration // SHORTEST_BLOCK)

    def blocks_of(self, outcomes: Outcomes, blocks: int) -> Places:
        """The time block of each outcome, 0 to ``blocks - 1``."""
        return np.clip((outcomes.at * (blocks / self.duration)).astype(np.intp), 0, blocks - 1)

    def blocked(self, outcomes: Outcomes, blocks: int) -> Blocked:
        """The latencies of ``outcomes`` in equal time blocks."""
        order = outcomes.by_latency
        return Blocked(outcomes.latency[order], self.blocks_of(outcomes, blocks)[order], blocks)

    def slice(self, rows: Flags) -> Evidence:
        """Only the arrivals whose row is marked in ``rows``, shape (rows of the evaluation set,)."""
        stable, candidate = (o.where(rows[o.row]) for o in (self.stable, self.candidate))
        return Evidence(stable, candidate, self.paired, self.unmatched, self.duration)

    @classmethod
    def gather(
        cls, experiment: Experiment, samples: SampleSet, dataset: Dataset, load: LoadFacts
    ) -> Evidence:
        """Lay out the samples of one run.

        Raises:
            DatasetError: a sample names a row that the evaluation set does not have.
        """
        if len(samples) and int(samples.row.max()) >= len(dataset):
            raise DatasetError(
                f"{dataset.path}: the samples name row {int(samples.row.max())}, it has {len(dataset)} rows; "
                "judge with the evaluation set of the run"
            )
        start = float(samples.scheduled_at.min()) if len(samples) else 0.0
        whole = _outcomes(samples, start, experiment.load.timeout)
        is_candidate = samples.is_version(CANDIDATE) if len(samples) else np.zeros(0, dtype=bool)
        paired = experiment.load.traffic != "canary"
        stable, candidate = (
            _pair(samples, is_candidate)
            if paired
            else (np.flatnonzero(~is_candidate), np.flatnonzero(is_candidate))
        )
        return cls(
            stable=_take(whole, stable),
            candidate=_take(whole, candidate),
            paired=paired,
            unmatched=len(samples) - len(stable) - len(candidate),
            duration=_duration(whole.at, load.duration_s),
        )


def _outcomes(samples: SampleSet, start: float, timeout: float) -> Outcomes:
    failed = samples.failed
    latency = np.maximum(samples.latency, np.where(failed, timeout, 1e-6))
    return Outcomes(
        row=samples.row,
        at=samples.scheduled_at - start,
        latency=latency,
        failed=failed,
        correct=samples.correct & ~failed,
        unfaithful=samples.unfaithful,
        referenced=np.asarray(pc.is_valid(samples.table["faithful"])),
        prediction=_single(samples.table["prediction"]),
    )


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _take(whole: Outcomes, places: Places) -> Outcomes:
    return Outcomes(
        whole.row[places],
        whole.at[places],
        whole.latency[places],
        whole.failed[places],
        whole.correct[places],
        whole.unfaithful[places],
        whole.referenced[places],
        whole.prediction.take(pa.array(places)),
    )


def _pair(samples: SampleSet, is_candidate: Flags) -> tuple[Places, Places]:
    """Places of the two samples of each arrival: the same worker sent the same row at the same instant."""
    worker = np.asarray(samples.table["worker"].to_numpy())
    order = np.lexsort((is_candidate, worker, samples.row, samples.scheduled_at))
    first, second = order[:-1], order[1:]
    same = is_candidate[second] & ~is_candidate[first]
    for key in (worker, samples.row, samples.scheduled_at):
        same &= key[first] == key[second]
    return first[same], second[same]


def _duration(at: Floats, stated: float) -> float:
    """Seconds of load: as the generator states them, unless the arrivals contradict it (a run cut short)."""
    span = float(at.max()) if len(at) else 0.0
    if span <= stated <= 1.1 * span + 2 or span <= 0:
        return stated if stated > 0 else 1.0
    return span
