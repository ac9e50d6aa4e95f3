"""Samples, one by one: what tests make a ``SampleSet`` of."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from loadtest.data.samples import SCHEMA, SampleSet


class Sample(NamedTuple):
    """One row of a request; see ``SCHEMA``."""

    row: int
    role: str
    scheduled_at: float
    sent_at: float
    done_at: float
    status: int
    error: str | None
    prediction: str | None
    correct: bool | None
    matches: bool | None
    worker: int
    request_id: str | None = None
    baseline: str | None = None
    asked_before: bool | None = None
    scores: list[float] | None = None
    ranking: list[str] | None = None
    place: int | None = None
    request_rows: int | None = None
    outputs: list[float] | None = None
    timings: list[float | None] | None = None


def sample_set(samples: Iterable[Sample]) -> SampleSet:
    columns: Sequence[Sequence[Any]] = list(zip(*samples, strict=True)) or [[] for _ in SCHEMA]
    arrays = [
        pa.array(column, field.type.value_type).dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else pa.array(column, field.type)
        for column, field in zip(columns, SCHEMA, strict=True)
    ]
    return SampleSet(pa.Table.from_arrays(arrays, schema=SCHEMA))
