"""The recorder: every sample of a worker, in columns of bytes until they travel.

``add`` is on the path of every answer: it packs one record of 49 bytes, and its scores where there are some,
and keeps no object per sample. What can be computed for many samples at once (text, ``correct``, ``matches``,
ids) is left to ``take``.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loadtest.data.baseline import BaselineAnswers, Comparison
from loadtest.data.dataset import Dataset
from loadtest.data.ranking_text import items_of
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.data.timings import PARTS, Timings
from loadtest.experiment.role import ROLES_WITH_CONTROL
from loadtest.load.sending.response import BROKEN

_RECORD = struct.Struct("<ibdddhiiihhh")
_COLUMNS = np.dtype(
    {
        "names": [
            *("row", "role", "scheduled_at", "sent_at", "done_at"),
            *("status", "error", "prediction", "serial", "scores", "place", "request_rows"),
        ],
        "formats": ["<i4", "i1", "<f8", "<f8", "<f8", "<i2", "<i4", "<i4", "<i4", "<i2", "<i2", "<i2"],
        "offsets": [0, 4, 5, 13, 21, 29, 31, 35, 39, 43, 45, 47],
        "itemsize": _RECORD.size,
    }
)
_NONE = -1


class Recorder:
    """Records the samples of one worker.

    Args:
        dataset: the evaluation set, for its labels.
        worker: index of the worker.
        baseline: what each version answered before the load.
        ids: what request ids begin with, before the request's serial.
        warmup: rows that the warm-up sends.
    """

    def __init__(
        self,
        dataset: Dataset,
        worker: int,
        baseline: BaselineAnswers | None = None,
        ids: str = "",
        warmup: Iterable[int] = (),
    ) -> None:
        self._worker = worker
        self._ids = ids
        labels = dataset.labels
        # a regression has no right and wrong, and without labels nobody knows
        graded = dataset.labelled and labels.dtype.kind != "f"
        self._labels = pa.array(labels.tolist(), pa.string()) if graded else None
        self._ranked, self._relevant = dataset.ranked, dataset.relevant
        # a number per class in single precision, or the values of outputs in double
        self._lists = "outputs" if dataset.truths else "scores"
        self._baseline = {
            ROLES_WITH_CONTROL.index(role): Comparison(dataset, answers)
            for role, answers in (baseline or {}).items()
        }
        self._waiting = {
            ROLES_WITH_CONTROL.index(role)
            for role, answers in (baseline or {}).items()
            if any(answer is not None for answer in answers.values())
        }
        """Versions whose other rows are asked after the load."""
        self._asked_before = {
            ROLES_WITH_CONTROL.index(role): _asked_before(dataset, answers, warmup)
            for role, answers in (baseline or {}).items()
        }
        self.recorded = 0
        self._buffer = bytearray()
        self._scores = self._numbers()
        self._timings = array("f")
        self._errors: dict[str, int] = {}
        self._predictions: dict[str, int] = {}

    def add(
        self,
        row: int,
        role: int,
        scheduled_at: float,
        sent_at: float,
        done_at: float,
        status: int,
        error: str | None,
        prediction: str | None,
        serial: int,
        scores: Sequence[float] | None = None,
        place: int = 0,
        request_rows: int = 1,
        timings: Timings | None = None,
    ) -> None:
        """Record one row of a request; see ``loadtest.data.samples.SCHEMA``. ``role`` is an index into
        ``ROLES_WITH_CONTROL``, ``scores`` are the values of outputs where the evaluation set has some;
        ``timings`` have all samples or none."""
        errors, predictions = self._errors, self._predictions
        self._buffer += _RECORD.pack(
            row,
            role,
            scheduled_at,
            sent_at,
            done_at,
            status,
            _NONE if error is None else errors.setdefault(error, len(errors)),
            _NONE if prediction is None else predictions.setdefault(prediction, len(predictions)),
            serial,
            _NONE if scores is None else len(scores),
            place,
            request_rows,
        )
        if scores is not None:
            self._scores.extend(scores)
        if timings is not None:
            self._timings.extend(timings)
        self.recorded += 1

    def _numbers(self) -> array[float]:
        return array("d" if self._lists == "outputs" else "f")

    def take(self, pause: Callable[[], None] = lambda: None) -> SampleSet:
        """What was recorded since the last call; may be empty.

        Args:
            pause: called between steps; what is recorded meanwhile belongs to the next call.
        """
        columns = np.frombuffer(bytes(self._buffer), _COLUMNS)
        errors, predictions = list(self._errors), list(self._predictions)
        scores = _lists(columns["scores"], np.array(self._scores), self._lists)
        timings = _timings(len(columns), self._timings)
        self._buffer.clear()
        self._scores, self._timings = self._numbers(), array("f")
        self._errors, self._predictions = {}, {}
        pause()
        rows = pa.array(columns["row"])
        codes = _codes(columns["prediction"])
        prediction = pa.array(predictions, pa.string()).take(codes)
        ranking = pa.nulls(len(columns), SCHEMA.field("ranking").type)
        lists = [items_of(text) for text in predictions] if self._ranked else []
        if self._ranked:
            ranking = pa.array(lists, ranking.type).take(codes)
        several = columns["request_rows"] > 1
        role = pa.DictionaryArray.from_arrays(pa.array(columns["role"]), pa.array(ROLES_WITH_CONTROL))
        broken = np.isin(columns["error"], [code for code, error in enumerate(errors) if error in BROKEN])
        pause()
        matches, baseline = self._matching(columns["role"], rows, prediction, broken, scores, pause)
        pause()
        wanted = (columns["error"] != _NONE) | _is_false(matches)
        wanted |= np.isin(columns["role"], list(self._waiting)) & np.asarray(pc.is_null(matches))
        ids = self._request_ids(columns["serial"], wanted)
        correct = self._correct(columns, rows, prediction, lists)
        pause()
        # a request of several rows was never asked before the load
        asked_before = pc.if_else(
            pa.array(several), pa.scalar(None, pa.bool_()), self._before(columns["role"], rows)
        )
        pause()
        arrays = {
            "row": rows,
            "role": role,
            "scheduled_at": pa.array(columns["scheduled_at"]),
            "sent_at": pa.array(columns["sent_at"]),
            "done_at": pa.array(columns["done_at"]),
            "status": pa.array(columns["status"]),
            "error": pa.DictionaryArray.from_arrays(_codes(columns["error"]), pa.array(errors, pa.string())),
            "prediction": prediction,
            "correct": correct,
            "matches": matches,
            "worker": pa.array(np.full(len(columns), self._worker, np.int16)),
            "request_id": ids,
            "baseline": baseline,
            "asked_before": asked_before,
            "scores": pa.nulls(len(columns), SCHEMA.field("scores").type),
            "ranking": ranking,
            "place": pa.array(columns["place"], mask=~several),
            "request_rows": pa.array(columns["request_rows"], mask=~several),
            "outputs": pa.nulls(len(columns), SCHEMA.field("outputs").type),
            self._lists: scores,
            "timings": timings,
        }
        return SampleSet(pa.Table.from_arrays([arrays[name] for name in SCHEMA.names], schema=SCHEMA))

    def _correct(self, columns: NDArray[Any], rows: Any, prediction: Any, lists: list[list[str]]) -> Any:
        if self._labels is None:
            return pa.nulls(len(rows), pa.bool_())
        if self._relevant is not None:
            # of a ranking, the first item is the one answer
            return pa.array(self._relevant.lead(columns["row"], lists, columns["prediction"]), pa.bool_())
        return pc.fill_null(pc.equal(prediction, self._labels.take(rows)), False)

    def _matching(
        self,
        role: NDArray[np.int8],
        rows: Any,
        prediction: Any,
        broken: NDArray[np.bool_],
        scores: Any,
        pause: Callable[[], None],
    ) -> tuple[Any, Any]:
        """The columns ``matches`` and ``baseline``."""
        matches, baseline = pa.nulls(len(rows), pa.bool_()), pa.nulls(len(rows), pa.string())
        for index, comparison in self._baseline.items():
            mine = pa.array(role == index)
            judged = comparison.judge(rows, prediction, pa.array(broken), scores)
            pause()
            matches = pc.if_else(mine, judged, matches)
            differs = pc.and_(mine, pa.array(_is_false(matches)))
            baseline = pc.replace_with_mask(baseline, differs, comparison.shown(rows.filter(differs)))
        return matches, baseline

    def _before(self, role: NDArray[np.int8], rows: Any) -> Any:
        before = pa.nulls(len(rows), pa.bool_())
        for index, asked in self._asked_before.items():
            before = pc.if_else(pa.array(role == index), asked.take(rows), before)
        return before

    def _request_ids(self, serial: NDArray[np.int32], wanted: NDArray[np.bool_]) -> Any:
        ids = np.full(len(serial), None, dtype=object)
        ids[wanted] = [f"{self._ids}{number}" for number in serial[wanted]]
        return pa.array(ids, pa.string())


MakeRecorder = Callable[[Dataset, int, BaselineAnswers, str, Iterable[int]], Recorder]
"""Makes the recorder of a worker's share; see its arguments."""


