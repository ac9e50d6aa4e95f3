"""Servers as queues whose capacity is known: what a trial at some rate would show, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtest.capacity.search import Trial

LIMIT = 0.1
WARMUP = 1.0
Floats = NDArray[np.float64]
Serve = Callable[[int, np.random.Generator], Floats]


@dataclass(frozen=True)
class Queue:
    """First come, first served, one at a time; ``serve(n, rng)`` gives service times in seconds."""

    name: str
    serve: Serve
    quota: float | None = None
    """CPU seconds in each period of 100 ms."""

    def latencies(self, rate: float, seconds: float, rng: np.random.Generator) -> Floats:
        """Latencies of Poisson arrivals over ``seconds`` after a warm-up, in seconds."""
        count = rng.poisson(rate * (WARMUP + seconds))
        at = np.sort(rng.uniform(0, WARMUP + seconds, count))
        work = self.serve(count, rng)
        return (self._done(at, work) - at)[at >= WARMUP]

    def _done(self, at: Floats, work: Floats) -> Floats:
        if self.quota is None:
            total: Floats = np.cumsum(work)
            ends: Floats = total + np.maximum.accumulate(at - (total - work))
            return ends
        done, free, period, used = np.empty_like(at), 0.0, -1, 0.0
        for i, (moment, need) in enumerate(zip(at.tolist(), work.tolist(), strict=True)):
            start = max(moment, free)
            now = int(start / 0.1)
            if now > period:
                period, used = now, 0.0
            start = max(start, period * 0.1)
            used += need
            finish = start + need
            while used > self.quota:  # stopped for the rest of the period
                used -= self.quota
                period += 1
                finish = period * 0.1 + used
            done[i] = free = finish
        return done

    def trial(self, rate: float, seconds: float, rng: np.random.Generator) -> Trial:
        """What a trial at this rate would show."""
        latency = self.latencies(rate, seconds, rng)
        # a trial is ended within a second of a queue that holds four times what the limit allows
        late = int((latency > LIMIT).sum())
        return Trial(rate, len(latency), late, 0, overloaded=bool(late > 0.5 * len(latency)))

    def capacity(self, allowed: float = 0.01, arrivals: int = 400_000) -> float:
        """The rate at which the share of late answers is ``allowed``, by long runs."""
        low, high = 1.0, 1 / float(self.serve(1000, np.random.default_rng(0)).mean())
        for _ in range(16):
            rate = (low * high) ** 0.5
            latency = self.latencies(rate, arrivals / rate, np.random.default_rng(7))
            low, high = (rate, high) if (latency > LIMIT).mean() <= allowed else (low, rate)
        return (low * high) ** 0.5


def fixed(seconds: float) -> Serve:
    """Each request takes ``seconds``."""
    return lambda n, _: np.full(n, seconds)


def spread(seconds: float, sigma: float) -> Serve:
    """Log-normal with this mean, and ``sigma`` of its logarithm."""
    return lambda n, rng: seconds * rng.lognormal(-sigma * sigma / 2, sigma, n)


QUEUES = (
    Queue("M/D/1, 5 ms", fixed(0.005)),
    Queue("M/D/1, 20 ms", fixed(0.02)),
    Queue("M/G/1, log-normal 4 ms", spread(0.004, 0.6)),
    Queue("CPU quota 25 ms in 100 ms, 1 ms", spread(0.001, 0.3), quota=0.025),
)


def sweep_requests(capacity: float, seconds: float = 30, step: float = 0.05) -> float:
    """Requests of a linear sweep: in steps of 5% of the capacity, 30 s each, to the first step beyond it."""
    return sum(step * k * capacity * seconds for k in range(1, round(1 / step) + 2))
