"""Asking one version without load: rows one after the other, one request at a time."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import pyarrow as pa

from loadtest.data.baseline import Comparison, ScoredAnswer
from loadtest.data.dataset import Dataset
from loadtest.errors import UsageError
from loadtest.experiment.role import Role
from loadtest.load.baseline.first_rows import FirstRows
from loadtest.load.protocols import Codec
from loadtest.load.sending.http_client import Client
from loadtest.load.sending.response import read_answer
from loadtest.load.sending.task_answers import TaskAnswers

ASKED_AGAIN = 20
"""Rows that are asked a second time: a version that contradicts itself then has no baseline."""
GIVES_UP = 20
"""Rows in a row without an answer after which a version is asked no more, once the load is over."""


class BaselineReach(NamedTuple):
    """How far the baseline answers of one version reach.

    Args:
        rows: distinct rows that the load will measure.
        asked: those that the time sufficed for.
        answered: those that were answered.
        requests: requests sent in all.
        seconds: how long it took.
        steady: asked again, it gave the same answers; where it did not, its answers are no baseline answers.
        asked_before: of those asked, how many were asked before the load.
    """

    rows: int
    asked: int
    answered: int
    requests: int
    seconds: float
    steady: bool
    asked_before: int = 0

    def then(self, later: BaselineReach) -> BaselineReach:
        """This before the load, and ``later`` after it."""
        return BaselineReach(
            rows=self.rows,
            asked=self.asked + later.asked,
            answered=self.answered + later.answered,
            requests=self.requests + later.requests,
            seconds=self.seconds + later.seconds,
            steady=self.steady and later.steady,
            asked_before=self.asked_before,
        )


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
        phase: str = "baseline",
    ) -> None:
        self._role = role
        self._codec = codec
        self._dataset = dataset
        self._task = TaskAnswers(dataset)
        self._first = FirstRows(role, dataset, len(rows) if check else 0)
        self.refused: UsageError | None = None
        self._rows = rows
        self._client = client
        self._ids = f"{run}-{role}-{phase}-"
        self._head = client.head(codec.path, role)
        self._requests = 0
        self.asked = 0
        self.answers: dict[int, str | ScoredAnswer] = {}

    def run(
        self, until: float, is_wanted: Callable[[], bool], *, again: bool = True, gives_up: bool = False
    ) -> BaselineReach:
        """Ask until all rows are answered, ``until`` (``perf_counter``) has passed, or nobody wants more.

        It ends, too, where the first rows show that no load is worth it: see ``refused``. ``again``: ask some
        rows a second time. ``gives_up``: stop asking what answers no more.
        """
        began, steady, silent = perf_counter(), True, 0
        for row in self._rows:
            if self.refused or perf_counter() >= until or not is_wanted():
                break
            if gives_up and silent >= GIVES_UP:
                break
            error, answer = self._ask(row)
            self.asked += 1
            silent = silent + 1 if answer is None else 0
            self._first.add(error, answer.text if isinstance(answer, ScoredAnswer) else answer)
            self.refused = self._first.refuse()
            if answer is not None:
                self.answers[row] = answer
        twice = [row for row in self._rows[:ASKED_AGAIN] if again and row in self.answers]
        if twice and not self.refused and is_wanted():
            steady = self._is_steady(twice)
        self._client.close()
        seconds = perf_counter() - began
        return BaselineReach(len(self._rows), self.asked, len(self.answers), self._requests, seconds, steady)

    def _is_steady(self, twice: list[int]) -> bool:
        """Whether these rows, asked again, get the answers that they got."""
        again = [self._ask(row)[1] for row in twice]
        texts = [answer.text if isinstance(answer, ScoredAnswer) else answer for answer in again]
        scores = [answer.scores if isinstance(answer, ScoredAnswer) else None for answer in again]
        same = Comparison(self._dataset, self.answers).agrees(
            pa.array(twice, pa.int32()),
            pa.array(texts, pa.string()),
            pa.array(scores, pa.list_(pa.float64())),
        )
        return False not in same.to_pylist()

    @property
    def asked_rows(self) -> dict[int, str | ScoredAnswer | None]:
        """The rows asked so far, each with its answer, or None."""
        return {row: self.answers.get(row) for row in self._rows[: self.asked]}

    def _ask(self, row: int) -> tuple[str | None, str | ScoredAnswer | None]:
        """The error, or the answer."""
        self._requests += 1
        body = self._codec.body_of(self._dataset, row)
        answer = self._client.post(self._head, body, f"{self._ids}{self._requests}".encode())
        told = read_answer(answer, self._role, self._codec, self._task)
        if told.prediction is None or told.scores is None:
            return told.error, told.prediction
        return None, ScoredAnswer(told.prediction, told.scores)
