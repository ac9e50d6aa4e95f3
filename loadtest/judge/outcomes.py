"""What one version did, arrival by arrival; of a request of several rows, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.sample_cells import SparseCells, null_cells
from loadtest.stats.pieces import pieces, taken
from loadtest.stats.quantiles import Blocked, Ranked
from loadtest.stats.time_blocks import TimeBlocks

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
NarrowPlaces = NDArray[np.integer]
"""Places in four bytes each, where they do."""

FLAGS = ("failed", "correct", "mismatch", "compared")
_OF_ARRIVALS = ("row", "scheduled_at")
"""What is the same of both versions where each arrival went to both."""
_NOT_KEPT = frozenset((*FLAGS, "asked_before"))


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
    request_id: pa.Array | SparseCells
    baseline: pa.Array | SparseCells
    asked_before: NDArray[np.int8]
    scores: pa.Array
    ranking: pa.Array
    size: NDArray[np.int16]
    outputs: pa.Array

    @classmethod
    def of(cls, read: Callable[[str], Any], n: int, *, flags_kept: bool = True) -> Self:
        """``n`` outcomes whose columns are read when they are first asked for.

        Without ``flags_kept``, what is yes or no is read each time.
        """
        outcomes = cls.__new__(cls)
        outcomes.__dict__.update(_read=read, _n=n, _not_kept=() if flags_kept else _NOT_KEPT)
        return outcomes

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in _COLUMNS or "_read" not in self.__dict__:
                raise AttributeError(name)
            column = self._read(name)
            if name not in self._not_kept:
                self.__dict__[name] = column
            return column

    def __len__(self) -> int:
        n = self.__dict__.get("_n")
        return len(self.row) if n is None else int(n)

    @property
    def requests(self) -> Outcomes:
        """One entry per request, that of its first row: what is about all rows alike is about the request."""
        return self._first_rows if self.several else self

    @cached_property
    def _first_rows(self) -> Outcomes:
        return self.where(self.size > 0)

    @cached_property
    def several(self) -> bool:
        """Whether any request had several rows."""
        return self.size.strides != (0,) and bool(np.any(self.size != 1))

    def as_requests(self, counted: Flags) -> Flags | Floats:
        """What each entry counts: of a request of several rows, the share that is ``counted``, shape (n,)."""
        return counted / np.abs(self.size) if self.several else counted

    @cached_property
    def by_latency(self) -> NDArray[np.integer]:
        """Places in ascending order of latency, sorted once for all gates."""
        return np.argsort(self.latency).astype(np.int32 if len(self) < 2**31 else np.intp)

    @property
    def ranked_latency(self) -> Ranked:
        """Latencies in ascending order."""
        return Ranked(self.latency, self.by_latency)

    def blocked(self, cut: TimeBlocks) -> Blocked:
        """The latencies in time blocks, sorted into them once for all gates."""
        known: dict[bytes, Blocked] = self.__dict__.setdefault("_blocked", {})
        key = cut.edges.tobytes()
        if key not in known:
            block = taken(cut.of(self.scheduled_at), self.by_latency)
            known[key] = Blocked(self.ranked_latency, block, len(cut), cut.phase)
        return known[key]

    def once(self, name: str, make: Callable[[], Floats]) -> Floats:
        """What ``make`` returns, made once for all gates; not to be written to."""
        known: dict[str, Floats] = self.__dict__.setdefault("_made", {})
        if name not in known:
            known[name] = make()
            known[name].flags.writeable = False
        return known[name]

    def first_of_each(self, content: NDArray[np.intp]) -> NDArray[np.intp]:
        """Places of the first arrival of each distinct row, ascending; looked for once.

        Args:
            content: of each row of the evaluation set, the first row with the same content.
        """
        known: list[tuple[Any, NDArray[np.intp]]] = self.__dict__.setdefault("_first", [])
        for one, places in known:
            if one is content:
                return places
        places = np.sort(first_places(self.row, content)[1])
        known.append((content, places))
        return places

    def part(self, first: int, end: int, begin: float = 0.0) -> Outcomes:
        """The arrivals from place ``first`` up to ``end``, on a clock that is zero at ``begin``."""
        part = Outcomes(*(column[first:end] for column in self._columns()))
        return replace(part, scheduled_at=np.maximum(part.scheduled_at - begin, 0.0))

    def then(self, later: Outcomes) -> Outcomes:
        """These and ``later`` ones."""
        return Outcomes(*map(_joined, self._columns(), later._columns()))

    def where(self, kept: Flags) -> Outcomes:
        """The arrivals at which ``kept``, shape (n,), is true."""
        return self.take(places_where(kept))

    def take(self, places: NarrowPlaces, beside: Outcomes | None = None) -> Outcomes:
        """The arrivals at ``places``, in their order; columns are cut out when they are asked for.

        Columns are shared with ``beside``, what the other version did at the same arrivals.
        """
        return Outcomes.of(partial(self._taken, places, beside), len(places))

    def _taken(self, places: NarrowPlaces, beside: Outcomes | None, name: str) -> Any:
        if beside is not None and name in _OF_ARRIVALS:
            return getattr(beside, name)
        column = getattr(self, name)
        if name == "size" and not self.several:
            return one_row_each(len(places))
        if isinstance(column, np.ndarray):
            return taken(column, places)
        if isinstance(column, SparseCells):
            return column.take(places)
        none = column.null_count == len(column) and not pa.types.is_dictionary(column.type)
        return null_cells(len(places), column.type) if none else column.take(pa.array(places))

    def _columns(self) -> list[Any]:
        return [getattr(self, name) for name in _COLUMNS]


_COLUMNS = tuple(field.name for field in fields(Outcomes))


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, np.ndarray):
        return np.concatenate([one, other])
    if isinstance(one, SparseCells) or isinstance(other, SparseCells):
        return SparseCells.of(one).then(SparseCells.of(other))
    return pa.concat_arrays([one, other])


def one_row_each(requests: int) -> NDArray[np.int16]:
    """The column ``size`` of requests of one row, in no memory of its own."""
    return np.broadcast_to(np.int16(1), requests)


def places_where(flags: Flags) -> NarrowPlaces:
    """As ``numpy.flatnonzero``, in four bytes a place where they do."""
    kind = np.int32 if len(flags) < 2**31 else np.int64
    found: NarrowPlaces = np.empty(int(np.count_nonzero(flags)), kind)
    at = 0
    for piece in pieces(len(flags)):
        there = np.flatnonzero(flags[piece]) + piece.start
        found[at : at + len(there)] = there
        at += len(there)
    return found


def first_places(
    rows: NDArray[np.integer], content: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which of ``content[rows]`` there are, ascending, and the first place of each, as ``numpy.unique`` finds
    by sorting; each is a place in ``content``."""
    first = np.full(len(content), len(rows), dtype=np.intp)
    # backwards, so that the first place is the last that is written
    for piece in reversed(list(pieces(len(rows)))):
        first[content[rows[piece]][::-1]] = np.arange(piece.stop - 1, piece.start - 1, -1)
    there = np.flatnonzero(first < len(rows))
    return there, first[there]
