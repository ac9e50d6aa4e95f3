"""Codes that are text to a model, such as the store ``205``, and numbers to whoever reads the CSV file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.text_columns import as_text
from services.model_server.errors import VersionError

Cells = Mapping[str, list[Any]]
Answers = Mapping[str, NDArray[Any]]
_MOST = 8
"""Of so many columns each is tried without; every try loads the model."""


class CodesError(VersionError):
    """Columns hold numbers where the model learnt text: whatever else it takes, its answers are wrong."""


def check_codes(path: Path, cells: Cells, attempt: Callable[[Cells], object]) -> None:
    """Refuse rows on which a model fails for the numbers in columns where it was fitted on text.

    Args:
        path: of the model file.
        cells: by column, on which it fails.
        attempt: loads the model with such cells and runs it.

    Raises:
        CodesError: with these columns as text it does not fail.
    """
    codes = [name for name, column in cells.items() if _may_be_codes(column)]

    def works(names: list[str]) -> bool:
        try:
            attempt({name: _as_text(column) if name in names else column for name, column in cells.items()})
        except VersionError:
            return False
        return True

    # all of them, or one beside numbers that must stay numbers
    codes = next((some for some in (codes, *([name] for name in codes[:_MOST])) if some and works(some)), [])
    if not codes:
        return
    if 1 < len(codes) <= _MOST:
        for name in tuple(codes):
            fewer = [other for other in codes if other != name]
            if works(fewer):
                codes = fewer
    raise _refusal(path, cells, codes)


def check_unused(
    path: Path,
    cells: Cells,
    answers: Answers,
    run: Callable[[Cells], Answers],
    attempt: Callable[[Cells], Answers],
) -> None:
    """Refuse columns of numbers that no answer depends on until they are text: the model knows none of them.

    Args:
        path: of the model file.
        cells: by column.
        answers: to these, by output.
        run: what the loaded model answers to cells of the same types.
        attempt: loads the model with cells of other types and runs it.

    Raises:
        CodesError: there are such columns.
    """
    codes = [name for name, column in cells.items() if _may_be_codes(column) and len(set(column)) > 1]

    def without_effect(name: str) -> bool:
        try:
            return alike(run({**cells, name: [*cells[name][1:], cells[name][0]]}), answers)
        except Exception:
            # whatever it raises, it looks at the column
            return False

    unused = [name for name in codes[:_MOST] if without_effect(name)]

    def differs(name: str) -> bool:
        try:
            return not alike(attempt({**cells, name: _as_text(cells[name])}), answers)
        except VersionError:
            return False

    if meant := [name for name in unused if differs(name)]:
        raise _refusal(path, cells, meant)
    if unused:
        # what was written for the last attempt is written anew
        attempt(cells)


def alike(one: Answers, other: Answers) -> bool:
    """Whether the outputs of ``other`` are in ``one``, numbers to nine digits."""
    return all(_alike(one[name], other[name]) for name in other)


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        return np.allclose(one, other, rtol=1e-9, atol=1e-12)
    return bool(np.array_equal(one, other))


def _refusal(path: Path, cells: Cells, codes: Sequence[str]) -> CodesError:
    example = next(cell for cell in cells[codes[0]] if cell is not None)
    return CodesError(
        f"{path}: takes text in {', '.join(codes)}, and the evaluation set has numbers or truth values, "
        f"such as {example!r}; {as_text(codes)}"
    )


def _may_be_codes(column: list[Any]) -> bool:
    kinds = {type(cell) for cell in column if cell is not None}
    return bool(kinds) and kinds <= {int, bool}


def _as_text(column: list[Any]) -> list[Any]:
    return [None if cell is None else str(cell) for cell in column]
