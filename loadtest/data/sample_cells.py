"""Columns of text and of lists, without a Python object per sample; cells that are null cost nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.samples import SCHEMA, SampleSet

Places = NDArray[np.intp]


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
    return [_encoded(codes[each], texts) for each in places]


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
