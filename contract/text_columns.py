"""What to do where a model takes text and the evaluation set has numbers, in the words of both sides.

Likewise where it takes missing cells and the set has words such as ``NA``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

MISSING = (
    *("NA", "N/A", "n/a", "#N/A", "#N/A N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"),
    *("1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""What pandas' ``read_csv`` takes for a missing cell, beside an empty one."""

_FILE = "FILE"
"""Stands for the evaluation set, where nobody knows what it is called."""
_AS_TEXT = (
    (
        "CSV does not tell text from numbers, so write Parquet: "
        "pandas.read_csv({file}, dtype={kinds}).to_parquet('evaluation.parquet')"
    ),
    (
        "write text there: pandas.read_parquet({file}, dtype_backend='numpy_nullable')"
        ".astype({kinds}).to_parquet('evaluation.parquet')"
    ),
    "write text there, in quotes",
)
"""Of a CSV file, Parquet and JSON."""
_AS_MISSING = (
    (
        "write empty cells: pandas.read_csv({file}, dtype=str, keep_default_na=False, na_values={kinds})"
        ".to_csv('evaluation.csv', index=False)"
    ),
    (
        "write nulls: pandas.read_parquet({file}, dtype_backend='numpy_nullable')"
        ".pipe(lambda f: f.mask(f.isin({kinds}))).to_parquet('evaluation.parquet')"
    ),
    "write null there",
)


@dataclass(frozen=True)
class DataFile:
    """An evaluation set, as pandas reads it.

    Args:
        path: of the file; empty: it is not known, see ``name_file``.
        kind: ``csv``, ``parquet`` or ``json``, by its content.
        options: of ``pandas.read_csv``, such as ``sep=';'``.
        above: how many of its first lines are no part of the text that is looked at.
    """

    path: str = ""
    kind: str = "csv"
    options: tuple[str, ...] = ()
    above: int = 0

    def __str__(self) -> str:
        return ", ".join((repr(self.path) if self.path else _FILE, *self.options))


_UNKNOWN = DataFile()


def as_text(names: Iterable[str], file: DataFile = _UNKNOWN) -> str:
    """What to do about the columns, as the end of a message."""
    kinds = ", ".join(f"{name!r}: 'string'" for name in names)
    return _remedy(file, kinds, _AS_TEXT)


def as_missing(words: Mapping[str, Sequence[str]], file: DataFile = _UNKNOWN) -> str:
    """What to do about words that stand for missing cells, as the end of a message.

    Args:
        words: by column.
        file: the evaluation set.
    """
    kinds = ", ".join(f"{name!r}: {list(of)!r}" for name, of in words.items())
    return _remedy(file, kinds, _AS_MISSING)


def written_beside(said: str, path: str) -> str:
    """A message whose command writes ``evaluation.csv`` or the like into the folder of the file."""
    folder = PurePath(path).parent
    return re.sub(r"'(evaluation\.[a-z]+)'", lambda made: repr(str(folder / made[1])), said)


def name_file(said: str, file: DataFile) -> str:
    """A message of somebody who did not know which file it is about."""
    for forms in (_AS_TEXT, _AS_MISSING):
        pattern = re.escape(forms[0]).replace(r"\{file\}", _FILE).replace(r"\{kinds\}", r"\{(.+?)\}")
        if found := re.search(pattern, said):
            said = said.replace(found[0], _remedy(file, found[1], forms))
    return said


def _remedy(file: DataFile, kinds: str, forms: tuple[str, str, str]) -> str:
    form = forms[("csv", "parquet", "json").index(file.kind)]
    said = form.replace("{kinds}", f"{{{kinds}}}").replace("{file}", str(file))
    return written_beside(said, file.path)
