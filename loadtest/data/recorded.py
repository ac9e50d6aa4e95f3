"""Recorded arrivals: the rows of an evaluation set and the instants at which a log sent each, in one file.

::

    path.write_bytes(with_arrivals(table, Recorded(times, rows, users)))
    Dataset.read(Data(path=path)).recorded

The file is Parquet. The column ``replayed_at`` has a list per row: the seconds, since the replay began, at
which it is sent; ``replayed_users``, where the log has users, has whose requests these are. Where requests
have several rows, ``replayed_requests`` has which of the requests, and ``replayed_places`` which of its rows,
each is. So every part
that needs the rows has the arrivals, too: workers elsewhere, containers, and whoever judges the stored run.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

REPLAYED_AT = "replayed_at"
_USERS = "replayed_users"
_REQUESTS = "replayed_requests"
_PLACES = "replayed_places"
_COLUMNS = (REPLAYED_AT, _USERS, _REQUESTS, _PLACES)


@dataclass(frozen=True)
class Recorded:
    """Arrivals of a log, in order of time.

    Args:
        times: seconds since the replay began, shape (arrivals,).
        rows: of the evaluation set, arrival by arrival, shape (rows,).
        users: a number per user, shape (arrivals,); None: the log has none.
        sizes: how many rows each request has, shape (arrivals,); None: one each.
    """

    times: NDArray[np.float64]
    rows: NDArray[np.int32]
    users: NDArray[np.int32] | None = None
    sizes: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def rows_of(self, requests: NDArray[np.intp]) -> NDArray[np.int32]:
        """The rows of some of the requests, one after the other; ``requests`` are their places."""
        if self.sizes is None:
            return self.rows[requests]
        size = self.sizes[requests]
        begin = (np.cumsum(self.sizes) - self.sizes)[requests]
        return self.rows[np.repeat(begin, size) + _within(size)]


def with_arrivals(rows: pa.Table, recorded: Recorded) -> bytes:
    """The content of the file; ``rows`` are those of the evaluation set."""
    order = np.argsort(recorded.rows, kind="stable")
    starts = np.searchsorted(recorded.rows[order], np.arange(rows.num_rows + 1)).astype(np.int32)
    request = np.arange(len(recorded), dtype=np.int32)
    columns: dict[str, NDArray[Any]] = {}
    if recorded.sizes is not None:
        request = np.repeat(request, recorded.sizes)
        columns = {_REQUESTS: request, _PLACES: _within(recorded.sizes).astype(np.int32)}
    columns[REPLAYED_AT] = recorded.times[request]
    if recorded.users is not None:
        columns[_USERS] = recorded.users[request]
    table = rows
    for name, cells in columns.items():
        table = table.append_column(name, pa.ListArray.from_arrays(starts, cells[order]))
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), out)
    return out.getvalue()


def recorded_in(path: Path, content: bytes | None) -> Recorded | None:
    """The arrivals in the file of an evaluation set; None: it is no file of ``with_arrivals``."""
    try:
        file = pq.ParquetFile(path if content is None else pa.BufferReader(content))
    except pa.ArrowInvalid:
        return None
    schema = file.schema_arrow
    at = schema.get_field_index(REPLAYED_AT)
    if at < 0 or schema.field(at).type != pa.list_(pa.float64()):
        return None
    named = [name for name in _COLUMNS if name in schema.names]
    table = file.read(columns=named).combine_chunks()
    lists = {name: table.column(name).combine_chunks() for name in named}
    lengths = np.asarray(lists[REPLAYED_AT].value_lengths())
    cells = {name: each.flatten().to_numpy(zero_copy_only=False) for name, each in lists.items()}
    rows = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    if _REQUESTS not in cells:
        order = np.argsort(cells[REPLAYED_AT], kind="stable")
        users = cells[_USERS][order] if _USERS in cells else None
        return Recorded(cells[REPLAYED_AT][order], rows[order], users)
    order = np.lexsort((cells[_PLACES], cells[_REQUESTS]))
    sizes = np.bincount(cells[_REQUESTS]).astype(np.int32)
    first = order[np.cumsum(sizes) - sizes]
    users = cells[_USERS][first] if _USERS in cells else None
    return Recorded(cells[REPLAYED_AT][first], rows[order], users, sizes)


def is_recorded(field: pa.Field) -> bool:
    """Whether a column of an evaluation set's file says when rows are sent, and is no feature."""
    return field.name in _COLUMNS and pa.types.is_list(field.type)


def _within(sizes: NDArray[np.int32]) -> NDArray[np.intp]:
    """0, 1, ... for each of the sizes in turn, shape (sum of the sizes,)."""
    places: NDArray[np.intp] = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return places
