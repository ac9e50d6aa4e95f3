"""Words such as ``NA`` that ``loadproof init`` did not try: text, or what a model knows as missing cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.model_toml import Columns, Input
from contract.text_columns import MISSING, as_missing
from contract.version_folder import EXAMPLES
from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError


def untried_words(folders: Mapping[str, tuple[Path, Input | Columns]], dataset: Dataset) -> list[str]:
    """Words such as ``NA`` in columns of text without missing cells, which versions were not tried on.

    ``folders`` are of the versions by role, with what each takes.

    Returns:
        A line, where nobody knows whether they stand for missing cells.

    Raises:
        DatasetError: a version was tried on missing cells instead.
    """
    untried: dict[str, list[str]] = {}
    to: dict[str, None] = {}
    for role, (folder, given) in folders.items():
        cells = {name: dataset.columns[name] for name in given.columns or ()}
        words = {name: _words(of) for name, of in cells.items() if not of.null_count}
        for name in [name for name, found in words.items() if found]:
            tried = _example(folder / EXAMPLES, name)
            if tried is not None and _words(tried):
                continue
            untried[name] = words[name]
            to[role] = None
            if tried is not None and tried.null_count:
                raise DatasetError(
                    f"{dataset.path}: {_quoted({name: words[name]})} is text, and {folder / EXAMPLES} has "
                    f"missing cells there; {as_missing({name: words[name]}, dataset.file)}, or, if text is "
                    f"meant, delete {folder / EXAMPLES}, and run `loadproof init {folder.parent}`"
                )
    if not untried:
        return []
    line = (
        f"{_quoted(untried)} is text, never tried on {' and '.join(to)}; if it stands for a missing "
        f"cell, {as_missing(untried, dataset.file)}"
    )
    return [line]


def _quoted(words: Mapping[str, Sequence[str]]) -> str:
    return " and ".join(f"{', '.join(map(repr, of))} in {name!r}" for name, of in words.items())


def _words(cells: pa.ChunkedArray) -> list[str]:
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return []
    cells = cells.cast(pa.string())
    found: list[str] = pc.unique(cells.filter(pc.is_in(cells, pa.array(MISSING)))).to_pylist()
    return found


def _example(path: Path, name: str) -> pa.ChunkedArray | None:
    """What a version was tried on; None: it cannot be read, and the server says why."""
    try:
        return pq.read_table(path, columns=[name])[name]
    except (OSError, KeyError, pa.ArrowException):
        return None
