"""Samples laid out by arrival: each answer of stable beside the candidate's answer to the same arrival.

Memory holds a column at a time beside what is kept of it, and flags are kept as bits: of a hundred million
samples that is what there is room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.sample_cells import SparseCells, sparse_cells, take_cells
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Load
from loadtest.experiment.role import Role
from loadtest.judge.arrival_pairs import in_time, pairs_of
from loadtest.judge.outcomes import FLAGS, Flags, NarrowPlaces, Outcomes, one_row_each
from loadtest.stats.pieces import taken

_CELLS = ("prediction", "scores", "ranking", "outputs")
_SPARSE = ("request_id", "baseline")


def is_paired(load: Load) -> bool:
    """Whether each arrival goes to both versions."""
    return load.traffic != "canary"


def lay_out(load: Load, samples: SampleSet, start: float) -> tuple[Outcomes, Outcomes]:
    """Stable's and the candidate's outcomes; pairs whose other half is missing are left out.

    Samples are of whole arrivals, in any order; those of a control are left out. ``start`` is the first
    arrival, on their clock.
    """
    samples = compared(load, samples)
    is_candidate = samples.is_role(Role.CANDIDATE)
    if is_paired(load):
        places = pairs_of(samples, is_candidate)
        return _outcomes(samples, places, start, load.timeout, paired=True)
    at = samples.scheduled_at
    places = (in_time(at, ~is_candidate), in_time(at, is_candidate))
    del at
    return _outcomes(samples, places, start, load.timeout, paired=False)


def compared(load: Load, samples: SampleSet) -> SampleSet:
    """The samples of the versions that are compared: without those of a control."""
    return samples.where(~samples.is_role(Role.CONTROL)) if load.control and len(samples) else samples


def _outcomes(
    samples: SampleSet,
    places: tuple[NarrowPlaces, NarrowPlaces],
    start: float,
    timeout: float,
    *,
    paired: bool,
) -> tuple[Outcomes, Outcomes]:
    """Both versions' outcomes, a column after the other: of many samples, memory holds no more.

    ``places`` are of each version's samples, in the order of the outcomes. ``paired``: both are of the same
    arrivals, whose columns they share.
    """

    def of_each(column: NDArray[Any]) -> list[NDArray[Any]]:
        return [taken(column, each) for each in places]

    def of_arrivals(column: NDArray[Any]) -> list[NDArray[Any]]:
        return [taken(column, places[0])] * 2 if paired else of_each(column)

    columns: dict[str, Sequence[Any]] = {
        "row": of_arrivals(samples.row),
        "scheduled_at": of_arrivals(samples.scheduled_at),
        "latency": of_each(samples.done_at),
        "size": of_arrivals(_sizes(samples)) if samples.several else [one_row_each(len(p)) for p in places],
        **{name: _of_few(samples, name, places) for name in _SPARSE},
        **{name: take_cells(samples, name, places) for name in _CELLS},
    }
    flags: dict[str, list[NDArray[Any]]] = {name: of_each(getattr(samples, name)) for name in FLAGS}
    for correct, failed in zip(flags["correct"], flags["failed"], strict=True):
        correct[failed] = False
    for place, latency in enumerate(columns["latency"]):
        failed = flags["failed"][place]
        latency -= columns["scheduled_at"][place]
        given_up = np.maximum(latency[failed], timeout)
        np.maximum(latency, 1e-6, out=latency)
        latency[failed] = given_up
    for scheduled_at in columns["scheduled_at"][: 1 if paired else 2]:
        scheduled_at -= start
    asked = of_each(samples.array("asked_before", _known_or_less, np.int8))
    packed = {name: [np.packbits(each) for each in flags.pop(name)] for name in FLAGS}
    packed["asked"], packed["unknown"] = ([np.packbits(a == value) for a in asked] for value in (1, -1))
    stable, candidate = (
        _laid_out({k: each[i] for k, each in columns.items()}, {k: each[i] for k, each in packed.items()})
        for i in (0, 1)
    )
    return stable, candidate


def _of_few(samples: SampleSet, name: str, places: tuple[NarrowPlaces, NarrowPlaces]) -> list[SparseCells]:
    cells = sparse_cells(samples, name)
    return [cells.take(each) for each in places]


def _sizes(samples: SampleSet) -> NDArray[np.int16]:
    """As ``Outcomes`` has them."""
    size = samples.array("request_rows", lambda chunk: pc.fill_null(chunk, 1), np.int16)
    place = samples.array("place", lambda chunk: pc.fill_null(chunk, 0), np.int16)
    return np.where(place == 0, size, -size).astype(np.int16)


def _laid_out(columns: dict[str, Any], packed: dict[str, NDArray[np.uint8]]) -> Outcomes:
    """Outcomes whose flags are kept as bits."""
    n = len(columns["row"])

    def flags(name: str) -> Flags:
        return np.unpackbits(packed[name], count=n).view(np.bool_)

    def read(name: str) -> Any:
        if name == "asked_before":
            asked = flags("asked").view(np.int8)
            asked[flags("unknown")] = -1
            return asked
        return flags(name) if name in packed else columns[name]

    return Outcomes.of(read, n, flags_kept=False)


def _known_or_less(flags: pa.Array) -> pa.Array:
    return pc.fill_null(flags.cast(pa.int8()), -1)
