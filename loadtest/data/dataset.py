"""The evaluation set: labelled rows that no training saw, from a CSV or Parquet file.

Both sides of the load read it: ``load`` turns its features into requests, ``judge`` looks up labels,
values and slice columns by row. Row ``i`` of a sample is line ``i`` of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.label_text import label_text
from loadtest.data.row_content import contents
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data


@dataclass(frozen=True)
class Dataset:
    """A labelled evaluation set in memory.

    Args:
        path: where it was read from.
        features: float64, shape (rows, features), in the order of ``names``.
        names: the feature columns.
        labels: the true outcome, one per row: text for a classification, float64 for a regression.
        values: what the row's sale earned, one per row; None when the experiment names no value column.
        columns: every column by name, for slices.
    """

    path: Path
    features: NDArray[np.float64]
    names: tuple[str, ...]
    labels: NDArray[np.str_] | NDArray[np.float64]
    values: NDArray[np.float64] | None
    columns: pa.Table

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def content(self) -> NDArray[np.intp]:
        """For each row the first row with the same features and label, shape (rows,)."""
        return contents(self.features, self.labels)

    @classmethod
    def read(cls, data: Data, content: bytes | None = None) -> Dataset:
        """Read the file that an experiment's ``[data]`` names.

        Args:
            data: names the file and its columns.
            content: of the file, where it is not on this machine; None: it is.

        Raises:
            DatasetError: the file is missing, empty or unreadable, or lacks a column.
        """
        table = _read_table(data, content)
        for column in (data.label, data.value, *data.features):
            if column and column not in table.column_names:
                raise DatasetError(
                    f"{data.path}: no column {column!r}; it has {', '.join(table.column_names)}. "
                    "Name the right one under [data] in the experiment"
                )
        if not table.num_rows:
            raise DatasetError(f"{data.path}: no rows; an evaluation set needs at least one labelled row")
        if gaps := _gaps(table[data.label]):
            raise DatasetError(f"{data.path}: {gaps} rows have no {data.label!r}; label or drop them")
        names = data.features or tuple(
            field.name
            for field in table.schema
            if _is_number(field.type) and field.name not in (data.label, data.value)
        )
        if not names:
            raise DatasetError(
                f"{data.path}: no numeric feature columns beside the label; name them in [data] features"
            )
        return cls(
            path=data.path,
            features=np.column_stack([_floats(table, name, data.path) for name in names]),
            names=names,
            labels=_floats(table, data.label, data.path)
            if data.task == "regression"
            else _labels(table[data.label], data),
            values=_floats(table, data.value, data.path) if data.value else None,
            columns=table,
        )


def _read_table(data: Data, content: bytes | None) -> pa.Table:
    path = data.path
    source = path if content is None else pa.BufferReader(content)
    # a label such as 01 or 06:30 would not survive the reader's guess of a type
    types = {data.label: pa.string()} if data.task == "classification" else {}
    try:
        if path.suffix == ".csv":
            return pyarrow.csv.read_csv(
                source, convert_options=pyarrow.csv.ConvertOptions(column_types=types)
            )
        return pq.read_table(source)
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file; [data] path must name the labelled evaluation set"
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not readable as {path.suffix[1:] or 'Parquet'} ({error})") from error


def _gaps(column: pa.ChunkedArray) -> int:
    empty = pc.sum(pc.equal(column, "")).as_py() if pa.types.is_string(column.type) else 0
    return int(column.null_count + (empty or 0))


def _labels(column: pa.ChunkedArray, data: Data) -> NDArray[np.str_]:
    """The labels of a classification as ``label_text`` writes them; dates and the like as Arrow does."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    try:
        return np.asarray([label_text(value) for value in column.to_pylist()])
    except ValueError as error:
        raise DatasetError(f"{data.path}: column {data.label!r}: {error}; label or drop these rows") from None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _floats(table: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    try:
        values = np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowException, ValueError) as error:
        raise DatasetError(f"{path}: column {name!r} is not numeric ({error})") from error
    gaps = int(np.count_nonzero(~np.isfinite(values)))
    if gaps:
        raise DatasetError(
            f"{path}: column {name!r} has {gaps} gaps; fill them as the caller in production does"
        )
    return values
