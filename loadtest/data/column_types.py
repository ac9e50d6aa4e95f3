"""What a column holds: float64, int64, bool or text, any cell missing; or something that no model is sent.

Cells of text become numbers only where every cell of the column is one. What counts as missing: in a column
of text the empty cell alone, so that ``NA`` and ``null`` stay what they are; in a column of numbers or truth
values the words of ``MISSING``, too, as in pandas.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.text_columns import MISSING

EXACT = 2**53
"""Up to here float64 has every whole number."""
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_WITH_COMMA = r"^[-+]?(\d+,?\d*|,\d+)([eE][-+]?\d+)?$"
# 1,234 is a thousand in English and a fraction in German
_EITHER = r"^[-+]?[1-9]\d{0,2},\d{3}$"
_THOUSANDS = r"^[-+]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?$"
_FEW = 1_000


@dataclass(frozen=True)
class Column:
    """A column and its type.

    Args:
        name: as the file has it.
        cells: float64, int64, bool or string, null where a cell is missing; of type null: nothing of these.
        holds: what keeps it from being sent, such as ``lists``; None: nothing does.
        written: the cells as text, where ``cells`` cannot give it back; None: it can.
        note: what a person should know of it, in a line.
    """

    name: str
    cells: pa.Array
    holds: str | None = None
    written: pa.Array | None = None
    note: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is float64, int64 or bool, and not all missing."""
        return self.holds is None and not pa.types.is_string(self.cells.type)


def from_text(columns: Iterable[tuple[str, pa.Array, bool]]) -> tuple[list[Column], bool]:
    """The types of columns of a text file, and whether it has decimal commas.

    Args:
        columns: name, cells as written, and whether they are to stay text.
    """
    given = list(columns)
    typed = [
        Column(name, pc.replace_with_mask(cells, pc.equal(cells, ""), pa.scalar(None, pa.string())))
        if as_text
        else _typed(name, cells)
        for name, cells, as_text in given
    ]
    asked = [
        not as_text and column.holds is None and pa.types.is_string(column.cells.type)
        for column, (_, _, as_text) in zip(typed, given, strict=True)
    ]
    comma = [
        _decimal_comma(column.cells) if text else None for column, text in zip(typed, asked, strict=True)
    ]
    commas = "yes" in comma
    for place, column in enumerate(typed):
        cells = given[place][1]
        if comma[place] is not None and commas:
            pointed = pc.replace_substring(_trimmed(cells), ",", ".")
            typed[place] = _kept(_typed(column.name, pointed), cells)
        elif asked[place]:
            typed[place] = _explained(column, cells)
        elif commas and not given[place][2] and _all(pc.match_substring_regex(cells, _THOUSANDS)):
            typed[place] = Column(column.name, cells, note=_ambiguous(column.name, cells))
    return typed, commas


