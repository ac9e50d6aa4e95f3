"""References: what each version answers to a row alone, and whether an answer under load is the same.

An answer is faithful when it has the text of the reference. A regression's answers may differ by 1e-5 of the
larger of the reference and the labels' standard deviation: a batch adds up floats in another order than a
single row does, single precision keeps 7 digits, and no two rows' answers are told apart by less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.dataset import Dataset
from loadtest.load.arrivals import Schedule

TOLERANCE = 1e-5
"""How far a regression's answer may lie from its reference, as a share."""

References = Mapping[str, Mapping[int, str]]
"""Per version the answer to each row alone, as text; rows and versions that were not asked are absent."""

_SCHEMA = pa.schema([("version", pa.string()), ("row", pa.int32()), ("prediction", pa.string())])


def to_bytes(references: References) -> bytes:
    """Encode as an Arrow IPC stream, for the way from the master to a worker."""
    records = [(v, row, text) for v, answers in references.items() for row, text in answers.items()]
    columns: Sequence[Sequence[Any]] = list(zip(*records, strict=True)) or ((), (), ())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(pa.table(dict(zip(_SCHEMA.names, columns, strict=True)), schema=_SCHEMA))
    return bytes(sink.getvalue())


def from_bytes(data: bytes) -> References:
    """Decode what ``to_bytes`` encoded; nothing gives none."""
    references: dict[str, dict[int, str]] = {}
    if data:
        columns = pa.ipc.open_stream(data).read_all().to_pydict()
        for version, row, text in zip(*(columns[name] for name in _SCHEMA.names), strict=True):
            references.setdefault(version, {})[row] = text
    return references


def rows_to_ask(schedules: Sequence[Schedule], seed: int) -> list[int]:
    """The distinct rows that will be measured: those sent most often first, in random order among equals.

    So the rows that the time does not suffice for are few samples, and spread over the whole run.
    """
    sent = np.concatenate([schedule.row[schedule.at >= 0] for schedule in schedules])
    rows, counts = np.unique(sent, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(rows)), -counts))
    asked: list[int] = rows[order].tolist()
    return asked


class Comparison:
    """Holds answers against one version's references.

    Args:
        dataset: the evaluation set; float labels make it a regression.
        answers: the version's answer to each row alone.
    """

    def __init__(self, dataset: Dataset, answers: Mapping[int, str]) -> None:
        self._texts = pa.array([answers.get(row) for row in range(len(dataset))], pa.string())
        labels = dataset.labels
        self._spread = float(labels.std()) if labels.dtype.kind == "f" else None

    def of(self, rows: pa.Array) -> pa.Array:
        """The reference of each of ``rows``; null where there is none."""
        return self._texts.take(rows)

    def agrees(self, rows: pa.Array, predictions: pa.Array) -> pa.Array:
        """Whether each prediction is the same as its row's reference; null where one of them is missing."""
        references = self.of(rows)
        same = pc.equal(predictions, references)
        if self._spread is None:
            return same
        got, known = _numbers(predictions), _numbers(references)
        with np.errstate(invalid="ignore"):  # infinities
            near = np.abs(got - known) <= TOLERANCE * np.maximum(np.abs(known), self._spread)
        return pc.or_(same, pa.array(near))


def _numbers(texts: pa.Array) -> NDArray[np.float64]:
    """Texts as numbers; NaN, which is near to nothing, for what is none."""
    numbers = []
    for text in texts.to_pylist():
        try:
            numbers.append(float(text))
        except (TypeError, ValueError):
            numbers.append(np.nan)
    return np.asarray(numbers, np.float64)
