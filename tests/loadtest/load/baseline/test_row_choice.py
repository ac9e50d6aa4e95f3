import numpy as np

from loadtest.experiment.experiment import Load
from loadtest.load.baseline.row_choice import from_bytes, rows_to_ask, to_bytes
from loadtest.load.sending.arrivals import draw


def test_baseline_answers_travel():
    baseline = {"stable": {0: "1", 7: "ä"}, "candidate": {7: "0"}}
    assert from_bytes(to_bytes(baseline)) == baseline
    assert from_bytes(to_bytes({})) == {}
    assert from_bytes(b"") == {}


def test_the_rows_of_the_load_are_asked_those_sent_most_often_first():
    load = Load(rate=50, duration=10, warmup=5)
    schedules = [draw(load, 300, worker, 3) for worker in range(3)]
    sent = np.concatenate([schedule.row[schedule.scheduled_at >= 0] for schedule in schedules])
    counts = np.bincount(sent, minlength=300)
    rows = rows_to_ask(schedules, seed=1)
    # every measured row once, and none of the warm-up's alone
    assert sorted(rows) == np.flatnonzero(counts).tolist()
    assert (np.diff(counts[rows]) <= 0).all()
    # what time does not suffice for is spread over the run
    first = {row: at for s in schedules for at, row in zip(s.scheduled_at[::-1], s.row[::-1], strict=True)}
    asked = [first[row] for row in rows[: len(rows) // 4]]
    assert max(asked) > 6
    assert rows == rows_to_ask(schedules, seed=1)