def from_arrow(name: str, column: pa.ChunkedArray) -> Column:
    """The type of a column that has one already, as in Parquet."""
    cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
    if isinstance(cells.type, pa.BaseExtensionType):
        cells = cells.storage
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return from_arrow(name, cells.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return from_arrow(name, pc.run_end_decode(cells))
    if pa.types.is_null(kind) or (len(cells) and cells.null_count == len(cells)):
        return Column(name, pa.nulls(len(cells), pa.float64()), "no values")
    if pa.types.is_boolean(kind):
        return Column(name, cells)
    if pa.types.is_integer(kind):
        return _whole(name, cells)
    if pa.types.is_floating(kind):
        written = cells.cast(pa.string()) if kind != pa.float64() else None
        numbers = cells.cast(pa.float64())
        numbers = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
        return Column(name, numbers, written=written)
    if pa.types.is_decimal(kind):
        return _decimal(name, cells)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Column(name, cells.cast(pa.string()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        try:
            # files of old writers have text without the mark that it is text
            return Column(name, cells.cast(pa.binary()).cast(pa.string()))
        except pa.ArrowException:
            return Column(name, pa.nulls(len(cells)), "bytes")
    if pa.types.is_temporal(kind):
        return Column(name, _dates(cells), "dates or times")
    what = {pa.types.is_struct: "records", pa.types.is_map: "maps"}
    return Column(
        name, pa.nulls(len(cells)), next((says for is_it, says in what.items() if is_it(kind)), "lists")
    )


def _typed(name: str, cells: pa.Array) -> Column:
    blank = pc.equal(cells, "")
    if _all(blank):
        return Column(name, pa.nulls(len(cells), pa.float64()), "no values")
    filled = pc.replace_with_mask(cells, blank, pa.scalar(None, pa.string()))
    number = _number(filled)
    if number is None or _is_doubtful(number):
        words = pc.is_in(pc.utf8_trim_whitespace(filled), pa.array([*MISSING, ""]))
        plain = pc.replace_substring_regex(_trimmed(filled), r"^\+([0-9.])", r"\1")
        plain = pc.replace_with_mask(plain, words, pa.scalar(None, pa.string()))
        if plain.null_count == len(plain):
            return Column(name, filled)
        number = _number(plain)
        if number is None:
            number = _truth(plain)
    if number is None:
        return Column(name, filled)
    return _kept(Column(name, number), cells)


def _is_doubtful(number: pa.Array) -> bool:
    """Whether a word for a missing cell became NaN, or ``+1`` a float64."""
    if not pa.types.is_floating(number.type):
        return False
    return bool(pc.any(pc.is_nan(number)).as_py() or _all(pc.equal(number, pc.trunc(number))))


def _number(cells: pa.Array) -> pa.Array | None:
    """int64 or float64; None: some cell is no number, or one whose digits a number would lose."""
    whole = _cast(cells, pa.int64())
    if whole is not None:
        # Arrow takes 0x1F for a whole number
        return None if pc.any(pc.match_substring_regex(cells, "[xX]")).as_py() else whole
    number = _cast(cells, pa.float64())
    if number is None:
        return None
    if (pc.max(pc.abs(number)).as_py() or 0) >= EXACT and pc.any(
        pc.match_substring_regex(cells, r"^[-+]?[0-9]{16,}$")
    ).as_py():
        return None
    return number


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The cells as numbers; None: one of them is none."""
    try:
        # Arrow makes an error of every cell that is none, so most columns are found out by their first
        cells[:_FEW].cast(kind)
        return cells.cast(kind)
    except pa.ArrowException:
        return None


def _truth(cells: pa.Array) -> pa.Array | None:
    if not _all(pc.is_in(cells.drop_null(), pa.array([*_TRUE, *_FALSE]))):
        return None
    return pc.if_else(pc.is_valid(cells), pc.is_in(cells, pa.array(_TRUE)), pa.scalar(None, pa.bool_()))


def _kept(column: Column, cells: pa.Array) -> Column:
    """A column of numbers, with its text where that says more than they do."""
    kind = column.cells.type
    if pa.types.is_integer(kind):
        same = pc.fill_null(pc.equal(column.cells.cast(pa.string()), cells), True)
        if _all(same):
            return column
        zeros = pc.match_substring_regex(cells, r"^\s*[-+]?0[0-9]")
        note = None
        if example := _first(cells, zeros):
            note = f"column {column.name!r}: {example[1]!r} is the number {column.cells[example[0]].as_py()}"
        return Column(column.name, column.cells, written=cells, note=note)
    if pa.types.is_floating(kind) and pc.count_distinct(cells[: 10 * _FEW]).as_py() <= _FEW:
        return Column(column.name, column.cells, written=cells)
    return column


def _decimal_comma(cells: pa.Array) -> str | None:
    """Whether a column of text is numbers with decimal commas: ``yes``, ``perhaps``, or None for no."""
    trimmed = _trimmed(cells)
    words = pc.is_in(trimmed, pa.array([*MISSING, ""]))
    trimmed = pc.replace_with_mask(trimmed, words, pa.scalar(None, pa.string()))
    if trimmed.null_count == len(trimmed) or not _all(pc.match_substring_regex(trimmed, _WITH_COMMA)):
        return None
    with_comma = trimmed.drop_null().filter(pc.match_substring(trimmed.drop_null(), ","))
    if not len(with_comma):
        return None
    return "perhaps" if _all(pc.match_substring_regex(with_comma, _EITHER)) else "yes"


def _explained(column: Column, cells: pa.Array) -> Column:
    """A column of text, and why it is text where most of it looks like numbers."""
    filled = column.cells.drop_null()
    numbers = pc.match_substring_regex(filled, _NUMBER)
    long = pc.match_substring_regex(filled, r"^\s*[-+]?[0-9]{16,}\s*$")
    share = (pc.sum(numbers).as_py() or 0) / max(len(filled), 1)
    note = None
    if pc.any(long).as_py() and share == 1:
        example = filled.filter(long)[0].as_py()
        note = f"column {column.name!r} is text: float64 does not have all digits of {example}"
    elif share >= 1 / 2:
        words = pc.invert(pc.match_substring_regex(cells, _NUMBER))
        row, cell = _first(cells, pc.and_(words, pc.not_equal(cells, ""))) or (0, "")
        note = f"column {column.name!r} is text: row {row + 1} reads {cell!r}"
    elif len(filled) and _all(pc.match_substring_regex(filled, _THOUSANDS)):
        note = _ambiguous(column.name, filled)
    elif words := pc.unique(filled.filter(pc.is_in(filled, pa.array(MISSING)))).to_pylist():
        note = f"column {column.name!r}: {', '.join(map(repr, words))} is text; only empty cells are missing"
    return Column(column.name, column.cells, note=note)


def _ambiguous(name: str, cells: pa.Array) -> str:
    return (
        f"column {name!r} is text: {cells[0].as_py()!r} may have separators of thousands or a decimal "
        "comma; write numbers with a decimal point, and nothing between thousands"
    )


def _whole(name: str, cells: pa.Array) -> Column:
    try:
        return Column(name, cells.cast(pa.int64()))
    except pa.ArrowException:
        note = f"column {name!r} is text: int64 does not hold its largest, {pc.max(cells).as_py()}"
        return Column(name, cells.cast(pa.string()), note=note)


def _decimal(name: str, cells: pa.Array) -> Column:
    text = pa.array([None if cell is None else f"{cell:f}" for cell in cells.to_pylist()], pa.string())
    # 15 decimal digits survive float64 and back
    if cells.type.precision <= 15 or (pc.max(pc.utf8_length(text)).as_py() or 0) <= 15:
        number = text.cast(pa.float64())
        return Column(name, number.cast(pa.int64()) if cells.type.scale <= 0 else number, written=text)
    if cells.type.scale <= 0:
        try:
            return Column(name, text.cast(pa.int64()), written=text)
        except pa.ArrowException:
            pass
    return Column(
        name, text, note=f"column {name!r} is text: float64 does not have all digits of {cells.type}"
    )


def _dates(cells: pa.Array) -> pa.Array:
    try:
        return cells.cast(pa.string())
    except pa.ArrowException:
        return pa.array([None if cell is None else str(cell) for cell in cells.to_pylist()], pa.string())


def _trimmed(cells: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(cells)


def _first(cells: pa.Array, marked: pa.Array) -> tuple[int, str] | None:
    """The first cell that is marked, and its place."""
    places = np.flatnonzero(pc.fill_null(marked, False).to_numpy(zero_copy_only=False))
    return (int(places[0]), cells[int(places[0])].as_py()) if len(places) else None


def _all(flags: pa.Array) -> bool:
    """Whether all that are not null are true, and there is one."""
    return bool(pc.all(flags, min_count=1).as_py())
