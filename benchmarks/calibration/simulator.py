"""Two copies of one model server under duet traffic, on hosts of growing noise.

A version has four workers and a CPU quota in periods of 100 ms. Its host makes time itself uneven: the
speed at which work gets done drifts, drops while a neighbour is busy, and is zero in a pause. So each
version's queue is simulated on its own clock of work done, and moments are mapped between that clock and
the wall's. Drift and part of the neighbours are shared by both versions, pauses are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WORKERS = 4
PERIOD = 0.1
GRID = 0.005
"""Seconds between two points at which a host's speed may change."""
STOPPED = 1e-7
"""Speed in a pause: not zero, so that clocks stay invertible."""


class Episodes(NamedTuple):
    """Something that happens at random: how often a second, how long on average, how long at most, in s."""

    rate: float
    mean: float
    longest: float


@dataclass(frozen=True)
class Host:
    """A kind of machine.

    Args:
        name: what the tables call it.
        demand: median CPU seconds of a request.
        spread: sigma of the log-normal demand.
        quota: CPU seconds in each period of 100 ms.
        drift: standard deviation of the logarithm of speed, over about half a minute, shared.
        neighbour: episodes in which a neighbour takes part of the CPU.
        slowed: speed while it does.
        shared: share of the neighbours that slow both versions at once.
        pause: stops of one version (garbage collection, page faults, the scheduler).
        surge: episodes of twice the arrival rate.
    """

    name: str
    demand: float
    spread: float
    quota: float
    drift: float
    neighbour: Episodes
    slowed: float
    shared: float
    pause: Episodes
    surge: Episodes


CALM = Host(
    "calm", 0.0012, 0.45, 0.1, 0.03, Episodes(1 / 30, 0.3, 1.0), 0.85, 0.6, Episodes(1 / 20, 0.005, 0.01),
    Episodes(1 / 30, 1.0, 3.0),
)  # fmt: skip
HARSH = Host(
    "harsh", 0.0012, 0.5, 0.1, 0.10, Episodes(1 / 10, 0.8, 3.0), 0.6, 0.7, Episodes(1 / 1.5, 0.008, 0.03),
    Episodes(1 / 30, 1.0, 3.0),
)  # fmt: skip
# kept apart: neither the tests nor their constants were chosen by looking at this one
ROUGH = Host(
    "rough", 0.0012, 0.6, 0.1, 0.20, Episodes(1 / 12, 1.5, 6.0), 0.6, 0.6, Episodes(1 / 45, 0.15, 0.8),
    Episodes(1 / 20, 1.0, 4.0),
)  # fmt: skip
HOSTS = (CALM, HARSH, ROUGH)


class Runs(NamedTuple):
    """Simulated runs.

    Args:
        at: arrivals in seconds, shape (runs, arrivals), ascending in each run.
        stable: latencies in seconds, same shape.
        candidate: the same; the candidate is the same model, so every difference is chance.
    """

    at: Floats
    stable: Floats
    candidate: Floats


def simulate(host: Host, runs: int, seconds: float, rate: float, rng: np.random.Generator) -> Runs:
    """Simulate ``runs`` runs of both versions at ``rate`` arrivals per second."""
    at, (stable, candidate) = side_by_side(host, runs, 2, seconds, rate, rng)
    return Runs(at, stable, candidate)


def side_by_side(
    host: Host, runs: int, versions: int, seconds: float, rate: float, rng: np.random.Generator
) -> tuple[Floats, list[Floats]]:
    """Runs of any number of versions that get the same arrivals.

    Returns:
        arrivals in seconds, shape (runs, arrivals), and per version the latencies in seconds, same shape.
    """
    at = _arrivals(host, runs, seconds, rate, rng)
    shared = _shared_speed(host, runs, seconds, rng)
    return at, [_latencies(host, at, shared, rng) for _ in range(versions)]


