from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from loadtest.data.dataset import Dataset
from loadtest.data.recorded import Recorded
from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Load
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import Schedule, draw, encode_bodies

LOAD = Load(rate=200, duration=50, warmup=2, seed=7)


def shares(load, rows, workers):
    return [draw(load, rows, worker, workers) for worker in range(workers)]


def test_same_arguments_give_the_same_arrivals():
    one, two = draw(LOAD, 100, 1, 3), draw(LOAD, 100, 1, 3)
    assert np.array_equal(one.scheduled_at, two.scheduled_at)
    assert np.array_equal(one.row, two.row)
    assert np.array_equal(one.candidate_first, two.candidate_first)


@pytest.mark.parametrize("other", [{"seed": 8}, {"rate": 201.0}])
def test_other_arguments_give_other_arrivals(other):
    assert not np.array_equal(
        draw(LOAD, 100).scheduled_at, draw(LOAD.model_copy(update=other), 100).scheduled_at
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_arrivals_are_poisson_at_the_offered_rate(workers):
    at = np.sort(np.concatenate([s.scheduled_at for s in shares(LOAD, 100, workers)]))
    expected = LOAD.rate * (LOAD.duration + LOAD.warmup)
    assert abs(len(at) - expected) < 4 * np.sqrt(expected)
    assert at.min() >= -LOAD.warmup
    assert at.max() < LOAD.duration
    gaps = np.diff(at)
    # exponential: mean and standard deviation are equal, and gaps do not depend on each other
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.06)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(len(gaps))
    # the counts of 100 ms windows: variance equals mean, which workers with the same seed would double
    counts = np.histogram(at, np.arange(0, LOAD.duration, 0.1))[0]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.25)


def test_workers_draw_different_arrivals():
    first, second, third = (set(s.scheduled_at.tolist()) for s in shares(LOAD, 100, 3))
    assert not first & second | first & third | second & third


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rows", [30, 7000, 100_000])
def test_every_row_is_used_once_before_any_is_used_twice(workers, rows):
    parts = shares(LOAD, rows, workers)
    at = np.concatenate([s.scheduled_at for s in parts])
    row = np.concatenate([s.row for s in parts])[np.argsort(at)][np.sum(at < 0) :]
    for begin in range(0, len(row), rows):
        turn = row[begin : begin + rows]
        assert len(set(turn.tolist())) == len(turn)
    assert row.min() >= 0
    assert row.max() < rows


def test_the_warm_up_uses_other_rows_than_the_run_begins_with():
    schedule = draw(LOAD, 100_000)
    warm = schedule.scheduled_at < 0
    assert 0 < warm.sum() == len(schedule) - schedule.measured
    assert not set(schedule.row[warm].tolist()) & set(schedule.row[~warm].tolist())


def test_either_version_goes_first_about_as_often():
    first = draw(LOAD, 100).candidate_first
    assert abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(first))


@pytest.mark.parametrize(("rows", "worker", "workers"), [(0, 0, 1), (10, 2, 2), (10, -1, 2)])
def test_impossible_shares_are_refused(rows, worker, workers):
    with pytest.raises(ValueError, match="no share"):
        draw(LOAD, rows, worker, workers)


SHAPED = Load.model_validate(
    {
        "phases": [
            {"duration": 20, "rate": 50},
            {"duration": 20, "rate": 50, "to": 400},  # a ramp
            {"duration": 10, "rate": 0},  # a pause
            {"duration": 10, "rate": 0, "to": 100},  # from nothing
        ],
        "warmup": 4,
    }
)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_arrivals_follow_the_phases(workers, seed):
    load = SHAPED.model_copy(update={"seed": seed})
    at = np.sort(np.concatenate([s.scheduled_at for s in shares(load, 100, workers)]))
    assert at[0] >= -4
    assert at[-1] < 60
    edges = np.array([-4.0, *range(0, 40, 5), 40, 50, 55, 60])
    seen = np.histogram(at, edges)[0]
    cumulated = [load.expected(edge) if edge >= 0 else -200.0 for edge in edges]
    expected = np.diff(cumulated)
    assert seen[edges[:-1] == 40] == 0
    some = expected > 0
    statistic = float(((seen - expected)[some] ** 2 / expected[some]).sum())
    assert statistic < stats.chi2.ppf(0.9999, some.sum())


def test_within_a_steady_phase_arrivals_are_uniform_and_within_a_ramp_as_its_rate():
    at = draw(SHAPED, 100).scheduled_at
    steady, ramp = at[(at >= 0) & (at < 20)] / 20, (at[(at >= 20) & (at < 40)] - 20) / 20
    assert stats.kstest(steady, "uniform").pvalue > 0.001
    # the share of the ramp's arrivals until part x of it
    assert stats.kstest(ramp, lambda x: (50 * x + 175 * x**2) / 225).pvalue > 0.001
    assert stats.kstest(ramp, "uniform").pvalue < 1e-6


