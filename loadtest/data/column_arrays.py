"""Columns of a table as NumPy arrays: labels as text, numbers as float64 that is each cell exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.counted import counted
from contract.label_text import label_text
from loadtest.data.column_types import EXACT
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data


def labels_of(column: pa.ChunkedArray, data: Data) -> NDArray[np.str_]:
    """The labels of a classification as ``label_text`` writes them."""
    empty = pc.fill_null(pc.equal(column.cast(pa.string()), ""), True)
    if missing := pc.sum(empty).as_py():
        raise DatasetError(
            f"{data.path}: {counted(missing, 'row')} without {data.label_column!r}; label or drop such rows "
            f"(the first is row {pc.index(empty, True).as_py() + 1})"
        )
    encoded = pa.concat_arrays(column.chunks).dictionary_encode()
    try:
        texts = np.asarray([label_text(value) for value in encoded.dictionary.to_pylist()])
    except ValueError as error:
        raise DatasetError(
            f"{data.path}: column {data.label_column!r}: {error}; label or drop these rows"
        ) from None
    labels: NDArray[np.str_] = texts[encoded.indices.to_numpy(zero_copy_only=False)]
    return labels


def as_matrix(table: pa.Table, path: Path) -> NDArray[np.float64]:
    """All columns as float64, shape (rows, columns).

    Raises:
        DatasetError: they are no matrix of finite numbers; the message names the column.
    """
    return np.column_stack([floats_of(table, name, path, is_sent=True) for name in table.column_names])


def matrix_or_none(table: pa.Table, path: Path) -> NDArray[np.float64] | None:
    """The same; None where they are no such matrix."""
    try:
        return as_matrix(table, path)
    except DatasetError:
        return None


def floats_of(table: pa.Table, name: str, path: Path, *, is_sent: bool = False) -> NDArray[np.float64]:
    """A column as float64, which holds each of its cells exactly; one that is sent can be left out."""
    column = table[name]
    if pa.types.is_string(column.type):
        text = next((cell for cell in column.to_pylist() if cell and not _is_float(cell)), "")
        remedy = "" if is_sent else "; write plain numbers in it, such as 1234.5, or name another column"
        reads = f" (it reads {text!r})" if text else ""
        raise DatasetError(f"{path}: column {name!r} is not numeric{reads}{remedy}")
    if gaps := column.null_count:
        remedy = "fill gaps as the caller in production does" if is_sent else "fill gaps or drop such rows"
        raise DatasetError(f"{path}: column {name!r} has {counted(gaps, 'gap')}; {remedy}")
    if pa.types.is_integer(column.type) and not _is_exact(column):
        remedy = (
            "name the columns to send, without it, under [data] features"
            if is_sent
            else "write them, and let the model answer, in a larger unit (milliseconds, not nanoseconds) or "
            "as differences from a fixed value"
        )
        raise DatasetError(
            f"{path}: column {name!r} holds whole numbers beyond 2^53, such as {pc.max(column).as_py()}, "
            f"which float64 does not; {remedy}"
        )
    values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if infinite := int(np.count_nonzero(~np.isfinite(values))):
        raise DatasetError(
            f"{path}: column {name!r} has {counted(infinite, 'infinite cell')}; send finite numbers"
        )
    return values


def _is_exact(whole: pa.ChunkedArray) -> bool:
    """Whether float64 has all these whole numbers."""
    low, high = pc.min_max(whole).as_py().values()
    return low is None or (low >= -EXACT and high <= EXACT)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def cell_text(cell: object) -> str:
    """A cell as a slice names it; a missing one reads as nothing."""
    if cell is None:
        return ""
    try:
        return label_text(cell)
    except ValueError:
        return str(cell)
