"""Arrivals: every send of a run, drawn before the load starts.

Arrivals are a Poisson process, the superposition of one independent process per worker: each worker has its
own seed and 1/n of the rate. Where the load has phases, it is non-homogeneous, by time change: a process at
the mean rate, on a clock that runs fast while the rate is high (Çinlar 1975, Introduction to Stochastic
Processes, section 4.7). Rows come from one seeded permutation of the evaluation set, dealt out in the
order of the arrivals of *all* workers, so that every row is used once before any is used twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtest.experiment.experiment import Load


@dataclass(frozen=True)
class Schedule:
    """What one worker sends, in order of time.

    Args:
        scheduled_at: intended sends in seconds since the run began, ascending, shape (arrivals,); the warm-up
            is what lies before zero.
        row: index of the row to send, shape (arrivals,).
        candidate_first: which version of the two gets its request first, shape (arrivals,).
    """

    scheduled_at: NDArray[np.float64]
    row: NDArray[np.int32]
    candidate_first: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.scheduled_at)

    @property
    def measured(self) -> int:
        """The number of arrivals that are not warm-up."""
        return int(np.count_nonzero(self.scheduled_at >= 0))


def draw(load: Load, rows: int, worker: int = 0, workers: int = 1) -> Schedule:
    """Draw the arrivals of one worker; the same arguments give the same arrivals.

    A Poisson process over ``[-warmup, duration)``: the number is Poisson, the times are uniform at a
    constant rate, and as dense as the rate where it changes. The warm-up is at the rate of the start.

    Args:
        load: rate (arrivals per second, of all workers together) or phases, duration, warm-up and seed.
        rows: number of rows of the evaluation set.
        worker: index of this worker, from 0.
        workers: number of workers that share the rate.

    Raises:
        ValueError: ``worker`` is none of ``workers``, or there are no rows.
    """
    if not 0 <= worker < workers or rows < 1:
        raise ValueError(f"no share {worker} of {workers} for {rows} rows")
    order, *shares = np.random.SeedSequence(load.seed).spawn(workers + 1)
    # every worker draws all shares: only so does it know which rows the others use up
    drawn = [_draw_share(load, seed, workers) for seed in shares]
    everyone = np.sort(np.concatenate([times for times, _ in drawn]))
    scheduled_at, candidate_first = drawn[worker]
    # the first arrival after zero takes the first row; the warm-up counts backwards from there
    rank = np.searchsorted(everyone, scheduled_at) - np.searchsorted(everyone, 0.0)
    permutation = np.random.default_rng(order).permutation(rows).astype(np.int32)
    return Schedule(scheduled_at, permutation[rank % rows], candidate_first)


def _draw_share(
    load: Load, seed: np.random.SeedSequence, workers: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    warmup = load.warmup * load.first_rate / load.rate
    count = rng.poisson(load.rate / workers * (warmup + load.duration))
    return _on_the_clock(load, np.sort(rng.uniform(-warmup, load.duration, count))), rng.random(count) < 0.5


def _on_the_clock(load: Load, steady: NDArray[np.float64]) -> NDArray[np.float64]:
    """When the arrivals of a process at the mean rate come at the rate of the phases.

    Args:
        load: whose phases, if any.
        steady: seconds, ascending, shape (n,).
    """
    if not load.phases:
        return steady
    before = np.minimum(steady, 0.0) * (load.rate / load.first_rate if load.first_rate else 0.0)
    ends = np.array([0.0, *load.phase_ends])
    expected = np.array([load.expected(end) for end in ends])
    begun = np.maximum(steady, 0.0) * load.rate
    # of equal expectations the last: none comes in a pause
    place = np.clip(np.searchsorted(expected, begun, side="right") - 1, 0, len(load.phases) - 1)
    rate, end_rate, lasts = np.array([(p.rate, p.end_rate, p.duration) for p in load.phases])[place].T
    rest = np.maximum(begun - expected[place], 0.0)
    # the root of rate t + (end_rate - rate) t^2 / 2 lasts = rest, in the form that needs no slope
    root = rate + np.sqrt(np.maximum(rate**2 + 2 * (end_rate - rate) / lasts * rest, 0.0))
    within = np.divide(2 * rest, root, out=np.zeros_like(rest), where=root > 0)
    return np.where(steady < 0, before, ends[place] + np.minimum(within, lasts))
