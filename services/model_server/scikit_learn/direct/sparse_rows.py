"""Rows of a sparse matrix as entries: twenty words are twenty numbers, whatever the vocabulary's size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.model_server.scikit_learn.direct.step import Cells, Entries, Step, Unsure
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix

MAX_CELLS = 8_000_000
"""Of more (rows times columns) no dense matrix is made."""


def to_entries(cells: Cells) -> Entries:
    """The cells that are not 0; NaN is kept."""
    places = [place for place, cell in enumerate(cells) if cell != 0]
    return places, [cells[place] for place in places]


def to_matrix(rows: Sequence[Entries], width: int) -> Matrix:
    """Rows of entries, shape (rows, width).

    Raises:
        Unsure: it would be too large.
    """
    if len(rows) * width > MAX_CELLS:
        raise Unsure
    matrix = np.zeros((len(rows), width))
    for row, (places, values) in zip(matrix, rows, strict=True):
        row[places] = values
    return matrix


def as_entries(step: Step) -> Step:
    """A step whose result is a sparse matrix, giving entries."""
    if step.entries:
        return step
    run = step.run
    return Step(lambda row: to_entries(run(row)), step.width, sparse=True, entries=True)


def as_cells(step: Step) -> Step:
    """A step whose result the library makes dense."""
    if not step.entries:
        return step._replace(sparse=False)
    run, width = step.run, step.width

    def dense(row: Cells) -> list[Any]:
        return to_matrix([run(row)], width)[0].tolist()  # type: ignore[no-any-return]

    return Step(dense, width)


def side_by_side(parts: Sequence[tuple[Callable[[Any], Any], Step]]) -> Step:
    """Steps whose results stand beside each other in one sparse matrix.

    Args:
        parts: what takes a step's own cells from the row, and the step.
    """
    runs = []
    total = 0
    for take, step in parts:
        runs.append((take, as_entries(step).run, total))
        total += step.width

    def run(row: Cells) -> Entries:
        places: list[int] = []
        values: list[float] = []
        for take, step, start in runs:
            own, numbers = step(take(row))
            places += [start + place for place in own] if start else own
            values += numbers
        return places, values

    return Step(run, total, sparse=True, entries=True)
