"""Columns of text and of lists, without a Python object per sample; cells that are null cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.stats.pieces import taken

Places = NDArray[np.integer]


class SparseCells:
    """A column of which hardly any cell is there.

    Args:
        length: of the column.
        places: of the cells that are there, ascending, shape (n,).
        cells: those, shape (n,).
    """

    def __init__(self, length: int, places: Places, cells: pa.Array) -> None:
        self._length, self._places, self._cells = length, places, cells

    @classmethod
    def of(cls, column: pa.Array | SparseCells) -> SparseCells:
        """Any column."""
        if isinstance(column, SparseCells):
            return column
        return cls(len(column), np.flatnonzero(np.asarray(pc.is_valid(column))), column.drop_null())

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, key: int) -> pa.Scalar: ...
    @overload
    def __getitem__(self, key: slice) -> SparseCells: ...
    def __getitem__(self, key: int | slice) -> pa.Scalar | SparseCells:
        """One cell, null where none is there; or the cells from one place up to another."""
        if isinstance(key, slice):
            first, end, _ = key.indices(self._length)
            begin, stop = np.searchsorted(self._places, [first, end]).tolist()
            kept = self._places[begin:stop] - first
            return SparseCells(max(end - first, 0), kept, self._cells[begin:stop])
        at = int(np.searchsorted(self._places, key))
        there = at < len(self._places) and self._places[at] == key
        return self._cells[at] if there else pa.scalar(None, self._cells.type)

    def take(self, places: Places) -> SparseCells:
        """The cells at ``places``, in their order."""
        there = np.zeros(self._length, dtype=bool)
        there[self._places] = True
        kept = np.flatnonzero(taken(there, places))
        return SparseCells(
            len(places), kept, self._cells.take(pa.array(np.searchsorted(self._places, places[kept])))
        )

    def then(self, later: SparseCells) -> SparseCells:
        """These and ``later`` ones."""
        places = np.concatenate([self._places, later._places + self._length])
        return SparseCells(self._length + len(later), places, pa.concat_arrays([self._cells, later._cells]))


def sparse_cells(samples: SampleSet, name: str) -> SparseCells:
    """A column of texts of which hardly any is there."""
    begin, places, cells = 0, [np.empty(0, np.intp)], [pa.array([], pa.string())]
    for chunk in samples.chunks(name):
        if chunk.null_count < len(chunk):
            places.append(np.flatnonzero(np.asarray(pc.is_valid(chunk))) + begin)
            cells.append(chunk.drop_null().cast(pa.string()))
        begin += len(chunk)
    return SparseCells(begin, np.concatenate(places), pa.concat_arrays(cells))


def take_cells(samples: SampleSet, name: str, places: Sequence[Places]) -> list[pa.Array]:
    """The cells of one column at each of ``places``; texts that repeat in a file come as a dictionary."""
    codes, numbers = np.full(len(samples), -1, np.int8), dict[str, int]()
    plain: list[pa.Array] = []
    at = 0
    for chunk in samples.chunks(name):
        if pa.types.is_dictionary(chunk.type):
            known = [numbers.setdefault(text, len(numbers)) for text in chunk.dictionary.to_pylist()]
            if len(numbers) > np.iinfo(codes.dtype).max:
                codes = codes.astype(np.min_scalar_type(-len(numbers) - 1))
            places_of = np.array([*known, -1], codes.dtype)
            codes[at : at + len(chunk)] = places_of[np.asarray(chunk.indices.fill_null(len(known)))]
        else:
            plain.append(chunk)
        at += len(chunk)
    if any(chunk.null_count < len(chunk) for chunk in plain):
        whole = plain[0] if len(plain) == 1 else pa.concat_arrays(plain)
        return [whole.take(pa.array(each)) for each in places]
    if not numbers:
        return [null_cells(len(each), SCHEMA.field(name).type) for each in places]
    texts = pa.array(list(numbers), pa.string())
    return [_encoded(taken(codes, each), texts) for each in places]


def _encoded(codes: NDArray[np.signedinteger], texts: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts)


def null_cells(number: int, kind: pa.DataType) -> pa.Array:
    """As ``pyarrow.nulls``, of texts or lists, in memory that is never touched and so costs none."""
    if not number:
        return pa.nulls(0, kind)
    valid, offsets = (pa.py_buffer(np.zeros(n, t)) for n, t in ((number // 8 + 1, "u1"), (number + 1, "i4")))
    if pa.types.is_list(kind):
        nothing = [pa.nulls(0, kind.value_type)]
        return pa.Array.from_buffers(kind, number, [valid, offsets], null_count=number, children=nothing)
    return pa.Array.from_buffers(kind, number, [valid, offsets, pa.py_buffer(b"")], null_count=number)


def as_floats(texts: pa.Array) -> NDArray[np.float64]:
    """Texts as numbers, NaN where there is none.

    Raises:
        pyarrow.ArrowInvalid: a text is no number.
    """
    if not pa.types.is_dictionary(texts.type):
        return np.asarray(texts.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    codes = np.asarray(texts.indices.fill_null(-1))
    # of the dictionary only what is there, and in its order: others may be no numbers
    used, first = np.unique(codes, return_index=True)
    used = used[np.argsort(first)]
    used = used[used >= 0]
    found = np.full(len(texts.dictionary) + 1, np.nan)
    found[used] = texts.dictionary.take(pa.array(used)).cast(pa.float64()).to_numpy(zero_copy_only=False)
    numbers: NDArray[np.float64] = found[codes]
    return numbers
