"""Arrivals: every send of a run, drawn before the load starts, and the bodies of its requests.

Arrivals are a Poisson process, the superposition of one independent process per worker: each worker has its
own seed and 1/n of the rate. Where the load has phases, it is non-homogeneous, by time change: a process at
the mean rate, on a clock that runs fast while the rate is high (Çinlar 1975, Introduction to Stochastic
Processes, section 4.7). Rows come from one seeded permutation of the evaluation set, dealt out in the
order of the arrivals of *all* workers, so that every row is used once before any is used twice; a request of
several rows takes the next ones, and how many is drawn, too. A replay is
not drawn: its arrivals are those of the log, dealt out to the workers in turn; only its warm-up is random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.data.recorded import Recorded
from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Load
from loadtest.load.protocols import Codec

_AT_ONCE = 500
_MOST_BYTES = 2**31
"""Of all bodies of a worker for one version: they are in memory while it sends."""


@dataclass(frozen=True)
class Schedule:
    """What one worker sends, in order of time.

    Args:
        scheduled_at: intended sends in seconds since the run began, ascending, shape (arrivals,); the warm-up
            is what lies before zero.
        row: index of each row to send, arrival by arrival, shape (rows,).
        candidate_first: which version of the two gets its request first, shape (arrivals,).
        user: whose request it is, shape (arrivals,); None: nobody in particular's.
        size: how many rows each request has, shape (arrivals,); None: one each.
    """

    scheduled_at: NDArray[np.float64]
    row: NDArray[np.int32]
    candidate_first: NDArray[np.bool_]
    user: NDArray[np.int32] | None = None
    size: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.scheduled_at)

    def rows_of(self, arrivals: NDArray[np.bool_]) -> NDArray[np.int32]:
        """The rows of some of the arrivals, in order; ``arrivals`` marks them, shape (arrivals,)."""
        return self.row[arrivals if self.size is None else np.repeat(arrivals, self.size)]

    @cached_property
    def groups(self) -> list[tuple[int, ...]] | None:
        """The rows of each request; None: one each."""
        if self.size is None:
            return None
        return [tuple(rows.tolist()) for rows in np.split(self.row, np.cumsum(self.size)[:-1])]

    @property
    def requests(self) -> list[int]:
        """What names the body of each request: its row, or of several rows its place in ``groups``."""
        return self.row.tolist() if self.size is None else list(range(len(self)))

    @property
    def measured(self) -> int:
        """The number of arrivals that are not warm-up."""
        return int(np.count_nonzero(self.scheduled_at >= 0))


def draw(
    load: Load, rows: int, worker: int = 0, workers: int = 1, recorded: Recorded | None = None
) -> Schedule:
    """Draw the arrivals of one worker; the same arguments give the same arrivals.

    A Poisson process over ``[-warmup, duration)``: the number is Poisson, the times are uniform at a
    constant rate, and as dense as the rate where it changes. The warm-up is at the rate of the start.

    Args:
        load: rate (arrivals per second, of all workers together) or phases, duration, warm-up and seed.
        rows: number of rows of the evaluation set.
        worker: index of this worker, from 0.
        workers: number of workers that share the rate.
        recorded: the arrivals of a replay.

    Raises:
        ExperimentError: a replay is asked for, and nothing is recorded; or requests of more rows than there
            are.
        ValueError: ``worker`` is none of ``workers``, or there are no rows.
    """
    if not 0 <= worker < workers or rows < 1:
        raise ValueError(f"no share {worker} of {workers} for {rows} rows")
    order, *shares = np.random.SeedSequence(load.seed).spawn(workers + 1)
    if load.replay is not None:
        if recorded is None:
            raise ExperimentError(
                f"[load] replay {load.replay}: a log is replayed by loadproof compare alone; leave it out, "
                "or give [[load.phases]]"
            )
        return _replayed(load, rows, recorded, worker, shares)
    # every worker draws all shares: only so does it know which rows the others use up
    drawn = [_draw_share(load, seed, workers) for seed in shares]
    times = np.concatenate([share.scheduled_at for share in drawn])
    mine = drawn[worker]
    permutation = np.random.default_rng(order).permutation(rows).astype(np.int32)
    # the first arrival after zero takes the first row; the warm-up counts backwards from there
    if load.most_rows == 1:
        everyone = np.sort(times)
        rank = np.searchsorted(everyone, mine.scheduled_at) - np.searchsorted(everyone, 0.0)
        return Schedule(mine.scheduled_at, permutation[rank % rows], mine.candidate_first)
    load.check_request_sizes(rows)
    in_time = np.argsort(times, kind="stable")
    everyone, sizes = times[in_time], np.concatenate([share.size for share in drawn])[in_time]
    taken = np.concatenate([[0], np.cumsum(sizes)])
    begin = taken[np.searchsorted(everyone, mine.scheduled_at)] - taken[np.searchsorted(everyone, 0.0)]
    within = np.arange(mine.size.sum()) - np.repeat(np.cumsum(mine.size) - mine.size, mine.size)
    rank = np.repeat(begin, mine.size) + within
    # each pass begins a row further: of one size, the same rows together would be the very same request
    rows_ = permutation[(rank + rank // rows) % rows]
    return Schedule(mine.scheduled_at, rows_, mine.candidate_first, size=mine.size)


def _replayed(
    load: Load, rows: int, recorded: Recorded, worker: int, shares: list[np.random.SeedSequence]
) -> Schedule:
    """A worker's share of a log, after a random warm-up at the rate of its start."""
    rng = np.random.default_rng(shares[worker])
    early = rng.poisson(load.warmup * load.first_rate / len(shares))
    mine = np.arange(worker, len(recorded), len(shares))
    users = None
    if recorded.users is not None:
        users = np.concatenate([rng.choice(recorded.users, early), recorded.users[mine]])
    at = np.concatenate([np.sort(rng.uniform(-load.warmup, 0.0, early)), recorded.times[mine]])
    if recorded.sizes is None:
        sent = np.concatenate([rng.integers(0, rows, early, dtype=np.int32), recorded.rows[mine]])
        return Schedule(at, sent, rng.random(len(at)) < 0.5, users)
    # the warm-up sends requests of the log
    requests = np.concatenate([rng.integers(0, len(recorded), early), mine])
    first = rng.random(len(at)) < 0.5
    return Schedule(at, recorded.rows_of(requests), first, users, recorded.sizes[requests])


