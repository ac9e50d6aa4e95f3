"""Batching: rows of requests that wait at the same time go through the model together.

Nobody waits for a batch to fill. A request that finds the model idle runs at once, on its own thread; while
it runs, others queue. When it ends, the first in the queue becomes the leader and takes what is queued along.
So a lone request pays a few uncontended locks, and batches grow only as far as the model falls behind.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from services.model_server.columns import Rows, concatenate
from services.model_server.errors import DeadlinePassed, QueueFull
from services.model_server.runtime import Results, Run


class _Work:
    """One request's rows on their way through the batcher; guarded by the batcher's lock."""

    __slots__ = ("deadline", "error", "leads", "outputs", "results", "rows", "wake")

    def __init__(self, rows: Rows, outputs: frozenset[str], deadline: float) -> None:
        self.rows = rows
        self.outputs = outputs
        self.deadline = deadline
        self.leads = False
        self.results: Results | None = None
        self.error: Exception | None = None
        # a held lock is the cheapest thing that a thread can wait for with a time-out
        self.wake = threading.Lock()
        self.wake.acquire()


class Batcher:
    """Runs a model for many threads, one batch at a time.

    Args:
        run: the model: (rows, names of outputs) to an array per output, row by row.
        max_rows: the most rows of one batch; a larger request goes alone.
        max_queue: the most requests that wait.
        clock: seconds, monotonic; deadlines are on it.
    """

    def __init__(
        self, run: Run, *, max_rows: int, max_queue: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._max_rows = max_rows
        self._max_queue = max_queue
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[_Work] = deque()
        self._busy = False

    @property
    def depth(self) -> int:
        """Requests that wait in the queue now."""
        return len(self._queue)

    def check(self) -> None:
        """Refuse before anything was spent on a request that has no place.

        Raises:
            QueueFull: too many requests wait.
        """
        if len(self._queue) >= self._max_queue:
            raise QueueFull

    def submit(self, rows: Rows, outputs: frozenset[str], deadline: float) -> Results:
        """Run the model on the rows of one request; blocks until they are done.

        Args:
            rows: a matrix of shape (rows, ...), or columns.
            outputs: names of the wanted outputs; the answer may hold more.
            deadline: when an answer is no longer wanted, on ``clock``.

        Raises:
            QueueFull: too many requests wait.
            DeadlinePassed: the model had no answer in time.
            Exception: what the model raised for these rows.
        """
        work = _Work(rows, outputs, deadline)
        with self._lock:
            if self._busy:
                if len(self._queue) >= self._max_queue:
                    raise QueueFull
                self._queue.append(work)
            else:
                self._busy = work.leads = True
        if not work.leads:
            self._wait(work)
        if work.leads:
            self._lead(work)
        if work.error:
            raise work.error
        assert work.results is not None  # noqa: S101 - whoever ran the batch set one of the two
        return work.results

    def _wait(self, work: _Work) -> None:
        if work.wake.acquire(timeout=max(work.deadline - self._clock(), 0)):
            return
        with self._lock:
            # the leader may have come first: then there is an answer, or a batch to lead, after all
            if work.leads or work.results is not None or work.error is not None:
                return
            if work in self._queue:
                self._queue.remove(work)
            work.error = DeadlinePassed()

    def _lead(self, first: _Work) -> None:
        with self._lock:
            batch = self._take(first)
        self._run_batch(batch)
        with self._lock:
            self._busy = bool(self._queue)
            if self._queue:
                heir = self._queue.popleft()
                heir.leads = True
                heir.wake.release()
        for work in batch:
            if work is not first:
                work.wake.release()

    def _take(self, first: _Work) -> list[_Work]:
        """The next batch: ``first`` and what is queued, as far as it fits; what came too late is dropped."""
        batch: list[_Work] = []
        rows = 0
        now = self._clock()
        work: _Work | None = first
        while work is not None:
            if work.deadline < now:
                work.error = DeadlinePassed()
                if work is not first:
                    work.wake.release()
            else:
                batch.append(work)
                rows += len(work.rows)
            fits = self._queue and rows + len(self._queue[0].rows) <= self._max_rows
            work = self._queue.popleft() if fits else None
        return batch

    def _run_batch(self, batch: Sequence[_Work]) -> None:
        if not batch:
            return
        try:
            if len(batch) == 1:
                batch[0].results = self._run(batch[0].rows, batch[0].outputs)
                return
            rows = concatenate([work.rows for work in batch])
            results = self._run(rows, frozenset().union(*(work.outputs for work in batch)))
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            # one request's rows broke the batch, or fit no other's: alone, each gets its answer or its error
            for work in batch:
                self._run_batch([work])
            return
        start = 0
        for work in batch:
            stop = start + len(work.rows)
            work.results = {name: array[start:stop] for name, array in results.items()}
            start = stop


class Inline:
    """Runs a model at once, on the request's own thread: for models that cost less than a hand-over."""

    depth = 0

    def __init__(self, run: Run, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock

    def check(self) -> None:
        """Nobody waits here, so there is a place."""

    def submit(self, rows: Rows, outputs: frozenset[str], deadline: float) -> Results:
        """Run the model on the rows of one request, as ``Batcher.submit`` does.

        Raises:
            DeadlinePassed: it has passed before the model runs.
            Exception: what the model raised for these rows.
        """
        if self._clock() > deadline:
            raise DeadlinePassed
        return self._run(rows, outputs)
