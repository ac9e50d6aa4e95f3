"""The evaluation set: labelled rows that no training saw.

Both sides of the load read it: ``load`` turns its columns into requests, ``judge`` looks up labels,
values and slice columns by row. Row ``i`` of a sample is line ``i`` of this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.label_text import label_text
from loadtest.data.class_order import in_order, named_classes
from loadtest.data.column_arrays import as_matrix, floats_of, labels_of, matrix_or_none
from loadtest.data.row_content import codes_of, contents
from loadtest.data.table_file import TableFile, read_table_file
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data

_SHOWN = 8


@dataclass(frozen=True)
class Dataset:
    """A labelled evaluation set in memory.

    Args:
        path: where it was read from.
        matrix: the sent columns as float64, shape (rows, features); None unless all are finite numbers.
        names: the columns that are sent, in the order in which they are.
        labels: the true outcome, one per row: text for a classification, float64 for a regression.
        values: what the row's sale earned, one per row; None when the experiment names no value column.
        columns: every column that has a name of its own and cells that are text or numbers; float64, int64,
            bool or string, null where a cell is missing.
        left_out: columns that are not sent unless they are named, and why, such as ``stands there 2 times``.
        written: columns of numbers as the file writes them, where the number does not say it.
        notes: what was decided on reading, one line each, for a person to see before the load.
        named_classes: the labels that there are, in the order of the experiment; empty: those of the rows.
    """

    path: Path
    matrix: NDArray[np.float64] | None
    names: tuple[str, ...]
    labels: NDArray[np.str_] | NDArray[np.float64]
    values: NDArray[np.float64] | None
    columns: pa.Table
    left_out: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, pa.Array] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    named_classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def features(self) -> NDArray[np.float64]:
        """The sent columns as float64, shape (rows, features), in the order of ``names``.

        Raises:
            DatasetError: they are no matrix of finite numbers; the message names the column.
        """
        return as_matrix(self.sent, self.path) if self.matrix is None else self.matrix

    @property
    def sent(self) -> pa.Table:
        """The columns that are sent, each in its own type, in the order of ``names``."""
        return self.columns.select(list(self.names))

    def row(self, row: int) -> list[Any]:
        """The sent cells of a row in the order of ``names``: floats of a matrix, else as the file has them.

        A cell is a float, int, bool or text; None: it is missing.
        """
        if self.matrix is not None:
            cells: list[Any] = self.matrix[row].tolist()
            return cells
        return [column[row].as_py() for column in self._cells]

    @cached_property
    def _cells(self) -> list[pa.Array]:
        # a cell of a chunked array is found ten times slower
        return [pa.concat_arrays(column.chunks) for column in self.sent.columns]

    def sends_what(self, other: Dataset) -> bool:
        """Whether the two send the same cells, row by row."""
        if self.matrix is not None and other.matrix is not None:
            return np.array_equal(self.matrix, other.matrix)
        return bool(self.sent.equals(other.sent))

    def rows_where(self, column: str, value: str) -> NDArray[np.bool_]:
        """The rows whose cell reads ``value`` as a label would, shape (rows,); a missing cell reads ""."""
        codes, texts = self._texts(column)
        wanted = label_text(value)
        return np.isin(codes, [code for code, text in enumerate(texts) if text == wanted])

    def values_of(self, column: str) -> list[str]:
        """What the cells of a column read, each once, in order."""
        _, texts = self._texts(column)
        return sorted(set(texts))

    def _texts(self, column: str) -> tuple[NDArray[np.int64], list[str]]:
        """A code per row, and what it reads."""
        cells = self.written.get(column, self.columns[column])
        cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
        # a table made by hand may have a column of several chunks after all
        cells = pa.concat_arrays(cells.chunks) if isinstance(cells, pa.ChunkedArray) else cells
        encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
        texts = [_cell_text(cell) for cell in encoded.dictionary.to_pylist()]
        codes = pc.fill_null(encoded.indices.cast(pa.int64()), len(texts)).to_numpy(zero_copy_only=False)
        return codes, [*texts, ""] if encoded.null_count else texts

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels in the order in which samples have their scores; see ``in_order``."""
        return self.named_classes or in_order(np.unique(np.asarray(self.labels, dtype=str)).tolist())

    @cached_property
    def class_places(self) -> NDArray[np.intp]:
        """Where each row's label stands in ``classes``, shape (rows,)."""
        labels, place = np.unique(np.asarray(self.labels, dtype=str), return_inverse=True)
        return np.array([self.classes.index(label) for label in labels], dtype=np.intp)[place]

    @cached_property
    def content(self) -> NDArray[np.intp]:
        """For each row the first row with the same features and label, shape (rows,)."""
        if self.matrix is not None:
            return contents(self.matrix, self.labels)
        return contents(np.column_stack([codes_of(cells) for cells in self._cells]), self.labels)

    @cached_property
    def repeats(self) -> bool:
        """Whether any two rows have the same features and label."""
        return not np.array_equal(self.content, np.arange(len(self)))

    @classmethod
    def read(cls, data: Data, content: bytes | None = None, *, every: bool = False) -> Dataset:
        """Read the file that an experiment's ``[data]`` names.

        Args:
            data: names the file and its columns.
            content: of the file, where it is not on this machine; None: it is.
            every: where ``data`` names no features, send text columns, too, and no column that stands there
                twice; else numeric ones alone.

        Raises:
            DatasetError: the file is missing, empty or unreadable, or lacks a column.
        """
        labels_are_text = data.task == "classification"
        asked = [name for name in (data.label, data.value, *data.features) if name]
        file = read_table_file(
            data.path, content, wanted=asked, as_text={data.label} if labels_are_text else ()
        )
        for name in asked:
            _check_there(file, name, data.path)
        for name in data.features:
            if (holds := file.columns[name].holds) not in (None, "no values"):
                raise DatasetError(
                    f"{data.path}: column {name!r} holds {holds}, which no model is sent; write numbers or "
                    "text, or take it out of [data] features"
                )
        if not len(file.columns[data.label].cells):
            raise DatasetError(f"{data.path}: no rows; an evaluation set needs at least one labelled row")
        names = data.features or tuple(
            column.name
            for column in file.columns.values()
            if (column.is_number or (every and column.holds is None))
            and column.name not in (data.label, data.value, *file.index)
        )
        left_out = _left_out(file)
        if not names:
            why = f"; left out: {_listed(left_out.items())}" if left_out else ""
            raise DatasetError(
                f"{data.path}: no {'' if every else 'numeric '}feature columns beside the label; "
                f"name them in [data] features{why}"
            )
        if not (every or data.features) and file.doubled:
            _check_doubles(file, data.path)
        table = pa.table(
            {c.name: c.cells for c in file.columns.values() if not pa.types.is_null(c.cells.type)}
        )
        labels = (
            labels_of(table[data.label], data) if labels_are_text else floats_of(table, data.label, data.path)
        )
        classes = named_classes(labels, data) if labels_are_text else ()
        return cls(
            path=data.path,
            matrix=matrix_or_none(table.select(list(names)), data.path),
            names=names,
            labels=labels,
            values=floats_of(table, data.value, data.path) if data.value else None,
            columns=table,
            left_out=left_out,
            written={c.name: c.written for c in file.columns.values() if c.written is not None},
            notes=(*file.notes, *_not_sent(table, names, data, left_out)),
            named_classes=classes,
        )


