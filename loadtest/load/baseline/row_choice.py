"""Baseline answers: which rows to ask for, and the way of the answers to the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from loadtest.data.baseline import BaselineAnswers
from loadtest.experiment.role import Role
from loadtest.load.sending.arrivals import Schedule

_SCHEMA = pa.schema([("role", pa.string()), ("row", pa.int32()), ("prediction", pa.string())])


def to_bytes(baseline: BaselineAnswers) -> bytes:
    """Encode as an Arrow IPC stream, for the way from the master to a worker."""
    records = [(v, row, text) for v, answers in baseline.items() for row, text in answers.items()]
    columns: Sequence[Sequence[Any]] = list(zip(*records, strict=True)) or ((), (), ())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(pa.table(dict(zip(_SCHEMA.names, columns, strict=True)), schema=_SCHEMA))
    return bytes(sink.getvalue())


def from_bytes(data: bytes) -> BaselineAnswers:
    """Decode what ``to_bytes`` encoded; nothing gives none."""
    baseline: dict[Role, dict[int, str]] = {}
    if data:
        columns = pa.ipc.open_stream(data).read_all().to_pydict()
        for role, row, text in zip(*(columns[name] for name in _SCHEMA.names), strict=True):
            baseline.setdefault(Role(role), {})[row] = text
    return baseline


def rows_to_ask(schedules: Sequence[Schedule], seed: int) -> list[int]:
    """The distinct rows that will be measured: those sent most often first, in random order among equals.

    So the rows that the time does not suffice for are few samples, and spread over the whole run.
    """
    sent = np.concatenate([schedule.row[schedule.scheduled_at >= 0] for schedule in schedules])
    rows, counts = np.unique(sent, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(rows)), -counts))
    asked: list[int] = rows[order].tolist()
    return asked
