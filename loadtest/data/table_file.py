"""A file of rows as people have it, read into columns of known types: CSV, Parquet or JSON, also as ``.gz``.

What a file is, its first bytes say; names such as ``ROWS.CSV`` or ``rows.txt`` do not matter.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from contract.label_text import label_text
from contract.text_columns import DataFile, written_beside
from loadtest.data.column_types import Column, from_arrow, from_text
from loadtest.data.csv_text import read_csv
from loadtest.data.other_files import AS_LINES, other_json, what_else
from loadtest.data.parquet_file import read_parquet
from loadtest.errors import DatasetError

# pandas writes these along, and reads a column without a name as the last one
_NAMELESS = re.compile(r"(?:__index_level_\d+__|Unnamed: \d+(?:_level_\d+)?|)")

_BLANKS = re.compile(r"\s*")
_LOOKED_AT = 4096
"""So many bytes of a file show whether it is text."""


@dataclass(frozen=True)
class TableFile:
    """The columns of a file.

    Args:
        names: all names, as the file has them.
        columns: by name; those of a name that stands there once.
        index: the columns that are pandas' index, or have no name.
        doubled: by name, the columns whose name stands there more than once.
        notes: what was decided about the file and its columns, one line each.
        file: how pandas reads it.
    """

    names: tuple[str, ...]
    columns: dict[str, Column]
    index: tuple[str, ...]
    doubled: dict[str, list[Column]]
    notes: tuple[str, ...]
    file: DataFile


def read_table_file(
    path: Path,
    content: bytes | None,
    *,
    wanted: Collection[str] = (),
    as_text: Collection[str] = (),
    nested: str | None = None,
) -> TableFile:
    """Read a file of rows.

    ``content`` None: the file is on this machine. It should have the columns ``wanted``. Cells of those in
    ``as_text`` are no numbers, whatever they look like; lists and records of ``nested`` are read, as JSON.

    Raises:
        DatasetError: the file is missing, or of no kind that can be read, or broken.
    """
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as file:
            is_parquet = file.read(4) == b"PAR1"
            read = b"" if is_parquet else path.read_bytes() if content is None else content
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file; [data] path must name the labelled evaluation set"
        ) from None
    except IsADirectoryError:
        raise DatasetError(f"{path}: is a folder; name one file, CSV or Parquet") from None
    except OSError as error:
        raise DatasetError(f"{path}: not readable ({error.strerror})") from None
    if is_parquet:
        return _gathered(*read_parquet(path, content, _as_json, nested), [], DataFile(str(path), "parquet"))
    if read.startswith(b"\x1f\x8b"):
        try:
            unpacked = gzip.decompress(read)
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"{path}: is cut short or broken ({error}); compress it again") from None
        return read_table_file(path, unpacked, wanted=wanted, as_text=as_text, nested=nested)
    if other := what_else(str(path), read):
        raise DatasetError(f"{path}: {written_beside(other, str(path))}")
    if path.suffix.lower() in (".parquet", ".pq"):
        raise DatasetError(f"{path}: is no Parquet, which begins with PAR1; {_named_wrongly(path, read)}")
    if read.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"["):
        return _from_json(path, read, nested)
    text = read_csv(path, read, wanted)
    cells = zip(text.names, text.columns, strict=True)
    columns, commas = from_text((name, column, name in as_text) for name, column in cells)
    notes = [*text.notes, *(["numbers have decimal commas"] if commas else [])]
    how = replace(text.file, options=(*text.file.options, *(["decimal=','"] if commas else [])))
    return _gathered(columns, (), notes, how)


def _named_wrongly(path: Path, content: bytes) -> str:
    if not content or b"\0" in content[:_LOOKED_AT]:
        return "copy or download it again"
    return f"if it is CSV or JSON, name it so: {shlex.join(['mv', str(path), str(path.with_suffix('.csv'))])}"


def _from_json(path: Path, content: bytes, nested: str | None) -> TableFile:
    """One object per line, or a list of objects; a key that an object lacks is a missing cell."""
    try:
        rows = _json_values(content.decode("utf-8-sig"))
    except _DoubledKeyError as error:
        raise DatasetError(f"{path}: {error}; rename or drop all but one") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path}: not readable as JSON ({error}); write one object per line in UTF-8: frame.{AS_LINES}"
        ) from None
    if len(rows) == 1:
        rows = rows[0] if isinstance(rows[0], list) else rows
        if other := other_json(str(path), rows[0] if rows else None):
            raise DatasetError(f"{path}: {written_beside(other, str(path))}")
    if not all(isinstance(row, dict) for row in rows):
        raise DatasetError(
            f"{path}: is JSON, but not one object per row, with the names of the columns as its keys; "
            f"name the columns of the frame, and write it with frame.{AS_LINES}"
        )
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [_from_objects(name, [row.get(name) for row in rows], name == nested) for name in names]
    return _gathered(columns, (), [], DataFile(str(path), "json"))


class _DoubledKeyError(Exception):
    """An object has a key more than once; a reader of JSON would drop all but the last."""

    def __init__(self, names: Sequence[str], where: str = "an object") -> None:
        self.names = names
        key, times = Counter(names).most_common(1)[0]
        super().__init__(f"{where} with the keys {', '.join(map(repr, names[:5]))} has {key!r} {times} times")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _DoubledKeyError([name for name, _ in pairs])
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _json_values(text: str) -> list[Any]:
    """The values of a text, one after the other, on one line each or on several.

    Raises:
        ValueError: it is no JSON.
        _DoubledKeyError: an object has a key more than once.
    """
    try:
        return _each_line(text)
    except ValueError as error:
        try:
            return [_DECODER.decode(text)]
        except ValueError:
            pass
        found = []
        place = len(text) - len(text.lstrip())
        while place < len(text):
            try:
                value, place = _DECODER.raw_decode(text, place)
            except ValueError:
                # of a file that is cut off, the line says more than the place
                raise error from None
            found.append(value)
            blanks = _BLANKS.match(text, place)
            place = blanks.end() if blanks else place
        return found


def _each_line(text: str) -> list[Any]:
    """The values of a text, one on each line.

    Raises:
        JSONDecodeError: a line is none; it says which.
        _DoubledKeyError: likewise of a key.
    """
    found, begin = [], 0
    # not splitlines, which cuts at characters that JSON allows inside text
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(_DECODER.decode(line))
            except json.JSONDecodeError as error:
                raise json.JSONDecodeError(error.msg, text, begin + error.pos) from None
            except _DoubledKeyError as error:
                raise _DoubledKeyError(error.names, f"the object in line {number:,}") from None
        begin += len(line) + 1
    return found


def _from_objects(name: str, cells: list[Any], is_nested: bool) -> Column:
    kinds = {type(cell) for cell in cells if cell is not None}
    if is_nested and kinds & {list, dict}:
        return Column(name, pa.array(map(_json_text, cells), pa.string()))
    if kinds <= {int, float} or kinds == {bool} or kinds == {str}:
        try:
            return from_arrow(name, pa.chunked_array([pa.array(cells)]))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            note = (
                f"column {name!r} is left out: its numbers are larger than int64, or its text is no Unicode"
            )
            return Column(name, pa.nulls(len(cells)), "numbers beyond int64, or broken text")
    if kinds <= {int, float, bool, str}:
        text = [None if cell is None else label_text(cell) for cell in cells]
        note = f"column {name!r} is text: it holds {' and '.join(sorted(kind.__name__ for kind in kinds))}"
        return Column(name, pa.array(text, pa.string()), note=note)
    return Column(name, pa.nulls(len(cells)), "lists" if list in kinds else "records")


def _as_json(name: str, column: pa.ChunkedArray) -> Column:
    """Lists, maps and records as the text of their JSON."""
    cells = column.to_pylist(maps_as_pydicts="strict" if pa.types.is_map(column.type) else None)
    return Column(name, pa.array(map(_json_text, cells), pa.string()))


def _json_text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def _gathered(columns: list[Column], index: tuple[str, ...], notes: list[str], file: DataFile) -> TableFile:
    named: dict[str, list[Column]] = {}
    for column in columns:
        named.setdefault(column.name, []).append(column)
    single = {name: same[0] for name, same in named.items() if len(same) == 1}
    return TableFile(
        names=tuple(column.name for column in columns),
        columns=single,
        index=tuple(name for name in named if name in index or _NAMELESS.fullmatch(name)),
        doubled={name: same for name, same in named.items() if len(same) > 1},
        notes=(*notes, *(column.note for column in single.values() if column.note is not None)),
        file=file,
    )
