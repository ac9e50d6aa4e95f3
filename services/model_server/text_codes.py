"""Codes that are text to a model, such as the store ``205``, and numbers to whoever reads the CSV file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.text_columns import as_text
from services.model_server.errors import VersionError

Cells = Mapping[str, list[Any]]
Answers = Mapping[str, NDArray[Any]]
_LOADS = 24
"""Attempts of one search; each loads the model."""
_RUNS = 64
"""Columns whose effect is looked for; each runs the loaded model once."""


class CodesError(VersionError):
    """Columns hold numbers where the model learnt text: whatever else it takes, its answers are wrong."""


def check_codes(path: Path, cells: Cells, attempt: Callable[[Cells], object]) -> list[str]:
    """Refuse rows on which a model fails for the numbers in columns where it was fitted on text.

    ``attempt`` loads the model with such cells and runs it.

    Returns:
        The columns that were not tried as text, because there are too many.

    Raises:
        CodesError: with these columns as text it does not fail.
    """
    codes = [name for name, column in cells.items() if _may_be_codes(column)]
    left = _LOADS

    def works(names: list[str]) -> bool:
        nonlocal left
        if not names or left == 0:
            return False
        left -= 1
        try:
            attempt({name: _as_text(column) if name in names else column for name, column in cells.items()})
        except VersionError:
            return False
        return True

    # all of them, or one beside numbers that must stay numbers
    found = next((some for some in (codes, *([name] for name in codes)) if works(some)), [])
    if not found:
        return codes[_LOADS - 1 :]
    step = len(found)
    while step > 1:
        # without ever smaller parts, and last without each
        step = (step + 1) // 2
        for part in [found[start : start + step] for start in range(0, len(found), step)]:
            fewer = [name for name in found if name not in part]
            if works(fewer):
                found = fewer
    raise _refusal(path, cells, found, minimal=len(found) == 1 or left > 0)


def check_unused(
    path: Path,
    cells: Cells,
    answers: Answers,
    run: Callable[[Cells], Answers],
    attempt: Callable[[Cells], Answers],
) -> None:
    """Refuse columns of numbers that no answer depends on until they are text: the model knows none of them.

    Columns that are too many to be tried are named in a warning.

    ``run`` asks the loaded model about cells of the same types; ``attempt`` loads it with cells of other
    types.

    Raises:
        CodesError: there are such columns.
    """
    codes = [name for name, column in cells.items() if _may_be_codes(column) and len(set(column)) > 1]
    left = _LOADS
    untried = codes[_RUNS:]

    def without_effect(name: str) -> bool:
        try:
            return alike(run({**cells, name: _moved(cells[name])}), answers)
        except Exception:
            # whatever it raises, it looks at the column
            return False

    def meant(names: list[str]) -> list[str]:
        """Those whose text the model knows."""
        nonlocal left
        if not names:
            return []
        if left < 2:
            untried.extend(names)
            return []
        left -= 2
        text = {name: _as_text(cells[name]) for name in names}
        try:
            texts = attempt({**cells, **text})
            if alike(texts, answers):
                return []
            # any text is another thing than numbers to an encoder that learnt numbers, and always the same
            if alike(attempt({**cells, **{name: _moved(column) for name, column in text.items()}}), texts):
                return []
        except VersionError:
            if len(names) == 1:
                return []
        half = len(names) // 2
        return meant(names[:half]) + meant(names[half:]) if half else names

    unused = [name for name in codes[:_RUNS] if without_effect(name)]
    if known := meant(unused):
        raise _refusal(path, cells, known)
    if unused:
        # what was written for the last attempt is written anew
        attempt(cells)
    if untried:
        warnings.warn(f"too many columns to try whether text is meant: {', '.join(untried)}", stacklevel=2)


def _moved(column: list[Any]) -> list[Any]:
    """The same cells in other rows: a row further, or half of them where that changes more (sorted cells)."""
    ways = ([*column[by:], *column[:by]] for by in (1, len(column) // 2))
    return max(ways, key=lambda moved: sum(one != other for one, other in zip(moved, column, strict=True)))


def alike(one: Answers, other: Answers) -> bool:
    """Whether the outputs of ``other`` are in ``one``, numbers to nine digits."""
    return all(_alike(one[name], other[name]) for name in other)


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        return np.allclose(one, other, rtol=1e-9, atol=1e-12)
    return bool(np.array_equal(one, other))


def _refusal(path: Path, cells: Cells, codes: Sequence[str], *, minimal: bool = True) -> CodesError:
    example = next(cell for cell in cells[codes[0]] if cell is not None)
    which = ("" if minimal else "some of ") + ", ".join(codes)
    return CodesError(
        f"{path}: takes text in {which}, and the evaluation set has numbers or truth values, such as "
        f"{example!r}; {as_text(codes)}"
    )


def _may_be_codes(column: list[Any]) -> bool:
    kinds = {type(cell) for cell in column if cell is not None}
    return bool(kinds) and kinds <= {int, bool}


def _as_text(column: list[Any]) -> list[Any]:
    return [None if cell is None else str(cell) for cell in column]
