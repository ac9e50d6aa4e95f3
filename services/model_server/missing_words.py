"""Words such as ``NA`` in columns of text: missing cells to who trained on what ``pandas.read_csv`` gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contract.text_columns import MISSING, as_missing
from services.model_server.errors import VersionError
from services.model_server.tensors import is_finite
from services.model_server.text_codes import Answers, Cells, alike

_MOST = 64
"""Columns that are looked at; each runs the loaded model twice."""
_LOADS = 24
"""Columns that are told apart where the model fails; each loads the model."""
_UNKNOWN = "\ufffd"
"""Makes of a word one that no model was fitted on."""


def check_words(path: Path, cells: Cells, answers: Answers, run: Callable[[Cells], Answers]) -> None:
    """Refuse words for missing cells that a model does not know, and answers otherwise than missing cells.

    A column that has missing cells, too, is taken as it is: there the word is another thing.

    Cells are by column, answers to these by output; ``run`` asks the loaded model about cells of the same
    types.

    Raises:
        VersionError: there are such columns.
    """

    def is_missing(name: str) -> bool:
        try:
            unknown = run({**cells, name: _instead(cells[name], lambda word: word + _UNKNOWN)})
            missing = run({**cells, name: _instead(cells[name], lambda _: None)})
        except Exception:
            # the model knows the word, or takes nothing missing there
            return False
        return (
            alike(answers, unknown) and not alike(answers, missing) and all(map(is_finite, missing.values()))
        )

    if meant := {name: words for name, words in list(_words(cells).items())[:_MOST] if is_missing(name)}:
        raise _refusal(path, meant)


def check_failing_words(path: Path, cells: Cells, attempt: Callable[[Cells], object]) -> None:
    """Refuse rows on which a model fails for such words, and does not where these cells are missing.

    ``attempt`` loads the model with such cells and runs it.

    Raises:
        VersionError: there are such columns.
    """
    meant = _words(cells)

    def works(names: Mapping[str, object]) -> bool:
        try:
            attempt(
                {name: _instead(of, lambda _: None) if name in names else of for name, of in cells.items()}
            )
        except VersionError:
            return False
        return True

    if not meant or not works(meant):
        return
    for name in list(meant)[:_LOADS]:
        fewer = {other: words for other, words in meant.items() if other != name}
        if fewer and works(fewer):
            meant = fewer
    raise _refusal(path, meant)


def _words(cells: Cells) -> dict[str, list[str]]:
    """By column of text without missing cells, the words in it that may stand for one."""
    found = {}
    for name, column in cells.items():
        words = [cell for cell in dict.fromkeys(column) if isinstance(cell, str) and cell in MISSING]
        if words and None not in column:
            found[name] = words
    return found


def _instead(column: list[Any], other: Callable[[str], str | None]) -> list[Any]:
    return [other(cell) if cell in MISSING else cell for cell in column]


def _refusal(path: Path, meant: Mapping[str, list[str]]) -> VersionError:
    columns = " and ".join(f"{', '.join(map(repr, words))} in {name!r}" for name, words in meant.items())
    return VersionError(
        f"{path}: knows no text {columns}, only missing cells, which is what pandas reads there; "
        f"{as_missing(meant)}"
    )
