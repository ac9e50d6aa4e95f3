"""Batching: every answer to its own request, no waiting when idle, bounds kept."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_server.errors import DeadlinePassed, QueueFull
from services.model_server.http.batching import Batcher, Inline
from tests.waiting import HUNG, eventually

PREDICT = frozenset(["predict"])
FAR = time.monotonic() + 3600


class Model:
    """Doubles its rows; keeps the sizes of its batches; raises on negative rows; waits at its gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[int] = []
        self.running = 0
        self.threads: list[int] = []

    def __call__(self, rows: Any, outputs: frozenset[str]) -> dict[str, Any]:
        self.running += 1
        assert self.running == 1, "two batches ran at the same time"
        self.threads.append(threading.get_ident())
        self.entered.release()
        assert self.gate.wait(HUNG)
        self.batches.append(len(rows))
        self.running -= 1
        if (rows < 0).any():
            raise ValueError("negative")
        return dict.fromkeys(outputs, rows[:, 0] * 2)


def rows(*values: float) -> Any:
    return np.array(values, float).reshape(-1, 1)


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def test_a_lone_request_runs_on_its_own_thread() -> None:
    model = Model()
    batcher = Batcher(model, max_rows=8, max_queue=8)
    assert batcher.submit(rows(1, 2), PREDICT, FAR)["predict"].tolist() == [2, 4]
    assert model.threads == [threading.get_ident()]


def test_what_waits_goes_together(pool: ThreadPoolExecutor) -> None:
    model = Model()
    batcher = Batcher(model, max_rows=8, max_queue=20)
    model.gate.clear()
    first = pool.submit(batcher.submit, rows(100), PREDICT, FAR)
    assert model.entered.acquire(timeout=HUNG)
    others = []
    for value in range(10):
        others.append(pool.submit(batcher.submit, rows(value), PREDICT, FAR))
        eventually(lambda value=value: batcher.depth == value + 1)
    model.gate.set()
    assert first.result(HUNG)["predict"].tolist() == [200]
    assert [other.result(HUNG)["predict"].tolist() for other in others] == [[2 * v] for v in range(10)]
    # the first alone, then eight rows at most
    assert model.batches == [1, 8, 2]
    assert batcher.depth == 0


def test_a_full_queue_refuses_at_once(pool: ThreadPoolExecutor) -> None:
    model = Model()
    batcher = Batcher(model, max_rows=8, max_queue=2)
    model.gate.clear()
    running = [pool.submit(batcher.submit, rows(1), PREDICT, FAR)]
    assert model.entered.acquire(timeout=HUNG)
    running += [pool.submit(batcher.submit, rows(1), PREDICT, FAR) for _ in range(2)]
    eventually(lambda: batcher.depth == 2)
    with pytest.raises(QueueFull):
        batcher.submit(rows(1), PREDICT, FAR)
    model.gate.set()
    assert all(future.result(HUNG)["predict"].tolist() == [2] for future in running)


def test_what_comes_too_late_is_dropped(pool: ThreadPoolExecutor) -> None:
    model = Model()
    batcher = Batcher(model, max_rows=8, max_queue=8)
    model.gate.clear()
    running = pool.submit(batcher.submit, rows(1), PREDICT, FAR)
    assert model.entered.acquire(timeout=HUNG)
    with pytest.raises(DeadlinePassed):
        batcher.submit(rows(2), PREDICT, time.monotonic() + 0.01)
    assert batcher.depth == 0
    model.gate.set()
    assert running.result(HUNG)["predict"].tolist() == [2]
    # the model never saw the late one, and the batcher goes on
    assert batcher.submit(rows(3), PREDICT, FAR)["predict"].tolist() == [6]
    assert model.batches == [1, 1]


def test_an_heir_that_is_late_still_leads_the_others(pool: ThreadPoolExecutor) -> None:
    """The clock stands still for whoever waits, and has jumped when the next batch is taken."""
    model = Model()
    now = [0.0]
    batcher = Batcher(model, max_rows=8, max_queue=8, clock=lambda: now[0])
    model.gate.clear()
    first = pool.submit(batcher.submit, rows(1), PREDICT, 1000)
    assert model.entered.acquire(timeout=HUNG)
    late = pool.submit(batcher.submit, rows(2), PREDICT, 100)
    eventually(lambda: batcher.depth == 1)
    other = pool.submit(batcher.submit, rows(3), PREDICT, 1000)
    eventually(lambda: batcher.depth == 2)
    now[0] = 500
    model.gate.set()
    assert first.result(HUNG)["predict"].tolist() == [2]
    with pytest.raises(DeadlinePassed):
        late.result(HUNG)
    assert other.result(HUNG)["predict"].tolist() == [6]
    assert model.batches == [1, 1]


