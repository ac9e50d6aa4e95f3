"""What to do where a model takes text and the evaluation set has numbers, in the words of both sides.

Likewise where it takes missing cells and the set has words such as ``NA``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
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


def as_text(names: Iterable[str], path: str = "") -> str:
    """What to do about the columns, as the end of a message.

    Args:
        names: of the columns.
        path: of the evaluation set; empty: it is not known, see ``name_file``.
    """
    kinds = ", ".join(f"{name!r}: 'string'" for name in names)
    return _remedy(path, kinds, _AS_TEXT)


def as_missing(words: Mapping[str, Sequence[str]], path: str = "") -> str:
    """What to do about words that stand for missing cells, as the end of a message.

    Args:
        words: by column.
        path: of the evaluation set; empty: it is not known, see ``name_file``.
    """
    kinds = ", ".join(f"{name!r}: {list(of)!r}" for name, of in words.items())
    return _remedy(path, kinds, _AS_MISSING)


def name_file(said: str, path: str) -> str:
    """A message of somebody who did not know which file it is about."""
    for forms in (_AS_TEXT, _AS_MISSING):
        pattern = re.escape(forms[0]).replace(r"\{file\}", _FILE).replace(r"\{kinds\}", r"\{(.+?)\}")
        if found := re.search(pattern, said):
            said = said.replace(found[0], _remedy(path, found[1], forms))
    return said


def _remedy(path: str, kinds: str, forms: tuple[str, str, str]) -> str:
    from_csv, from_parquet, from_json = forms
    suffixes = {suffix.lower() for suffix in PurePath(path).suffixes[-2:]}
    if suffixes & {".json", ".jsonl", ".ndjson"}:
        return from_json
    form = from_parquet if suffixes & {".parquet", ".pq"} else from_csv
    return form.format(file=repr(path) if path else _FILE, kinds=f"{{{kinds}}}")
