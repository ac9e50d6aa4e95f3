"""What one version did, arrival by arrival; of a request of several rows, row by row."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.sample_cells import null_cells

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Outcomes:
    """What one version did, one entry a row that was sent, in order of time, shape (n,) each.

    Args:
        row: row of the evaluation set.
        scheduled_at: intended send, seconds since the first arrival of the run.
        latency: seconds. A request without a usable answer counts as at least the time-out, so that
            a version that refuses quickly does not look fast.
        failed: no usable answer came.
        correct: the answer equals the label; False where it failed.
        mismatch: the answer differs from the one given without load.
        compared: there is such an answer to compare with.
        prediction: the answer as text, null where there is none.
        request_id: its id where it failed or did not match, else null.
        baseline: the answer given without load where it did not match, else null.
        asked_before: 1 where the version was asked for the row before the load, 0 where not, -1 where it was
            in the warm-up alone or where it is not known.
        scores: of the classes, or one score; null where there are none.
        ranking: the items of a ranked answer, the best first; null where there are none.
        size: of the first row of a request, how many rows it had; of the others, the same below zero.
        outputs: the values of named outputs, in the order of ``Data.outputs``; null where there are none.
    """

    row: NDArray[np.int32]
    scheduled_at: Floats
    latency: Floats
    failed: Flags
    correct: Flags
    mismatch: Flags
    compared: Flags
    prediction: pa.Array
    request_id: pa.Array
    baseline: pa.Array
    asked_before: NDArray[np.int8]
    scores: pa.Array
    ranking: pa.Array
    size: NDArray[np.int16]
    outputs: pa.Array

    def __len__(self) -> int:
        return len(self.row)

    @property
    def requests(self) -> Outcomes:
        """One entry per request, that of its first row: what is about all rows alike is about the request."""
        first = self.size > 0
        return self if first.all() else self.where(first)

    @property
    def several(self) -> bool:
        """Whether any request had several rows."""
        return bool(np.any(self.size != 1))

    @cached_property
    def by_latency(self) -> NDArray[np.integer]:
        """Places in ascending order of latency, sorted once for all gates."""
        return np.argsort(self.latency).astype(np.int32 if len(self) < 2**31 else np.intp)

    def part(self, first: int, end: int, begin: float = 0.0) -> Outcomes:
        """The arrivals from place ``first`` up to ``end``, on a clock that is zero at ``begin``."""
        part = Outcomes(*(column[first:end] for column in self._columns()))
        return replace(part, scheduled_at=np.maximum(part.scheduled_at - begin, 0.0))

    def then(self, later: Outcomes) -> Outcomes:
        """These and ``later`` ones."""
        pairs = zip(self._columns(), later._columns(), strict=True)
        return Outcomes(
            *(
                pa.concat_arrays(pair) if isinstance(pair[0], pa.Array) else np.concatenate(pair)
                for pair in pairs
            )
        )

    def where(self, kept: Flags) -> Outcomes:
        """The arrivals at which ``kept``, shape (n,), is true."""
        return self.take(np.flatnonzero(kept))

    def take(self, places: Places) -> Outcomes:
        """The arrivals at ``places``, in their order."""
        chosen = pa.array(places)
        return Outcomes(
            *(
                _taken(column, chosen) if isinstance(column, pa.Array) else column[places]
                for column in self._columns()
            )
        )

    def _columns(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]


def one_row_each(requests: int) -> NDArray[np.int16]:
    """The column ``size`` of requests of one row, in no memory of its own."""
    return np.broadcast_to(np.int16(1), requests)


def first_places(numbers: NDArray[np.integer], size: int) -> tuple[Places, Places]:
    """Which numbers there are, ascending, and the first place of each, as ``numpy.unique`` finds by sorting.

    Args:
        numbers: from 0 to ``size - 1``.
        size: of them all.
    """
    first = np.full(size, len(numbers), dtype=np.intp)
    np.minimum.at(first, numbers, np.arange(len(numbers)))
    there = np.flatnonzero(first < len(numbers))
    return there, first[there]


def _taken(cells: pa.Array, places: pa.Array) -> pa.Array:
    none = cells.null_count == len(cells) and not pa.types.is_dictionary(cells.type)
    return null_cells(len(places), cells.type) if none else cells.take(places)
