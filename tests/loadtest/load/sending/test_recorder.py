from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.baseline import ScoredAnswer
from loadtest.data.dataset import Dataset
from loadtest.data.samples import SCHEMA
from loadtest.data.timings import Timings
from loadtest.load.sending.recorder import Recorder
from tests.loadtest.made_samples import Sample


def dataset(labels):
    return Dataset(
        path=Path("e.parquet"),
        matrix=np.arange(len(labels), dtype=float)[:, None],
        names=("x",),
        labels=np.asarray(labels),
        values=None,
        columns=pa.table({}),
    )


CLASSES = dataset(["0", "1", "0"])


def rows(samples):
    return [Sample(**row) for row in samples.table.to_pylist()]


def test_samples_come_out_as_they_went_in():
    recorder = Recorder(CLASSES, worker=4, ids="run-4-")
    recorder.add(1, 0, 0.25, 0.251, 0.3, 200, None, "1", 5)
    recorder.add(2, 1, 0.25, 0.252, 2.252, 0, "timeout", None, 6)
    recorder.add(0, 1, 0.5, 0.5, 0.6, 200, None, "1", 7)
    samples = recorder.take()
    assert samples.table.schema == SCHEMA
    assert rows(samples) == [
        Sample(1, "stable", 0.25, 0.251, 0.3, 200, None, "1", True, None, 4),
        # an error is a wrong answer
        Sample(2, "candidate", 0.25, 0.252, 2.252, 0, "timeout", None, False, None, 4, "run-4-6"),
        Sample(0, "candidate", 0.5, 0.5, 0.6, 200, None, "1", False, None, 4),
    ]


def test_each_sample_is_taken_once_and_all_are_counted():
    recorder = Recorder(CLASSES, worker=0)
    assert len(recorder.take()) == 0
    parts = []
    for turn in range(3):
        for row in range(turn + 1):
            # texts of one turn must not leak into the next
            recorder.add(row, turn % 2, 0.0, 0.0, 1.0, 200, None, f"{turn}-{row}", row)
        parts.append(recorder.take())
    assert [len(part) for part in parts] == [1, 2, 3]
    assert [s.prediction for part in parts for s in rows(part)] == ["0-0", "1-0", "1-1", "2-0", "2-1", "2-2"]
    assert recorder.recorded == 6
    assert len(recorder.take()) == 0


def test_scores_come_out_of_the_right_samples():
    recorder = Recorder(CLASSES, worker=0)
    given = [[0.5, 0.25], None, [0.75], [1e-30, 1.0]]
    for serial, scores in enumerate(given):
        told = ("timeout", None) if scores is None else (None, "1")
        recorder.add(serial % 3, 0, serial, serial, serial, 200, *told, serial, scores)
    samples = recorder.take()
    assert samples.table.schema == SCHEMA
    assert samples.table["scores"].to_pylist() == [
        None if scores is None else pytest.approx(scores) for scores in given
    ]
    assert samples.scored
    assert not samples.without_lists().scored
    # of one turn alone, and none where there are none
    recorder.add(0, 0, 9.0, 9.0, 9.0, 200, None, "1", 9)
    assert recorder.take().table["scores"].to_pylist() == [None]


def test_outputs_are_kept_in_double_precision_and_compared_each_by_its_own_spread():
    several = replace(dataset([1.5, 2.5, 3.5]), truths={"price": np.ones(3), "rate": np.ones(3)})
    known = {row: ScoredAnswer("1.5", (1e6 * row + 0.1, 1e-6 * row)) for row in range(3)}
    recorder = Recorder(several, 0, {"stable": known}, "run-")
    for serial, values in enumerate([(1e6 + 0.1, 1e-6), (1e6 + 0.1, 2e-6), (1e6 + 90, 1e-6), None]):
        told = ("timeout", None) if values is None else (None, "1.5")
        recorder.add(1, 0, serial, serial, serial + 1.0, 200, *told, serial, values)
    samples = recorder.take()
    # 0.1 beside a million is no number of single precision
    assert samples.table["outputs"].to_pylist()[0] == [1e6 + 0.1, 1e-6]
    assert samples.table["matches"].to_pylist() == [True, False, False, None]
    assert samples.table["baseline"].to_pylist()[1] == "1.5 (1e+06, 1e-06)"
    assert samples.table["scores"].null_count == 4
    assert (samples.longest("outputs"), samples.without_lists().longest("outputs")) == (2, 0)


def test_the_same_label_with_other_scores_is_a_mismatch():
    known = {row: ScoredAnswer("1", (1 - score, score)) for row, score in enumerate((0.6, 0.9, 0.7))}
    recorder = Recorder(CLASSES, 0, {"stable": known}, "run-")
    recorder.add(0, 0, 0.0, 0.0, 1.0, 200, None, "1", 1, (0.4, 0.6))
    recorder.add(0, 0, 1.0, 1.0, 2.0, 200, None, "1", 2, (0.1, 0.9))
    table = recorder.take().table
    assert table["matches"].to_pylist() == [True, False]
    assert table["baseline"].to_pylist() == [None, "1 (0.4, 0.6)"]


