"""The evaluation set: rows that no training saw, labelled if their outcome is known.

Both sides of the load read it: ``load`` turns its columns into requests, ``judge`` looks up labels,
values and slice columns by row. Row ``i`` of a sample is line ``i`` of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.label_text import label_text
from contract.text_columns import DataFile
from loadtest.data.class_order import in_order, is_yes_last, named_classes
from loadtest.data.column_arrays import as_matrix, cell_text, floats_of, labels_of, matrix_or_none
from loadtest.data.columns_not_sent import copies_of_the_label, left_out_of, no_features, not_sent, shown
from loadtest.data.recorded import Recorded, recorded_in
from loadtest.data.relevance import Relevance
from loadtest.data.row_content import codes_of, contents
from loadtest.data.table_file import TableFile, read_table_file
from loadtest.errors import DatasetError, ListsOfLabels
from loadtest.experiment.experiment import Data

_UNLABELLED = (
    "no column 'label', so no labels: whether an answer is right cannot be judged, only whether both "
    "versions answer the same. Name the right one under [data] in the experiment, if outcomes are known"
)

_SHOWN = 20
"""So many names of columns are listed where one is missing."""


@dataclass(frozen=True)
class Dataset:
    """An evaluation set in memory.

    Args:
        path: where it was read from.
        matrix: the sent columns as float64, shape (rows, features); None unless all are finite numbers.
        names: the columns that are sent, in the order in which they are.
        labels: the true outcome, one per row: text for a classification or a ranking, float64 for a
            regression; shape (0,) where the file has none.
        values: what the row's sale earned, one per row; None when the experiment names no value column.
        columns: every column that has a name of its own and cells that are text or numbers; float64, int64,
            bool or string, null where a cell is missing.
        left_out: columns that are not sent unless they are named, and why, such as ``stands there 2 times``.
        written: columns of numbers as the file writes them, where the number does not say it.
        notes: what was decided on reading, one line each, for a person to see before the load.
        named_classes: the labels that there are, in the order of the experiment; empty: those of the rows.
        ranked: answers are ranked lists.
        relevant: of a ranking, what the labels say; None where there are none.
        recorded: when a log sent which row, where the file is made from one.
        truths: of outputs by name, the true values, shape (rows,); several outputs may share a column.
        file: how pandas reads it.
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
    ranked: bool = False
    relevant: Relevance | None = None
    recorded: Recorded | None = None
    truths: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    file: DataFile = field(default_factory=DataFile)

    def __len__(self) -> int:
        return len(self.labels) or int(self.columns.num_rows)

    @property
    def labelled(self) -> bool:
        """Whether the true outcomes are known."""
        return len(self.labels) > 0

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
        return self.typed_row(row)

    def typed_row(self, row: int) -> list[Any]:
        """The sent cells of a row as the file has them: each a float, int, bool, text or None."""
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
        texts = [cell_text(cell) for cell in encoded.dictionary.to_pylist()]
        codes = pc.fill_null(encoded.indices.cast(pa.int64()), len(texts)).to_numpy(zero_copy_only=False)
        return codes, [*texts, ""] if encoded.null_count else texts

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The labels in the order in which samples have their scores; see ``in_order``."""
        return self.named_classes or in_order(np.unique(np.asarray(self.labels, dtype=str)).tolist())

    @property
    def is_positive_last(self) -> bool:
        """Whether it is known that of two ``classes`` the second is the positive one."""
        return len(self.classes) == 2 and (bool(self.named_classes) or is_yes_last(self.classes))

    @cached_property
    def class_places(self) -> NDArray[np.intp]:
        """Where each row's label stands in ``classes``, shape (rows,)."""
        labels, place = np.unique(np.asarray(self.labels, dtype=str), return_inverse=True)
        return np.array([self.classes.index(label) for label in labels], dtype=np.intp)[place]

    @cached_property
    def content(self) -> NDArray[np.intp]:
        """For each row the first row with the same features and outcomes, shape (rows,)."""
        codes = np.column_stack([self._codes, *self.truths.values()]) if self.truths else self._codes
        return contents(codes, self.labels if self.labelled else np.zeros(len(self)))

    @cached_property
    def request(self) -> NDArray[np.intp]:
        """For each row the first row with the same features, whose request is the same, shape (rows,)."""
        return contents(self._codes, np.zeros(len(self)))

    @property
    def _codes(self) -> NDArray[np.float64]:
        """A number per sent cell, the same for the same cells, shape (rows, features)."""
        if self.matrix is not None:
            return self.matrix
        return np.column_stack([codes_of(cells) for cells in self._cells])

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
        labels_are_text, ranked = data.task != "regression", data.task == "ranking"
        label = data.label_column
        asked = [name for name in (label, data.value, *data.features, *data.outputs.values()) if name]
        as_text = {label} if labels_are_text else ()
        nested = label if ranked else None
        file = read_table_file(data.path, content, wanted=asked, as_text=as_text, nested=nested)
        named = data.label is not None or bool(data.outputs)
        labelled = named or label in file.names or _hides_its_label(file)
        asked = asked if labelled else asked[1:]
        for name in asked:
            _check_there(file, name, data.path)
        for name in data.features:
            if (holds := file.columns[name].holds) not in (None, "no values"):
                raise DatasetError(
                    f"{data.path}: column {name!r} holds {holds}, which no model is sent; write numbers or "
                    "text, or take it out of [data] features"
                )
        if labelled and file.columns[label].holds in ("lists", "records", "maps"):
            raise ListsOfLabels(
                f"{data.path}: column {label!r} holds {file.columns[label].holds}; write a label per row, or "
                'set [data] task = "ranking"'
            )
        if not any(len(column.cells) for column in file.columns.values()):
            raise DatasetError(f"{data.path}: no rows; an evaluation set needs at least one")
        names = data.features or tuple(
            column.name
            for column in file.columns.values()
            if (column.is_number or (every and column.holds is None))
            and column.name not in (*data.outcome_columns, *file.index)
        )
        left_out = left_out_of(file)
        if not names:
            raise DatasetError(f"{data.path}: {no_features(file, data, left_out)}")
        if not (every or data.features) and file.doubled:
            _check_doubles(file, data.path)
        table = pa.table(
            {c.name: c.cells for c in file.columns.values() if not pa.types.is_null(c.cells.type)}
        )
        labels: NDArray[np.str_] | NDArray[np.float64]
        relevant = None
        if labelled and ranked:
            relevant = Relevance.of(table[label].to_pylist(), data.path, label)
            labels = np.asarray(relevant.texts())
        elif labelled:
            labels = labels_of(table[label], data) if labels_are_text else floats_of(table, label, data.path)
        else:
            labels = np.array([], dtype=np.str_) if labels_are_text else np.array([], dtype=np.float64)
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
            notes=(
                *file.notes,
                *not_sent(table, names, data, left_out),
                *(copies_of_the_label(table, names, label) if labelled else ()),
                *([] if labelled else [_UNLABELLED]),
            ),
            named_classes=classes,
            ranked=ranked,
            relevant=relevant,
            recorded=recorded_in(data.path, content),
            truths={output: floats_of(table, name, data.path) for output, name in data.outputs.items()},
            file=file.file,
        )


