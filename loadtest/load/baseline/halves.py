"""Which rows are asked before the load, and which after it: a random half each.

A response cache that was asked for a row knows its answer: rows that were all asked before the load would be
measured as hits alone. The draw is random, so what the two halves differ by under load is the cache's doing.
Mismatches need both halves; the one asked before the load is the clean one, as what is asked later may come
from a cache that kept a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.data.repeats import LOOKS, check_rows_suffice
from loadtest.load.sending.arrivals import Schedule


class Halves(NamedTuple):
    """Rows to ask, in the order in which they are asked: those sent most often first."""

    before: list[int]
    after: list[int]


def halve(schedules: Sequence[Schedule], request: NDArray[np.intp], seed: int) -> Halves:
    """Deal the distinct rows that will be measured to both halves.

    Rows with the same request share a half, or an answer to one would be in the cache for the other. Among
    rows sent equally often the order is random: those that the time does not suffice for are few samples, and
    spread over the whole run.

    ``request``: per row the first row with the same request, shape (rows,).
    """
    rows = _rows_to_ask(schedules, seed)
    turn: dict[int, int] = {}
    halves = Halves([], [])
    for row in rows:
        halves[turn.setdefault(int(request[row]), len(turn) % 2)].append(row)
    return halves


def without_repeats(schedules: Sequence[Schedule], dataset: Dataset, seed: int) -> Halves:
    """The rows where none is sent twice: all after the load; before it, to be looked at, some of the others.

    Raises:
        DatasetError: there are too few distinct rows.
    """
    sent = np.concatenate([schedule.row for schedule in schedules])
    check_rows_suffice(dataset, len(sent))
    left_out = np.setdiff1d(np.arange(len(dataset)), sent)
    return Halves(left_out[:LOOKS].tolist(), _rows_to_ask(schedules, seed))


def sent_until(schedules: Sequence[Schedule], seconds: float) -> set[int]:
    """The rows that are sent in the first ``seconds`` after time zero."""
    return {
        row
        for schedule in schedules
        for row in schedule.rows_of(
            (schedule.scheduled_at >= 0) & (schedule.scheduled_at <= seconds)
        ).tolist()
    }


def _rows_to_ask(schedules: Sequence[Schedule], seed: int) -> list[int]:
    """The distinct rows that will be measured: those sent most often first, in random order among equals."""
    sent = np.concatenate([schedule.rows_of(schedule.scheduled_at >= 0) for schedule in schedules])
    rows, counts = np.unique(sent, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(rows)), -counts))
    asked: list[int] = rows[order].tolist()
    return asked
