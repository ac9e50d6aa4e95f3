"""Asking each version for its baseline answers: each row of the workload, one request at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import gevent
import numpy as np
import pyarrow as pa

from loadtest.data.baseline import BaselineAnswers, Comparison
from loadtest.data.dataset import Dataset
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.baseline.first_rows import FIRST_ROWS, FirstRows
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import Schedule, draw
from loadtest.load.sending.http_client import Client
from loadtest.load.sending.response import read_answer
from loadtest.load.sending.target import client_of
from loadtest.load.sending.task_answers import TaskAnswers

ASKED_AGAIN = 20
"""Rows that are asked a second time: a version that contradicts itself then has no baseline."""

_FIRST_SECONDS = 5.0
"""How long at most the first rows are asked for where nobody wants baseline answers."""
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


class BaselineAsker:
    """One version, asked row by row through a client that is never used for two requests at once.

    ``refused`` says why no load is worth it, where its first rows are looked at (``check``) and show that.
    """

    def __init__(
        self,
        role: Role,
        codec: Codec,
        dataset: Dataset,
        rows: list[int],
        client: Client,
        run: str,
        *,
        check: bool = True,
    ) -> None:
        self._role = role
        self._codec = codec
        self._dataset = dataset
        self._task = TaskAnswers(dataset)
        self._first = FirstRows(role, dataset, len(rows) if check else 0)
        self.refused: UsageError | None = None
        self._rows = rows
        self._client = client
        self._ids = f"{run}-{role}-baseline-"
        self._head = client.head(codec.path, role)
        self._requests = 0
        self.asked = 0
        self.answers: dict[int, str] = {}

    def run(self, until: float, is_wanted: Callable[[], bool], *, again: bool = True) -> BaselineReach:
        """Ask until all rows are answered, ``until`` (``perf_counter``) has passed, or nobody wants more.

        It ends, too, where the first rows show that no load is worth it: see ``refused``. ``again``: ask some
        rows a second time.
        """
        began, steady = perf_counter(), True
        for row in self._rows:
            if self.refused or perf_counter() >= until or not is_wanted():
                break
            error, answer = self._ask(row)
            self.asked += 1
            self._first.add(error, answer)
            self.refused = self._first.refuse()
            if answer is not None:
                self.answers[row] = answer
        twice = [row for row in self._rows[:ASKED_AGAIN] if again and row in self.answers]
        if twice and not self.refused and is_wanted():
            answers = pa.array([self._ask(row)[1] for row in twice], pa.string())
            same = Comparison(self._dataset, self.answers).agrees(pa.array(twice, pa.int32()), answers)
            steady = False not in same.to_pylist()
        self._client.close()
        return BaselineReach(
            len(self._rows), self.asked, len(self.answers), self._requests, perf_counter() - began, steady
        )

    def _ask(self, row: int) -> tuple[str | None, str | None]:
        self._requests += 1
        body = self._codec.encode(self._dataset.row(row))
        answer = self._client.post(self._head, body, f"{self._ids}{self._requests}".encode())
        told = read_answer(answer, self._role, self._codec, self._task)
        return told.error, told.prediction


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

    Raises:
        UsageError: of the first rows a version fails most, or answers most with what is no label.

    Returns:
        The baseline answers, without the versions that contradict themselves, and how far they reach.
    """
    load = experiment.load
    rows = rows_to_ask([draw(load, len(dataset), worker, workers) for worker in range(workers)], load.seed)
    askers = {
        role: BaselineAsker(
            role,
            codec,
            dataset,
            rows,
            client_of(role, experiment, host, codec),
            run,
            # one version alone, or a canary, is measured because it may be bad
            check=load.traffic == "duet",
        )
        for role, codec in codecs.items()
    }
    until = perf_counter() + load.baseline_time
    greenlets = _spawn(askers, until, is_wanted)
    while not all(greenlet.ready() for greenlet in greenlets.values()):
        gevent.joinall(greenlets.values(), timeout=_TICK)
        show(sum(asker.asked for asker in askers.values()), len(rows) * len(askers))
    _raise_refusal(askers)
    reach = {role: greenlet.get() for role, greenlet in greenlets.items()}
    return {role: askers[role].answers for role in askers if reach[role].steady}, reach


def ask_first_rows(
    experiment: Experiment, dataset: Dataset, codecs: Mapping[Role, Codec], host: str, run: str
) -> dict[Role, int]:
    """Ask all versions for the first rows only, where nobody wants baseline answers; how many were sent.

    Raises:
        UsageError: a version fails most of them, or answers most with what is no label.
    """
    rows = list(range(min(len(dataset), FIRST_ROWS)))
    askers = {
        role: BaselineAsker(role, codec, dataset, rows, client_of(role, experiment, host, codec), run)
        for role, codec in codecs.items()
    }
    until = perf_counter() + _FIRST_SECONDS
    gevent.joinall(_spawn(askers, until, lambda: True, again=False).values(), raise_error=True)
    _raise_refusal(askers)
    return {role: asker.asked for role, asker in askers.items()}


def _spawn(
    askers: Mapping[Role, BaselineAsker], until: float, is_wanted: Callable[[], bool], *, again: bool = True
) -> dict[Role, gevent.Greenlet]:
    def go_on() -> bool:
        return is_wanted() and not any(asker.refused for asker in askers.values())

    return {role: gevent.spawn(asker.run, until, go_on, again=again) for role, asker in askers.items()}


def _raise_refusal(askers: Mapping[Role, BaselineAsker]) -> None:
    for asker in askers.values():
        if asker.refused:
            raise asker.refused


def rows_to_ask(schedules: Sequence[Schedule], seed: int) -> list[int]:
    """The distinct rows that will be measured: those sent most often first, in random order among equals.

    So the rows that the time does not suffice for are few samples, and spread over the whole run.
    """
    sent = np.concatenate([schedule.row[schedule.scheduled_at >= 0] for schedule in schedules])
    rows, counts = np.unique(sent, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(rows)), -counts))
    asked: list[int] = rows[order].tolist()
    return asked