class _Share(NamedTuple):
    """The arrivals of one worker, as ``Schedule`` has them."""

    scheduled_at: NDArray[np.float64]
    candidate_first: NDArray[np.bool_]
    size: NDArray[np.int32]


def _draw_share(load: Load, seed: np.random.SeedSequence, workers: int) -> _Share:
    rng = np.random.default_rng(seed)
    warmup = load.warmup * load.first_rate / load.rate
    count = rng.poisson(load.rate / workers * (warmup + load.duration))
    scheduled_at = _on_the_clock(load, np.sort(rng.uniform(-warmup, load.duration, count)))
    candidate_first = rng.random(count) < 0.5
    sizes, weights = np.array(load.rows_per_request).T
    size = rng.choice(sizes, count, p=weights / weights.sum()) if load.most_rows > 1 else np.ones(count)
    return _Share(scheduled_at, candidate_first, size.astype(np.int32))


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


def encode_bodies(
    dataset: Dataset, codec: Codec, schedule: Schedule, pause: Callable[[], None]
) -> dict[int, bytes]:
    """The body of every distinct request, as ``schedule.requests`` names them; ``pause`` is called every few
    hundred, so that a worker goes on telling the master that it lives.

    Raises:
        ExperimentError: requests of several rows are too many bytes.
    """
    bodies: dict[int, bytes] = {}
    size, groups, cells = 0, schedule.groups, dict[int, list[object]]()
    for index, request in enumerate(sorted(set(schedule.requests)), start=1):
        if groups is None:
            body = codec.body_of(dataset, request)
        else:
            for row in groups[request]:
                if row not in cells:
                    cells[row] = codec.cells_of(dataset, row)
            body = codec.encode_rows([cells[row] for row in groups[request]])
            size += len(body)
        bodies[request] = body
        if size > _MOST_BYTES:
            raise ExperimentError(
                f"the requests of this worker are more than {_MOST_BYTES >> 30} GiB; lower [load] "
                "rows_per_request, the rate or the duration, or add workers"
            )
        if index % _AT_ONCE == 0:
            pause()
    return bodies
