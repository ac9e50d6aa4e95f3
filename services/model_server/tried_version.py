"""A version tried on rows of an evaluation set, as ``model.toml`` has it take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import Columns, Input, ModelTomlError, read_model_toml
from contract.version_folder import EXAMPLES
from services.model_server.columns import Columns as ColumnRows
from services.model_server.columns import Rows, column
from services.model_server.errors import FailingRowsError, VersionError, one_line
from services.model_server.examples import write_examples
from services.model_server.features import features_among
from services.model_server.missing_words import check_failing_words, check_words
from services.model_server.required_columns import check_required
from services.model_server.version import LoadedVersion, load_version

Cells = Mapping[str, list[Any]]
Answers = Mapping[str, NDArray[Any]]


def as_written(
    folder: Path, path: Path, cells: Cells, allow_pickle: Sequence[str]
) -> tuple[LoadedVersion, Answers]:
    """The version and its answers, as the ``model.toml`` that is there says.

    Raises:
        VersionError: it does not fit the rows, fails on them, or means missing cells by words in them.
    """
    try:
        given = read_model_toml(folder).input
    except ModelTomlError as error:
        raise VersionError(str(error)) from None
    names = features_among(cells, given.columns, given.features, path)
    taken = {name: cells[name] for name in names}
    check_required(path, getattr(given, "required", ()), taken)
    had_examples = (folder / EXAMPLES).exists()

    def again(cells: Cells) -> object:
        if not had_examples:
            (folder / EXAMPLES).unlink(missing_ok=True)
        return tried_on(folder, path, given, cells, allow_pickle)

    try:
        loaded, answers = tried_on(folder, path, given, taken, allow_pickle)
    except VersionError:
        if isinstance(given, Columns):
            check_failing_words(path, taken, again)
        raise
    if isinstance(given, Columns):
        outputs = frozenset(loaded.outputs)
        check_words(path, taken, answers, lambda cells: loaded.run(rows_of(given, loaded, cells), outputs))
    return loaded, answers


def tried_on(
    folder: Path, path: Path, given: Input | Columns, taken: Cells, allow_pickle: Sequence[str]
) -> tuple[LoadedVersion, Answers]:
    """The version and its answers to all rows; its examples are written first, so that it loads with them."""
    if wrote := not (folder / EXAMPLES).exists():
        write_examples(folder, taken)
    try:
        loaded = load_version(folder, allow_pickle, compilation=False)
    except FailingRowsError as error:
        if wrote:
            # nobody can correct a file that is gone with the refusal
            raise _fails(path, error.said) from error
        raise
    try:
        answers = loaded.run(rows_of(given, loaded, taken), frozenset(loaded.outputs))
    except Exception as error:
        # whatever the model raises, it cannot serve these rows
        raise _fails(path, one_line(error)) from error
    return loaded, answers


def _fails(path: Path, said: str) -> VersionError:
    return VersionError(f"{path}: fails on the first rows of the evaluation set ({said})")


def rows_of(given: Input | Columns, loaded: LoadedVersion, taken: Cells) -> Rows:
    """Cells by column in the types that the version takes."""
    if isinstance(given, Columns):
        return ColumnRows({name: column(taken[name], datatype) for name, datatype in given.datatypes})
    assert not isinstance(loaded.input, tuple)  # noqa: S101 - it was loaded from what was given
    matrix = np.column_stack([np.asarray(cells, np.float64) for cells in taken.values()])
    return matrix.astype(loaded.input.dtype).reshape(-1, *given.shape[1:])
