"""Asking each version for its baseline answers: each row of the workload, one request at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import NamedTuple

import gevent
import pyarrow as pa

from loadtest.data.baseline import BaselineAnswers, Comparison
from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.baseline.row_choice import rows_to_ask
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import draw
from loadtest.load.sending.http_client import Client
from loadtest.load.sending.request_bodies import Payloads
from loadtest.load.sending.response import read
from loadtest.load.sending.role_clients import client_of

ASKED_AGAIN = 20
"""Rows that are asked a second time: a version that contradicts itself then has no baseline."""

_TICK = 1.0


class BaselineReach(NamedTuple):
    """How far the baseline answers of one version reach.

    Args:
        rows: distinct rows that the load will measure.
        asked: those that the time sufficed for.
        answered: those that were answered.
        requests: requests sent in all.
        seconds: how long it took.
        steady: asked again, it gave the same answers; where it did not, its answers are no baseline answers.
    """

    rows: int
    asked: int
    answered: int
    requests: int
    seconds: float
    steady: bool


class Asking:
    """One version, asked row by row.

    Args:
        role: its name.
        codec: its protocol.
        dataset: the evaluation set.
        rows: the rows, in the order in which they are asked.
        client: the connection; never used for two requests at once.
        run: names the run in request ids.
    """

    def __init__(
        self, role: Role, codec: Codec, dataset: Dataset, rows: list[int], client: Client, run: str
    ) -> None:
        self._role = role
        self._codec = codec
        self._dataset = dataset
        self._rows = rows
        self._client = client
        self._run = run
        self._head = client.head(codec.path, role)
        self._requests = 0
        self._steady = True
        self._seconds = 0.0
        self.asked = 0
        self.answers: dict[int, str] = {}

    @property
    def reach(self) -> BaselineReach:
        """How far it has come."""
        answered = len(self.answers)
        return BaselineReach(
            len(self._rows), self.asked, answered, self._requests, self._seconds, self._steady
        )

    def run(self, until: float, is_wanted: Callable[[], bool]) -> None:
        """Ask until all rows are answered, ``until`` (``perf_counter``) has passed, or nobody wants more."""
        began = perf_counter()
        payloads = Payloads(self._dataset, self._codec)
        for row in self._rows:
            if perf_counter() >= until or not is_wanted():
                break
            answer = self._ask(payloads, row)
            self.asked += 1
            if answer is not None:
                self.answers[row] = answer
        again = [row for row in self._rows[:ASKED_AGAIN] if row in self.answers]
        if again and is_wanted():
            answers = pa.array([self._ask(payloads, row) for row in again], pa.string())
            same = Comparison(self._dataset, self.answers).agrees(pa.array(again, pa.int32()), answers)
            self._steady = False not in same.to_pylist()
        self._seconds = perf_counter() - began
        self._client.close()

    def _ask(self, payloads: Payloads, row: int) -> str | None:
        self._requests += 1
        request_id = f"{self._run}-{self._role}-baseline-{self._requests}".encode()
        answer = self._client.post(self._head, payloads.encode(row), request_id)
        return read(answer, self._role, self._codec)[1]


def ask_baseline(
    experiment: Experiment,
    dataset: Dataset,
    codecs: Mapping[Role, Codec],
    host: str,
    run: str,
    workers: int,
    is_wanted: Callable[[], bool],
    show: Callable[[int, int], None],
) -> tuple[BaselineAnswers, dict[Role, BaselineReach]]:
    """Ask all versions, each by itself, at the same time as the others.

    Args:
        experiment: says which load will follow, and for how long at most to ask.
        dataset: the evaluation set.
        codecs: per version.
        host: base URL of the target: the path that the load will take.
        run: names the run in request ids.
        workers: how many workers will send.
        is_wanted: whether to go on.
        show: takes, about once a second, the rows answered or given up, and all, over all versions.

    Returns:
        The baseline answers, without the versions that contradict themselves, and how far they reach.
    """
    load = experiment.load
    rows = rows_to_ask([draw(load, len(dataset), worker, workers) for worker in range(workers)], load.seed)
    asking = {
        role: Asking(role, codec, dataset, rows, client_of(role, experiment, host, codec), run)
        for role, codec in codecs.items()
    }
    until = perf_counter() + load.baseline_time
    greenlets = [gevent.spawn(each.run, until, is_wanted) for each in asking.values()]
    while not all(greenlet.ready() for greenlet in greenlets):
        gevent.joinall(greenlets, timeout=_TICK)
        show(sum(each.asked for each in asking.values()), len(rows) * len(asking))
    gevent.joinall(greenlets, raise_error=True)
    reach = {role: each.reach for role, each in asking.items()}
    return {role: each.answers for role, each in asking.items() if reach[role].steady}, reach