REPLAY = Load(replay="log", phases=[{"duration": 30, "rate": 200}, {"duration": 10, "rate": 0}], warmup=2)
LOGGED = Recorded(
    np.sort(np.random.default_rng(3).uniform(0, 30, 6_000)),
    np.random.default_rng(4).integers(0, 50, 6_000, dtype=np.int32),
    np.arange(6_000, dtype=np.int32),
)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_replay_sends_the_log_to_the_instant(workers):
    drawn = [draw(REPLAY, 50, worker, workers, LOGGED) for worker in range(workers)]
    sent = [
        (at, row, user) for s in drawn for at, row, user in zip(s.scheduled_at, s.row, s.user, strict=True)
    ]
    measured = sorted(one for one in sent if one[0] >= 0)
    assert measured == list(zip(LOGGED.times, LOGGED.rows, LOGGED.users, strict=True))
    assert all((np.diff(s.scheduled_at) >= 0).all() for s in drawn)
    # each worker has its share of every burst
    assert {s.measured for s in drawn} == {6_000 // workers}
    warmup = [one for one in sent if one[0] < 0]
    assert abs(len(warmup) - 400) < 4 * np.sqrt(400)
    assert all(-2 <= at < 0 and 0 <= row < 50 for at, row, _ in warmup)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_replay_sends_requests_of_several_rows_as_logged(workers):
    sizes = np.random.default_rng(5).integers(1, 9, 6_000, dtype=np.int32)
    rows = np.random.default_rng(6).integers(0, 50, sizes.sum(), dtype=np.int32)
    logged = Recorded(LOGGED.times, rows, LOGGED.users, sizes)
    groups = [tuple(group.tolist()) for group in np.split(rows, np.cumsum(sizes)[:-1])]
    drawn = [draw(REPLAY, 50, worker, workers, logged) for worker in range(workers)]
    sent = sorted(
        (at, group, user)
        for s in drawn
        for at, group, user in zip(s.scheduled_at, s.groups, s.user, strict=True)
    )
    assert [one for one in sent if one[0] >= 0] == list(zip(LOGGED.times, groups, LOGGED.users, strict=True))
    # the warm-up sends requests of the log
    assert {group for at, group, _ in sent if at < 0} <= set(groups)
    assert len([at for at, *_ in sent if at < 0]) > 300


def test_a_replay_needs_a_log():
    with pytest.raises(ExperimentError, match="by loadproof compare alone"):
        draw(REPLAY, 50)


SIZES = {"rate": 40, "duration": 10, "warmup": 2}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sizes", [8, {"1": 5, "4": 3, "30": 2}])
def test_requests_take_the_next_rows_so_that_each_is_sent_once_before_any_is_twice(sizes, workers):
    drawn = shares(Load(**SIZES, rows_per_request=sizes), 600, workers)
    everyone = sorted((at, group) for s in drawn for at, group in zip(s.scheduled_at, s.groups, strict=True))
    assert {len(group) for _, group in everyone} == ({8} if sizes == 8 else {1, 4, 30})
    assert all(len(set(group)) == len(group) for _, group in everyone)
    sent = [row for at, group in everyone if at >= 0 for row in group]
    assert len(sent) > 1200
    for begin in range(0, len(sent) - 600, 600):
        assert sorted(sent[begin : begin + 600]) == list(range(600))
    if sizes == 8:
        # not the same rows together in the next pass: a cache would know the answer
        assert len({group for _, group in everyone}) == len(everyone)


def test_the_sizes_of_requests_are_drawn_by_their_weights():
    size = draw(Load(rate=400, duration=50, rows_per_request={"1": 0.7, "8": 2.1}), 100).size
    share = np.mean(size == 8)
    assert abs(share - 0.75) < 4 * np.sqrt(0.75 * 0.25 / len(size))


def test_the_rows_of_some_requests():
    schedule = draw(Load(**SIZES, rows_per_request=3), 600)
    late = schedule.scheduled_at >= 10
    assert schedule.rows_of(late).tolist() == [
        row for group, is_late in zip(schedule.groups, late, strict=True) if is_late for row in group
    ]
    assert schedule.requests == list(range(len(schedule)))


def test_a_request_of_all_rows_is_refused():
    with pytest.raises(ExperimentError, match="up to 9, and the evaluation set has 9 rows"):
        draw(Load(rows_per_request=9), 9)


class Comma(Codec):
    """A codec that shows what it was given."""

    path = "/predict"

    def encode(self, row):
        return ",".join(f"{value:g}" for value in row).encode()

    def encode_rows(self, rows):
        return b";".join(map(self.encode, rows))

    def decode(self, body):
        return body.decode()


def schedule(rows, size=None):
    sizes = None if size is None else np.array(size, np.int32)
    arrivals = np.arange(len(rows if size is None else size), dtype=float)
    return Schedule(arrivals, np.array(rows, np.int32), arrivals > 0, size=sizes)


def test_only_the_rows_that_are_sent_are_encoded_once():
    data = Dataset(
        path=Path("e.parquet"),
        matrix=np.arange(6000.0).reshape(3000, 2),
        names=("a", "b"),
        labels=np.asarray(["0"] * 3000),
        values=None,
        columns=pa.table({}),
    )
    pauses = []
    bodies = encode_bodies(data, Comma(), schedule([7, 2, 7]), lambda: pauses.append(7))
    assert bodies == {7: b"14,15", 2: b"4,5"}
    assert not pauses
    # a long preparation lets others run in between
    long = encode_bodies(data, Comma(), schedule(range(1200)), lambda: pauses.append(1))
    assert (len(long), pauses) == (1200, [1, 1])
    # requests of several rows, by their places
    several = encode_bodies(data, Comma(), schedule([7, 2, 7], size=[2, 1]), lambda: None)
    assert several == {0: b"14,15;4,5", 1: b"14,15"}