def replicate(
    host: Host, runs: int, copies: int, seconds: float, rate: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """What one version might have shown had a run happened ``copies`` times under the same conditions.

    The copies of a run share its drift and its shared neighbours; all else is drawn again.

    Returns:
        arrivals and latencies in seconds, shape (runs, copies, arrivals).
    """
    at = _arrivals(host, runs * copies, seconds, rate, rng)
    shared = np.repeat(_shared_speed(host, runs, seconds, rng), copies, axis=0)
    latency = _latencies(host, at, shared, rng)
    return at.reshape(runs, copies, -1), latency.reshape(runs, copies, -1)


def _shared_speed(host: Host, runs: int, seconds: float, rng: np.random.Generator) -> Floats:
    """The speed of the machine as both versions meet it, shape (runs, points)."""
    points = int(np.ceil(seconds / GRID)) + 1
    return _drift(host, runs, points, rng) * _slowed(host, host.shared, runs, points, rng)


def _latencies(host: Host, at: Floats, shared: Floats, rng: np.random.Generator) -> Floats:
    """One version's latencies, with neighbours and pauses of its own."""
    runs, points = shared.shape
    wall = np.arange(points, dtype=np.float64) * GRID
    speed = shared * _slowed(host, 1 - host.shared, runs, points, rng)
    speed[_marked(host.pause, runs, points, rng)] = STOPPED
    work = np.cumsum(speed, axis=1) * GRID
    arrived = np.stack([np.interp(a, wall, w) for a, w in zip(at, work, strict=True)])
    demand = host.demand * rng.lognormal(0.0, host.spread, at.shape)
    finished = _queue(arrived, demand, host.quota)
    return np.stack([_to_wall(f, wall, w) for f, w in zip(finished, work, strict=True)]) - at


def _arrivals(host: Host, runs: int, seconds: float, rate: float, rng: np.random.Generator) -> Floats:
    """Poisson arrivals, given their number, with surges."""
    points = int(np.ceil(seconds / GRID)) + 1
    intensity = 1.0 + _marked(host.surge, runs, points, rng)
    total = np.cumsum(intensity, axis=1)
    total = (total - total[:, :1]) / (total[:, -1:] - total[:, :1])
    uniform = np.sort(rng.random((runs, round(rate * seconds))), axis=1)
    grid = np.linspace(0, seconds, points)
    return np.stack([np.interp(u, t, grid) for u, t in zip(uniform, total, strict=True)])


def _drift(host: Host, runs: int, points: int, rng: np.random.Generator) -> Floats:
    """Speed that wanders, correlated over about 30 s, shape (runs, points)."""
    knots = int(np.ceil(points * GRID / 5)) + 2
    keep = np.exp(-5 / 30)
    level = rng.normal(0, 1, (runs, knots))
    for i in range(1, knots):
        level[:, i] = keep * level[:, i - 1] + np.sqrt(1 - keep**2) * level[:, i]
    where = np.arange(points) * GRID / 5
    smooth = np.stack([np.interp(where, np.arange(knots), one) for one in level])
    return np.asarray(np.exp(host.drift * smooth))


def _slowed(host: Host, share: float, runs: int, points: int, rng: np.random.Generator) -> Floats:
    busy = host.neighbour._replace(rate=host.neighbour.rate * share)
    return np.where(_marked(busy, runs, points, rng), host.slowed, 1.0)


def _marked(episodes: Episodes, runs: int, points: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where episodes are under way, shape (runs, points)."""
    marked = np.zeros((runs, points), dtype=bool)
    for run, count in enumerate(rng.poisson(episodes.rate * points * GRID, runs)):
        begins = rng.integers(0, points, count)
        lengths = np.minimum(rng.exponential(episodes.mean, count), episodes.longest)
        for begin, length in zip(begins, np.ceil(lengths / GRID).astype(int), strict=True):
            marked[run, begin : begin + length] = True
    return marked


def _to_wall(work_done: Floats, wall: Floats, work: Floats) -> Floats:
    late = np.maximum(work_done - work[-1], 0.0)  # after the end the host runs at full speed
    return np.asarray(np.interp(work_done, work, wall) + late)


def _queue(arrived: Floats, demand: Floats, quota: float) -> Floats:
    """When each request is done: first come, first served by four workers that share a quota.

    Quota is charged in the order of service; a request that exhausts it goes on in the next period.
    """
    lanes, count = arrived.shape
    lane = np.arange(lanes)
    free = np.zeros((lanes, WORKERS))
    period, used = np.zeros(lanes), np.zeros(lanes)
    done = np.empty((count, lanes))
    for i, (moment, need) in enumerate(zip(arrived.T.copy(), demand.T.copy(), strict=True)):
        worker = free.argmin(axis=1)
        start = np.maximum(moment, free[lane, worker])
        now = np.floor(start / PERIOD)
        used[now > period] = 0.0
        period = np.maximum(period, now)
        start = np.maximum(start, period * PERIOD)
        used += need
        over = used - quota
        throttled = over > 0
        finish = start + need
        if throttled.any():
            skipped = np.floor(over[throttled] / quota)
            period[throttled] += 1 + skipped
            used[throttled] = over[throttled] - skipped * quota
            finish[throttled] = period[throttled] * PERIOD + used[throttled]
        free[lane, worker] = finish
        done[i] = finish
    return done.T
