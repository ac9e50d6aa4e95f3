"""Recorded arrivals: the rows of an evaluation set and the instants at which a log sent each, in one file.

::

    path.write_bytes(with_arrivals(table, Recorded(times, rows, users)))
    Dataset.read(Data(path=path)).recorded

The file is Parquet. The column ``replayed_at`` has a list per row: the seconds, since the replay began, at
which it is sent; ``replayed_users``, where the log has users, has whose requests these are. So every part
that needs the rows has the arrivals, too: workers elsewhere, containers, and whoever judges the stored run.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

REPLAYED_AT = "replayed_at"
_USERS = "replayed_users"


@dataclass(frozen=True)
class Recorded:
    """Arrivals of a log, in order of time.

    Args:
        times: seconds since the replay began, shape (arrivals,).
        rows: of the evaluation set, shape (arrivals,).
        users: a number per user, shape (arrivals,); None: the log has none.
    """

    times: NDArray[np.float64]
    rows: NDArray[np.int32]
    users: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.times)


def with_arrivals(rows: pa.Table, recorded: Recorded) -> bytes:
    """The content of the file; ``rows`` are those of the evaluation set."""
    order = np.argsort(recorded.rows, kind="stable")
    starts = np.searchsorted(recorded.rows[order], np.arange(rows.num_rows + 1)).astype(np.int32)
    table = rows.append_column(REPLAYED_AT, pa.ListArray.from_arrays(starts, recorded.times[order]))
    if recorded.users is not None:
        table = table.append_column(_USERS, pa.ListArray.from_arrays(starts, recorded.users[order]))
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
    named = [name for name in (REPLAYED_AT, _USERS) if name in schema.names]
    table = file.read(columns=named).combine_chunks()
    lists = table.column(REPLAYED_AT).combine_chunks()
    times = lists.flatten().to_numpy(zero_copy_only=False)
    lengths = np.asarray(lists.value_lengths())
    rows = np.repeat(np.arange(len(lists), dtype=np.int32), lengths)
    order = np.argsort(times, kind="stable")
    users = None
    if _USERS in named:
        users = table.column(_USERS).combine_chunks().flatten().to_numpy(zero_copy_only=False)[order]
    return Recorded(times[order], rows[order], users)


def is_recorded(field: pa.Field) -> bool:
    """Whether a column of an evaluation set's file says when rows are sent, and is no feature."""
    return field.name in (REPLAYED_AT, _USERS) and pa.types.is_list(field.type)