def _check_there(file: TableFile, name: str, path: Path) -> None:
    if name in file.doubled:
        raise DatasetError(
            f"{path}: column {name!r} stands there {len(file.doubled[name])} times; "
            "rename or drop all but one"
        )
    if name not in file.columns:
        numbers = any(text.replace(".", "", 1).isdecimal() for text in file.names)
        first = (
            "; its first line looks like a row: write the names of the columns above it" if numbers else ""
        )
        raise DatasetError(
            f"{path}: no column {name!r}; it has {', '.join(map(_shown, file.names))}{first}. "
            "Name the right one under [data] in the experiment"
        )


def _check_doubles(file: TableFile, path: Path) -> None:
    """Which of two equal names is the feature nobody knows; of columns without a name, none is."""
    for name, same in file.doubled.items():
        if name not in file.index and any(column.is_number for column in same):
            raise DatasetError(
                f"{path}: column {name!r} stands there {len(same)} times; rename or drop all but one, or "
                "name the columns to send, without it, under [data] features"
            )


def _left_out(file: TableFile) -> dict[str, str]:
    """The columns that are not sent of themselves, and why."""
    why = {n: f"stands there {len(same)} times: rename or drop" for n, same in file.doubled.items()}
    for name in file.index:
        why.setdefault(name, "the index of a data frame" if name else "has no name")
    for column in file.columns.values():
        if column.holds is not None:
            why.setdefault(
                column.name, f"has {column.holds}" if column.holds[:3] == "no " else f"holds {column.holds}"
            )
    return why


def _not_sent(table: pa.Table, names: Iterable[str], data: Data, left_out: Mapping[str, str]) -> list[str]:
    """The line that says which columns are not sent, and why; empty where all are."""
    sent = {*names, data.label, data.value}
    why = {name: reason for name, reason in left_out.items() if name not in sent}
    for name in table.column_names:
        if name not in sent and name not in why:
            why[name] = "not among the features" if data.features else "text"
    return [f"not sent: {_listed(why.items())}"] if why else []


def _listed(reasons: Iterable[tuple[str, str]]) -> str:
    parts = [f"{_shown(name)} ({reason})" for name, reason in reasons]
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return ", ".join(parts[:_SHOWN]) + more


def _shown(name: str) -> str:
    """A name as it is, in quotes where it would be lost in a line."""
    plain = name and name == name.strip() and name.isprintable() and not set(name) & set(",;")
    return name if plain else repr(name)


def _cell_text(cell: object) -> str:
    if cell is None:
        return ""
    try:
        return label_text(cell)
    except ValueError:
        return str(cell)