def test_a_regression_has_no_right_and_wrong():
    recorder = Recorder(dataset([1.5, 2.5]), worker=0)
    recorder.add(0, 0, 0.0, 0.0, 1.0, 200, None, "1.5", 1)
    recorder.add(0, 0, 0.0, 0.0, 1.0, 500, "http 500", None, 2)
    assert [s.correct for s in rows(recorder.take())] == [None, None]


def test_matches_compares_with_the_same_version_alone():
    recorder = Recorder(CLASSES, 0, {"candidate": {0: "1", 1: "0"}}, "run-0-")
    table = [
        # as alone, though wrong
        (0, 1, None, "1", (True, None, None)),
        # changed under load, though right
        (1, 1, None, "1", (False, "run-0-1", "0")),
        # no baseline answer for this row yet: the id is kept for the comparison after the load
        (2, 1, None, "0", (None, "run-0-2", None)),
        # no answer: an error, which other gates count
        (0, 1, "timeout", None, (None, "run-0-3", None)),
        # an answer, but broken
        (0, 1, "malformed answer", None, (False, "run-0-4", "1")),
        (1, 1, "truncated answer", None, (False, "run-0-5", "0")),
        # broken alone as well, as far as is known
        (2, 1, "malformed answer", None, (None, "run-0-6", None)),
        # no baseline answers for this version
        (0, 0, None, "0", (None, None, None)),
    ]
    for serial, (row, role, error, prediction, _) in enumerate(table):
        recorder.add(row, role, 0.0, 0.0, 1.0, 200, error, prediction, serial)
    told = [(s.matches, s.request_id, s.baseline) for s in rows(recorder.take())]
    assert told == [expected for *_, expected in table]


def test_which_rows_a_cache_may_know():
    data = dataset(["0", "1", "0", "1", "1"])
    # row 4 sends what row 0 sends
    data = replace(data, matrix=np.array([[0.0], [1.0], [2.0], [3.0], [0.0]]))
    recorder = Recorder(data, 0, {"candidate": {0: "1", 1: None}}, warmup={1, 3})
    for row in range(5):
        recorder.add(row, 1, 0.0, 0.0, 1.0, 200, None, "0", row)
    recorder.add(0, 0, 0.0, 0.0, 1.0, 200, None, "0", 5)
    # asked, answered or not; never; in the warm-up alone; another row with the same request; nothing is known
    assert [s.asked_before for s in rows(recorder.take())] == [True, True, False, None, True, None]


@pytest.mark.parametrize("status", [0, 200, 599])
def test_numbers_keep_their_precision(status):
    recorder = Recorder(CLASSES, worker=0)
    recorder.add(2, 0, 86_400.123456789, 86_400.123456999, 1e5 / 3, status, None, "0", 1)
    (sample,) = rows(recorder.take())
    assert (sample.scheduled_at, sample.sent_at, sample.done_at, sample.status) == (
        86_400.123456789,
        86_400.123456999,
        1e5 / 3,
        status,
    )


def test_where_the_time_went_is_kept_of_each_sample_and_only_where_it_was_asked_for():
    recorder = Recorder(CLASSES, worker=0)
    for serial, wait in ((1, 0.5), (2, 0.25)):
        timings = Timings(nan, nan, nan, 0.125, wait, 0.0)
        recorder.add(1, 0, 1.0, 1.0, 2.0, 200, None, "0", serial, timings=timings)
    samples = recorder.take()
    assert samples.table["timings"].to_pylist() == [[None] * 3 + [0.125, wait, 0.0] for wait in (0.5, 0.25)]
    assert samples.timed
    recorder.add(1, 0, 1.0, 1.0, 2.0, 200, None, "0", 3)
    assert not recorder.take().timed


def test_what_is_recorded_while_samples_are_taken_belongs_to_the_next_call():
    recorder = Recorder(CLASSES, 0, {"stable": {0: "0"}, "candidate": {0: "1"}}, "run-0-")
    pauses = []

    def record():
        recorder.add(0, 0, 1.0, 1.0, 2.0, 503, "http 503", None, 100 + len(pauses))
        pauses.append(recorder.recorded)

    for serial in range(3):
        recorder.add(0, serial % 2, 1.0, 1.0, 2.0, 200, None, "0", serial)
    assert recorder.take(record).table["request_id"].to_pylist() == [None, "run-0-1", None]
    late = [f"run-0-{100 + number}" for number in range(len(pauses))]
    assert len(late) > 3
    assert recorder.take().table["request_id"].to_pylist() == late


def test_each_row_of_a_request_is_a_sample_and_was_not_asked_before():
    answers = {"stable": {0: "0", 1: "1", 2: "0"}}
    recorder = Recorder(CLASSES, 0, answers, "run-0-")
    for place, (row, told) in enumerate([(2, "0"), (1, "0")]):
        recorder.add(row, 0, 0.25, 0.25, 0.3, 200, None, told, 5, None, place, 2)
    recorder.add(0, 0, 0.5, 0.5, 0.6, 200, None, "0", 6, None, 0, 1)
    samples = recorder.take()
    table = samples.table.to_pydict()
    assert (table["place"], table["request_rows"]) == ([0, 1, None], [2, 2, None])
    assert table["matches"] == [True, False, True]
    assert table["request_id"] == [None, "run-0-5", None]
    assert table["asked_before"] == [None, None, True]
    assert samples.several
    assert samples.first().row.tolist() == [2, 0]
