"""What to do where a model takes text and the evaluation set has numbers, in the words of both sides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

_FILE = "FILE"
"""Stands for the evaluation set, where nobody knows what it is called."""
_FROM_CSV = (
    "CSV does not tell text from numbers, so write Parquet: "
    "pandas.read_csv({file}, dtype={kinds}).to_parquet('evaluation.parquet')"
)
_FROM_PARQUET = (
    "write text there: pandas.read_parquet({file}, dtype_backend='numpy_nullable')"
    ".astype({kinds}).to_parquet('evaluation.parquet')"
)
_OF_NO_FILE = re.compile(re.escape(_FROM_CSV).replace(r"\{file\}", _FILE).replace(r"\{kinds\}", r"\{(.+?)\}"))


def as_text(names: Iterable[str], path: str = "") -> str:
    """What to do about the columns, as the end of a message.

    Args:
        names: of the columns.
        path: of the evaluation set; empty: it is not known, see ``name_file``.
    """
    return _remedy(", ".join(f"{name!r}: 'string'" for name in names), path)


def name_file(said: str, path: str) -> str:
    """A message of somebody who did not know which file it is about."""
    return _OF_NO_FILE.sub(lambda found: _remedy(found[1], path), said)


def _remedy(kinds: str, path: str) -> str:
    suffixes = {suffix.lower() for suffix in PurePath(path).suffixes[-2:]}
    if suffixes & {".json", ".jsonl", ".ndjson"}:
        return "write text there, in quotes"
    form = _FROM_PARQUET if suffixes & {".parquet", ".pq"} else _FROM_CSV
    return form.format(file=repr(path) if path else _FILE, kinds=f"{{{kinds}}}")
