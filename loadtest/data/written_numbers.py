"""Numbers that are written for people, such as ``1,711.00``, ``7,1%`` or ``€ 12.50``: a reader has text.

Nobody knows whether a model takes such a column as text or as numbers, so it stays text, and a message has
the command that makes numbers of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from contract.text_columns import MISSING, DataFile, written_beside

_BLANKS = " \u00a0\u2009\u202f"
_UNIT = r"[^\d.,+\-'\u2019]{0,9}?"
_NUMBER = (
    r"(?:\d{{1,3}}(?:[{between}'\u2019{blanks}]\d{{3}})+|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}|\d+)(?:[{point}]\d*)?"
)
_CELL = r"(?P<sign>[-+]?)(?P<before>{unit})(?P<inner>[-+]?)(?P<number>{number})(?P<after>{unit})"


def _form(point: str, between: str) -> re.Pattern[str]:
    number = _NUMBER.format(between=between, blanks=_BLANKS, point=point)
    return re.compile(_CELL.format(unit=_UNIT, number=number))


_FORMS = {".": _form(".", ","), ",": _form(",", ".")}
"""By what stands before the decimals; the other one stands between thousands, or a blank or an apostrophe."""


@dataclass(frozen=True)
class WrittenNumbers:
    """What the cells of a column of text are as numbers.

    Args:
        example: a cell, as it is written.
        value: what it stands for, as text.
        point: what stands before its decimals, a point or a comma.
    """

    example: str
    value: str
    point: str


def written_numbers(cells: pa.Array | pa.ChunkedArray, file: DataFile) -> WrittenNumbers | None:
    """What a column of text is as numbers; None: some cell is no number, or units differ."""
    texts = pc.unique(cells).drop_null().to_pylist()
    commas = "decimal=','" in file.options
    for point in ",." if commas else ".,":
        if found := _read(texts, point, plain=file.kind != "csv"):
            return found
    return None


def _read(texts: list[str], point: str, *, plain: bool) -> WrittenNumbers | None:
    units, found = set(), None
    for text in texts:
        if text.strip() in ("", *MISSING):
            if _bare(text, point):
                # it would become a number
                return None
            continue
        match = _FORMS[point].fullmatch(text.strip())
        if match is None or (match["sign"] and match["inner"]):
            return None
        units.add((match["before"].strip(_BLANKS), match["after"].strip(_BLANKS)))
        value = _bare(text, point)
        if found is None and (plain or value != text.strip()):
            found = WrittenNumbers(text, value, point)
        if len(units) > 1 or not _is_unit(*next(iter(units))):
            return None
    return found


def _is_unit(before: str, after: str) -> bool:
    """Whether these are a currency, per cent or a unit, on one side."""
    if before:
        return not after and (
            unicodedata.category(before[-1]) == "Sc" or (len(before) > 1 and before.isupper())
        )
    return all(
        letter.isalpha() or letter in "%‰°²³µ/" or unicodedata.category(letter) == "Sc" for letter in after
    )


def _bare(text: str, point: str) -> str:
    return re.sub(f"[^0-9{point}-]", "", text).replace(",", ".")


def as_numbers(found: Mapping[str, WrittenNumbers], file: DataFile) -> str:
    """What to do about the columns, as the end of a message."""
    if file.kind == "json":
        return "write numbers there, such as " + next(iter(found.values())).value
    commas = file.kind == "csv" and "decimal=','" in file.options
    taken = {name: {f"[^0-9{one.point}-]": ""} for name, one in found.items()}
    pointed = {name: {",": "."} for name, one in found.items() if one.point == "," and not commas}
    changed = "".join(f".replace({each!r}, regex=True)" for each in (taken, pointed) if each)
    if file.kind == "parquet":
        changed += f".pipe(lambda f: f.assign(**{{n: pandas.to_numeric(f[n]) for n in {list(found)!r}}}))"
        read = f"pandas.read_parquet({file}, dtype_backend='numpy_nullable')"
        said = f"{read}{changed}.to_parquet('evaluation.parquet')"
    else:
        said = (
            f"pandas.read_csv({file}, dtype=str, keep_default_na=False){changed}"
            ".to_csv('evaluation.csv', index=False)"
        )
    return f"write numbers: {written_beside(said, file.path)}"


def if_numbers(columns: Mapping[str, pa.Array | pa.ChunkedArray], file: DataFile) -> str:
    """What to do if a model takes columns of text as numbers; empty: none of them holds any."""
    found = {name: one for name, cells in columns.items() if (one := written_numbers(cells, file))}
    if not found:
        return ""
    each = ", ".join(f"{one.example!r} in {name!r} for {one.value}" for name, one in found.items())
    return f"if it takes {each}, {as_numbers(found, file)}"
