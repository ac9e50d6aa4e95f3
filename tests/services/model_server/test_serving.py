"""What a row costs, which decides whether requests are put together."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.model_server.serving import CHEAP, cost_of_a_row

ROWS = 20


def version(dear: set[int], asked: list[int]) -> Any:
    """A version of twenty examples, of which the ``dear`` ones take 40 times ``CHEAP`` of CPU time each."""

    def run(rows: Any, _: Any) -> None:
        asked.append(int(rows[0, 0]))
        end = time.thread_time() + 40 * CHEAP
        while asked[-1] in dear and time.thread_time() < end:
            pass

    examples = np.arange(float(ROWS)).reshape(-1, 1)
    return SimpleNamespace(run=run, examples=examples, example=examples[:1])


@pytest.mark.parametrize(
    "dear",
    [
        # every row, as of a model that the library runs
        set(range(ROWS)),
        # some rows that the direct way leaves to the library, the first of them or another
        {0},
        {7},
        {19},
    ],
)
def test_some_dear_rows_make_rows_dear(dear: set[int]) -> None:
    assert cost_of_a_row(version(dear, [])) > CHEAP


def test_a_model_that_is_dear_on_its_first_row_is_not_asked_for_more() -> None:
    asked: list[int] = []
    cost_of_a_row(version(set(range(ROWS)), asked))
    assert set(asked) == {0}


def test_every_example_of_a_cheap_model_counts() -> None:
    asked: list[int] = []
    cost_of_a_row(version(set(), asked))
    assert set(asked) == set(range(ROWS))
