"""The columns of an evaluation set that a model takes, and as what; and what its labels say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contract.counted import counted
from contract.datatypes import ColumnDatatype
from contract.model_toml import Columns
from services.model_server.errors import VersionError

Cells = Mapping[str, list[Any]]

_EXACT = 2**53


def datatype_of(cells: Sequence[Any]) -> ColumnDatatype:
    """The datatype of a column; integers with gaps are FP64, as pandas reads them."""
    kinds = {type(cell) for cell in cells}
    if str in kinds:
        return "BYTES"
    if kinds <= {bool, type(None)} and bool in kinds:
        return "BOOL"
    return "INT64" if kinds == {int} else "FP64"


def columns_of(cells: Cells) -> Columns:
    """Columns with their datatypes."""
    return Columns(tuple((name, datatype_of(column)) for name, column in cells.items()))


def no_matrix(cells: Sequence[Any]) -> str:
    """Why a column cannot be part of a matrix of numbers; empty: it can."""
    if any(isinstance(cell, str) for cell in cells):
        return "is text"
    if gaps := sum(cell is None for cell in cells):
        return f"has {counted(gaps, 'gap')}"
    return "has integers beyond 2^53" if any(isinstance(c, int) and abs(c) > _EXACT for c in cells) else ""


def features_among(cells: Cells, names: Sequence[str] | None, features: int | None, path: Path) -> list[str]:
    """The model's features among the columns of the evaluation set, in the model's order."""
    columns = list(cells)
    if names:
        # LightGBM's file has underscores for blanks
        known = {name.replace(" ", "_"): name for name in columns} | {name: name for name in columns}
        if missing := [name for name in names if name not in known]:
            raise VersionError(
                f"{path}: takes the features {', '.join(names)}; the evaluation set has no column "
                f"{', '.join(missing)}; beside the label it has {', '.join(columns)}"
            )
        return [known[name] for name in names]
    if features in (None, len(columns)):
        return columns
    numeric = [name for name in columns if datatype_of(cells[name]) != "BYTES"]
    if len(numeric) == features:
        return numeric
    remedy = (
        "leave out what is no feature with --ignore"
        if len(columns) > (features or 0)
        else "add those that are missing, or, if the model makes several of one column, write a model.py "
        "that calls its predict"
    )
    raise VersionError(
        f"{path}: takes {counted(features or 0, 'feature')}, the evaluation set has "
        f"{counted(len(columns), 'column')} beside the label ({', '.join(columns)}); {remedy}"
    )


def are_values(labels: Sequence[str], scores: int) -> bool:
    """Whether labels are numbers of which some are no place among so many scores.

    Then the scores are no scores of classes, but values.
    """
    try:
        return any(float(label) not in range(scores) for label in labels)
    except ValueError:
        return False


def have_fractions(cells: Iterable[Any]) -> bool:
    """Whether labels or answers are numbers of which some are no whole ones, as no class is; gaps aside."""
    try:
        # all of them first: one word among them makes classes of all
        known = [float(cell) for cell in cells if cell is not None]
    except (TypeError, ValueError):
        return False
    return any(number % 1 > 0 for number in known)


def check_whole(taken: Cells, datatype: str, path: Path) -> None:
    """Refuse cells that a matrix of integers would change."""
    bounds = np.iinfo(datatype.lower())
    for name, of_column in taken.items():
        wrong = [
            cell
            for cell in of_column
            if isinstance(cell, int | float) and not (cell == cell // 1 and bounds.min <= cell <= bounds.max)
        ]
        if wrong:
            raise VersionError(
                f"{path}: takes {datatype}, and {name!r} has {wrong[0]!r}; export it with an input of "
                "FP64 or FP32"
            )
