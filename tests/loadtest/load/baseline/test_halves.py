from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError
from loadtest.experiment.experiment import Load
from loadtest.load.baseline.first_rows import FIRST_ROWS
from loadtest.load.baseline.halves import halve, sent_until, without_repeats
from loadtest.load.sending.arrivals import draw

LOAD = Load(rate=50, duration=10, warmup=5)
SCHEDULES = [draw(LOAD, 300, worker, 3) for worker in range(3)]
COUNTS = np.bincount(np.concatenate([s.row[s.scheduled_at >= 0] for s in SCHEDULES]), minlength=300)


def dataset(features):
    features = np.asarray(features, dtype=float)
    labels = np.array(["0", "1"] * len(features))[: len(features)]
    return Dataset(Path("e.csv"), features[:, None], ("x",), labels, None, pa.table({}))


def test_every_measured_row_is_in_one_half_those_sent_most_often_first():
    halves = halve(SCHEDULES, np.arange(300), seed=1)
    # every measured row once, and none of the warm-up's alone
    assert sorted(halves.before + halves.after) == np.flatnonzero(COUNTS).tolist()
    assert abs(len(halves.before) - len(halves.after)) <= 1
    first = {row: at for s in SCHEDULES for at, row in zip(s.scheduled_at[::-1], s.row[::-1], strict=True)}
    for half in halves:
        assert (np.diff(COUNTS[half]) <= 0).all()
        # what time does not suffice for is spread over the run
        assert max(first[row] for row in half[: len(half) // 2]) > 6
    # the run's seed says which
    assert halves == halve(SCHEDULES, np.arange(300), seed=1)
    assert set(halves.before) != set(halve(SCHEDULES, np.arange(300), seed=2).before)


def test_the_draw_knows_nothing_of_the_rows():
    """Over many seeds each row is as often in one half as in the other."""
    before = np.zeros(300)
    for seed in range(200):
        before[halve(SCHEDULES, np.arange(300), seed).before] += 1
    share = before[COUNTS > 0] / 200
    # five standard errors of a fair coin
    assert abs(share - 0.5).max() < 5 * 0.5 / 200**0.5


def test_rows_with_the_same_request_share_a_half():
    data = dataset(np.arange(300) // 3)
    halves = halve(SCHEDULES, data.request, seed=1)
    assert not {row // 3 for row in halves.before} & {row // 3 for row in halves.after}
    # the labels differ, the request does not
    assert len(np.unique(data.request)) == 100
    assert len(np.unique(data.content)) == 200


def test_a_load_that_is_ended_early_asks_for_what_it_sent():
    half = sent_until(SCHEDULES, 5.0)
    assert half == {
        row
        for s in SCHEDULES
        for at, row in zip(s.scheduled_at, s.row.tolist(), strict=True)
        if 0 <= at <= 5.0
    }
    assert half < sent_until(SCHEDULES, 10.0) == set(np.flatnonzero(COUNTS).tolist())
    assert sent_until(SCHEDULES, -1.0) == set()


def test_without_repeats_what_is_looked_at_first_is_not_sent():
    schedules = [draw(LOAD, 1000, worker, 2) for worker in range(2)]
    halves = without_repeats(schedules, dataset(np.arange(1000)), LOAD.seed)
    sent = np.concatenate([s.row for s in schedules])
    assert len(halves.before) == FIRST_ROWS
    assert not set(halves.before) & set(sent.tolist())
    assert sorted(halves.after) == sorted(
        set(np.concatenate([s.row[s.scheduled_at >= 0] for s in schedules]))
    )


@pytest.mark.parametrize(
    ("features", "says"),
    [
        # 15 s at 50 a second
        (np.arange(300), "rows; it has 300: bring more rows, or lower the rate"),
        # another label makes no other request
        (np.arange(1000) % 999, "1 row with the features of another"),
    ],
)
def test_too_few_rows_to_send_none_twice(features, says):
    schedules = [draw(LOAD, len(features), worker, 2) for worker in range(2)]
    with pytest.raises(DatasetError, match=says):
        without_repeats(schedules, dataset(features), LOAD.seed)
