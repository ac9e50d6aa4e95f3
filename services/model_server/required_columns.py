"""The columns in which a model takes no missing cell: found by trying, and held against rows.

A vectorizer of texts or a linear model without an imputer raises on a missing cell. Whoever sends one is told
which column it is, instead of getting an error of the server.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.model_server.columns import Columns, column
from services.model_server.errors import VersionError
from services.model_server.runtime import Run
from services.model_server.tensors import is_finite

Cells = Mapping[str, list[Any]]


def required_columns(run: Run, row: Mapping[str, Any], datatypes: Mapping[str, str]) -> tuple[str, ...]:
    """The columns whose missing cell makes a model raise or answer what is not finite.

    The model works on ``row``, which has a cell per column.
    """

    def works_without(names: Sequence[str]) -> bool:
        cells = {name: None if name in names else cell for name, cell in row.items()}
        rows = Columns({name: column([cells[name]], kind) for name, kind in datatypes.items()})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = run(rows, frozenset(["predict"]))["predict"]
        except Exception:
            # whatever the model raises, it does not take the row
            return False
        return is_finite(answer)

    def among(names: Sequence[str]) -> tuple[str, ...]:
        if works_without(names):
            return ()
        if len(names) == 1:
            return tuple(names)
        middle = len(names) // 2
        return among(names[:middle]) + among(names[middle:])

    return among(list(datatypes)) if works_without(()) else ()


def required_in(run: Run, datatypes: Iterable[tuple[str, str]], cells: Cells) -> tuple[str, ...]:
    """The columns whose cells a model needs, tried on the first row of which no cell is missing."""
    rows = complete_rows(cells)
    if not next(iter(rows.values())):
        rows = dict(cells)
    return required_columns(run, {name: of[0] for name, of in rows.items()}, dict(datatypes))


def complete_rows(cells: Cells) -> dict[str, list[Any]]:
    """The rows in which no cell is missing."""
    rows = [row for row in zip(*cells.values(), strict=True) if None not in row]
    return {name: [row[place] for row in rows] for place, name in enumerate(cells)}


def check_required(path: Path, required: Collection[str], cells: Cells) -> None:
    """Refuse rows that lack a cell which the model needs.

    Raises:
        VersionError: one does; names the column and the first such row, counted from 1.
    """
    for name in required:
        if None in cells[name]:
            raise VersionError(
                f"{path}: takes no missing cell in {name!r}, and {cells[name].count(None)} of the rows that "
                f"it is tried on have one, the first of them row {cells[name].index(None) + 1}; fill them as "
                "the caller in production does"
            )