def _asked_before(dataset: Dataset, asked: Iterable[int], warmup: Iterable[int]) -> Any:
    """Per row of the evaluation set the column ``asked_before``: rows with the same request are one."""
    request = dataset.request
    known, warm = (np.isin(request, request[np.fromiter(rows, np.intp)]) for rows in (asked, warmup))
    return pa.array(known, mask=warm & ~known)


def _is_false(flags: Any) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.invert(flags), False).to_numpy(zero_copy_only=False))


def _lists(counts: NDArray[np.int16], values: NDArray[np.floating], name: str) -> Any:
    """One list per count, out of the values of all, for the column ``name``; null where the count is none."""
    none = counts == _NONE
    if none.all():
        return pa.nulls(len(counts), SCHEMA.field(name).type)
    offsets = np.concatenate([[0], np.cumsum(np.where(none, 0, counts))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=pa.array(none))


def _timings(samples: int, values: array[float]) -> Any:
    """The column ``timings``; null where nobody asked for them."""
    kind = SCHEMA.field("timings").type
    if not values:
        return pa.nulls(samples, kind)
    ends = np.arange(0, len(values) + 1, len(PARTS), dtype=np.int32)
    parts = np.array(values)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(parts, mask=np.isnan(parts)))


def _codes(codes: NDArray[np.int32]) -> Any:
    """Dictionary codes with null for none."""
    return pa.array(codes, pa.int32(), mask=codes == _NONE)
