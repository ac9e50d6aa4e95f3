"""The rows of a log as a table, each distinct one once, and which of them each request sends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.log_formats import Entry, Label
from loadtest.data.logged_rows import Row
from loadtest.data.request_log import RequestLog
from loadtest.data.table_file import read_table_file
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Data

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class LoggedRows:
    """What the requests of a log send, row by row.

    Args:
        table: the rows.
        entry: of each row that is sent the place of its request among the log's entries, shape (sent,).
        row: its place in the table, shape (sent,); None: the log does not say.
        user: a number for its user, shape (sent,); None: not every request has a user.
        labelled: whether the table has the label of each row.
    """

    table: pa.Table
    entry: Ints
    row: Ints | None
    user: Ints | None
    labelled: bool


def logged_rows(
    log: RequestLog, names: Sequence[str], data: Data, table: pa.Table | None
) -> tuple[LoggedRows, tuple[str, ...]]:
    """The rows, and what a person should know of them.

    Args:
        log: its requests all say what they send, or none does.
        names: of cells that the log has by position; empty: ``x1``, ``x2`` and so on.
        data: names the label.
        table: the evaluation set's rows, for a log without bodies.

    Raises:
        DatasetError: a request does not fit the others, or the names, or the evaluation set.
    """
    entries = log.entries
    user = _users(entries)
    if table is not None:
        row, own = None, np.arange(len(entries), dtype=np.int32)
        if any(entry.numbers is not None for entry in entries):
            named = [_known(log, entry, table.num_rows) for entry in entries]
            row = np.array([number for numbers in named for number in numbers], dtype=np.int32)
            own = np.repeat(own, [len(numbers) for numbers in named])
        labelled = data.label_column in table.column_names
        return LoggedRows(table, own, row, user, labelled), _about_rows(row, table.num_rows)
    known = [entry.labels is not None and None not in entry.labels for entry in entries]
    labelled = all(known)
    index: dict[tuple[Any, ...], int] = {}
    distinct: list[dict[str, Any]] = []
    place, sent = [], []
    for at, entry in enumerate(entries):
        if entry.rows is None:
            raise DatasetError(f"{log.path}: line {entry.line:,} has no body, the first request has one")
        for nth, cells in enumerate(entry.rows):
            row_ = _by_name(log, entry, cells, names)
            if labelled:
                if data.label_column in row_:
                    raise DatasetError(
                        f"{log.path}: line {entry.line:,} has a cell {data.label_column!r} in its body, "
                        "which is the name of the label; name another under [data] label"
                    )
                assert entry.labels is not None  # noqa: S101 - for the type checker
                row_[data.label_column] = _label(entry.labels[nth], data)
            # 1, 1.0 and true are equal and not the same
            key = tuple((name, type(cell), cell) for name, cell in sorted(row_.items()))
            if key not in index:
                index[key] = len(distinct)
                distinct.append(row_)
            place.append(at)
            sent.append(index[key])
    notes = []
    if not labelled and any(known):
        notes.append(f"only {sum(known):,} of {len(known):,} requests have labels, so none is used")
    lines = "\n".join(json.dumps(row) for row in distinct).encode()
    label = (data.label_column,) if labelled and data.task != "regression" else ()
    file = read_table_file(log.path, lines, as_text=label)
    columns = {c.name: c.cells for c in file.columns.values() if not pa.types.is_null(c.cells.type)}
    at_ = np.array(place, dtype=np.int32)
    return LoggedRows(pa.table(columns), at_, np.array(sent, dtype=np.int32), user, labelled), tuple(notes)


def _label(label: Label, data: Data) -> Label:
    """A regression's as a number, where the log has text, as in CSV; text that is none is refused later."""
    if data.task == "regression" and isinstance(label, str):
        with suppress(ValueError):
            return float(label)
    return label


def _users(entries: Sequence[Entry]) -> Ints | None:
    """A number for the user of each row that is sent; None: one is not known."""
    codes: dict[str, int] = {}
    if any(entry.users is None for entry in entries):
        return None
    users = [codes.setdefault(user, len(codes)) for entry in entries for user in entry.users or ()]
    return np.array(users, dtype=np.int32)


def _known(log: RequestLog, entry: Entry, rows: int) -> tuple[int, ...]:
    if entry.numbers is None or max(entry.numbers) >= rows:
        says = "no row, others have one" if entry.numbers is None else f"row {max(entry.numbers):,}"
        raise DatasetError(
            f"{log.path}: line {entry.line:,} has {says}; the evaluation set has rows 0 to {rows - 1:,}"
        )
    return entry.numbers


def _about_rows(row: Ints | None, rows: int) -> tuple[str, ...]:
    if row is not None:
        return ()
    return (
        f"the log does not say what was sent: the {rows:,} rows of the evaluation set are, in random order",
    )


def _by_name(log: RequestLog, entry: Entry, cells: Row, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(cells, dict):
        return dict(cells)
    known = names or [f"x{i}" for i in range(1, len(cells) + 1)]
    if len(known) != len(cells):
        raise DatasetError(
            f"{log.path}: line {entry.line:,} sends {len(cells)} cells, {len(known)} columns are named; "
            "name as many under [data] features"
        )
    return dict(zip(known, cells, strict=True))
