"""The simulator against arithmetic and against a plain event loop: a bent ruler would calibrate nothing."""

import heapq

import numpy as np
import pytest

from benchmarks.calibration.simulator import CALM, HOSTS, PERIOD, WORKERS, _queue, simulate


def event_loop(arrived: np.ndarray, demand: np.ndarray) -> list[float]:
    """Four workers, first come first served, no quota."""
    free, done = [0.0] * WORKERS, []
    for moment, need in zip(arrived, demand, strict=True):
        end = max(moment, heapq.heappop(free)) + need
        heapq.heappush(free, end)
        done.append(end)
    return done


def test_queue_is_an_event_loop_where_the_quota_does_not_bind():
    rng = np.random.default_rng(1)
    arrived, demand = np.sort(rng.uniform(0, 10, (3, 900)), axis=1), rng.exponential(0.03, (3, 900))
    done = _queue(arrived, demand, quota=1e9)
    for lane in range(3):
        assert done[lane] == pytest.approx(event_loop(arrived[lane], demand[lane]))


@pytest.mark.parametrize(
    ("arrived", "demand", "done"),
    [
        ([0.0], [0.02], [0.02]),  # within the quota of 25 ms
        ([0.0], [0.03], [0.105]),  # 25 ms now, 5 ms in the next period
        ([0.0], [0.08], [0.305]),  # 25 + 25 + 25 + 5 ms
        ([0.0, 0.01], [0.02, 0.02], [0.02, 0.115]),  # the second finds 5 ms left
        ([0.0, 0.15], [0.02, 0.02], [0.02, 0.17]),  # a new period, a new quota
        ([0.0, 0.01, 0.2], [0.02, 0.02, 0.02], [0.02, 0.115, 0.22]),
    ],
)
def test_quota_stops_work_for_the_rest_of_the_period(arrived, demand, done):
    assert _queue(np.array([arrived]), np.array([demand]), 0.025)[0] == pytest.approx(done)


def test_quota_bounds_the_work_of_each_period():
    rng = np.random.default_rng(2)
    arrived, demand = np.sort(rng.uniform(0, 5, (1, 500)), axis=1), np.full((1, 500), 0.004)
    done = _queue(arrived, demand, 0.025)
    assert np.bincount((done[0] // PERIOD).astype(int)).max() <= 7  # 25 ms and one carried over


@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.name)
def test_versions_are_exchangeable_and_seeded(host):
    runs = simulate(host, 4, 20.0, 100.0, np.random.default_rng(3))
    again = simulate(host, 4, 20.0, 100.0, np.random.default_rng(3))
    assert runs.at.shape == runs.stable.shape == runs.candidate.shape == (4, 2000)
    assert np.all(np.diff(runs.at, axis=1) >= 0)
    assert runs.stable.min() > 0
    assert np.array_equal(runs.candidate, again.candidate)
    assert not np.array_equal(runs.stable, runs.candidate)


def test_a_calm_host_serves_its_demand():
    runs = simulate(CALM, 10, 30.0, 50.0, np.random.default_rng(4))
    assert np.median(runs.stable) == pytest.approx(CALM.demand, rel=0.1)