def test_one_bad_request_does_not_spoil_its_batch(pool: ThreadPoolExecutor) -> None:
    model = Model()
    batcher = Batcher(model, max_rows=8, max_queue=8)
    model.gate.clear()
    futures = [pool.submit(batcher.submit, rows(1), PREDICT, FAR)]
    assert model.entered.acquire(timeout=HUNG)
    for value in (2, -1, 3):
        futures.append(pool.submit(batcher.submit, rows(value), PREDICT, FAR))
        eventually(lambda: batcher.depth == len(futures) - 1)
    model.gate.set()
    assert futures[1].result(HUNG)["predict"].tolist() == [4]
    with pytest.raises(ValueError, match="negative"):
        futures[2].result(HUNG)
    assert futures[3].result(HUNG)["predict"].tolist() == [6]


REQUESTS = st.lists(
    st.tuples(
        # rows of one request, and what it asks for
        st.lists(st.integers(-1, 1000), min_size=1, max_size=6),
        st.sampled_from([PREDICT, frozenset(["predict", "predict_proba"])]),
    ),
    min_size=1,
    max_size=120,
)


@given(requests=REQUESTS, max_rows=st.integers(1, 30), threads=st.integers(1, 24))
def test_every_answer_to_its_own_request(requests: Any, max_rows: int, threads: int) -> None:
    model = Model()
    batcher = Batcher(model, max_rows=max_rows, max_queue=200)

    def one(request: Any) -> Any:
        values, outputs = request
        try:
            return {
                name: array.tolist() for name, array in batcher.submit(rows(*values), outputs, FAR).items()
            }
        except ValueError:
            return "negative"

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(one, requests))
    for (values, outputs), answer in zip(requests, answers, strict=True):
        if min(values) < 0:
            assert answer == "negative"
        else:
            assert outputs <= set(answer)
            assert all(answer[name] == [2 * value for value in values] for name in outputs)
    largest = max(len(values) for values, _ in requests)
    assert max(model.batches) <= max(max_rows, largest)
    assert batcher.depth == 0


def test_heavy_concurrency_with_deadlines_and_a_small_queue() -> None:
    """24 threads, 6,000 requests: each gets its own rows, or is refused; nobody hangs, nothing is left."""
    batcher = Batcher(Model(), max_rows=16, max_queue=8)
    start = threading.Barrier(24)

    def many(worker: int) -> tuple[int, int]:
        right = refused = 0
        start.wait(HUNG)
        for request in range(250):
            value = worker * 1000 + request
            try:
                patience = 0.0005 if request % 3 else HUNG
                answer = batcher.submit(rows(value, value + 0.5), PREDICT, time.monotonic() + patience)
                right += answer["predict"].tolist() == [2 * value, 2 * value + 1]
            except (QueueFull, DeadlinePassed):
                refused += 1
        return right, refused

    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(many, range(24)))
    assert sum(right + refused for right, refused in results) == 6000
    assert sum(right for right, _ in results) > 0
    assert batcher.depth == 0
    assert batcher.submit(rows(1), PREDICT, FAR)["predict"].tolist() == [2]


def test_a_request_that_has_no_place_is_refused_before_it_is_read(pool: ThreadPoolExecutor) -> None:
    model = Model()
    batcher = Batcher(model, max_rows=8, max_queue=1)
    batcher.check()
    model.gate.clear()
    running = [pool.submit(batcher.submit, rows(1), PREDICT, FAR)]
    assert model.entered.acquire(timeout=HUNG)
    # running is not waiting
    batcher.check()
    running.append(pool.submit(batcher.submit, rows(1), PREDICT, FAR))
    eventually(lambda: batcher.depth == 1)
    with pytest.raises(QueueFull):
        batcher.check()
    model.gate.set()
    assert all(future.result(HUNG)["predict"].tolist() == [2] for future in running)


def test_inline_runs_at_once_and_keeps_deadlines() -> None:
    model, now = Model(), [0.0]
    inline = Inline(model, clock=lambda: now[0])
    inline.check()
    assert inline.submit(rows(1, 2), PREDICT, 5)["predict"].tolist() == [2, 4]
    now[0] = 6
    with pytest.raises(DeadlinePassed):
        inline.submit(rows(1), PREDICT, 5)
    with pytest.raises(ValueError, match="negative"):
        inline.submit(rows(-1), PREDICT, 7)
    assert (inline.depth, model.batches, model.threads) == (0, [2, 1], [threading.get_ident()] * 2)