def _hides_its_label(file: TableFile) -> bool:
    """Whether it was meant to have ``label``: its first line is a row, or blanks or capitals differ."""
    return any(_looks_like_a_cell(name) or name.strip().lower() == "label" for name in file.names)


def _looks_like_a_cell(name: str) -> bool:
    """Whether it is a number, as no name of a column is."""
    try:
        float(name)
    except ValueError:
        return False
    return any(character.isdecimal() for character in name)  # inf and nan may be names


def _check_there(file: TableFile, name: str, path: Path) -> None:
    if name in file.doubled:
        raise DatasetError(
            f"{path}: column {name!r} stands there {len(file.doubled[name])} times; "
            "rename or drop all but one"
        )
    if name not in file.columns:
        seen = ", ".join(map(shown, file.names[:_SHOWN]))
        seen += f" and {len(file.names) - _SHOWN} more" if len(file.names) > _SHOWN else ""
        if any(map(_looks_like_a_cell, file.names)):
            seen += "; its first line looks like a row: write the names of the columns above it"
        remedy = "Name the right one under [data] in the experiment"
        raise DatasetError(f"{path}: no column {name!r}; it has {seen}. {remedy}")


def _check_doubles(file: TableFile, path: Path) -> None:
    """Which of two equal names is the feature nobody knows; of columns without a name, none is."""
    for name, same in file.doubled.items():
        if name not in file.index and any(column.is_number for column in same):
            raise DatasetError(
                f"{path}: column {name!r} stands there {len(same)} times; rename or drop all but one, or "
                "name the columns to send, without it, under [data] features"
            )
