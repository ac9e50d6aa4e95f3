"""The columns of a Parquet file; or what of it cannot be read, and what to do about that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contract.text_columns import written_beside
from loadtest.data.column_types import Column, from_arrow
from loadtest.data.recorded import is_recorded
from loadtest.errors import DatasetError

_BROKEN = (OSError, pa.ArrowException, UnicodeDecodeError)
_AGAIN = "copy or download it again"
_NAMED = 8
"""So many columns that cannot be read are named."""


def read_parquet(
    path: Path, content: bytes | None, as_json: Callable[[str, pa.ChunkedArray], Column], nested: str | None
) -> tuple[list[Column], tuple[str, ...]]:
    """Its columns, in the file's order, and the names of those that are pandas' index.

    A list, map or record that Arrow cannot read is left out, as no model is sent any.

    ``content`` None: the file is on this machine. ``as_json`` reads the lists and records of the column
    ``nested``.

    Raises:
        DatasetError: it is cut short, broken or encrypted, or Arrow cannot read one of its columns.
    """
    try:
        file = pq.ParquetFile(path if content is None else pa.BufferReader(content))
    except _BROKEN as error:
        raise DatasetError(f"{path}: {_unopened(path, content, _one_line(error))}") from None
    schema = file.schema_arrow
    try:
        # read_table would refuse names that stand there twice
        read = list(file.read().columns)
    except _BROKEN as error:
        read = _by_column(path, file, schema, nested, _one_line(error))
    described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    index = tuple(name for name in described.get("index_columns", ()) if isinstance(name, str))
    columns = []
    for field, cells in zip(schema, read, strict=True):
        if is_recorded(field):
            continue
        if isinstance(cells, str):
            columns.append(Column(field.name, pa.nulls(file.metadata.num_rows), cells))
            continue
        try:
            wanted = field.name == nested and pa.types.is_nested(field.type)
            columns.append(as_json(field.name, cells) if wanted else from_arrow(field.name, cells))
        except _BROKEN as error:
            raise _unreadable(path, file, {field.name: _one_line(error)}) from None
    return columns, index


def _by_column(
    path: Path, file: pq.ParquetFile, schema: pa.Schema, nested: str | None, said: str
) -> list[pa.ChunkedArray | str]:
    """Each column by itself; in place of lists, maps or records that cannot be read, what they are."""
    leaves = {file.schema.column(place).path.split(".")[0] for place in range(file.metadata.num_columns)}
    if len(schema) != len(leaves) or leaves != set(schema.names):
        raise DatasetError(f"{path}: not readable as Parquet ({said}); {_AGAIN}, or {_rewrite(file)}")
    read: list[pa.ChunkedArray | str] = []
    flat = {}
    for field in schema:
        try:
            cells = file.read(columns=[field.name]).column(0)
            if len(cells) != file.metadata.num_rows:
                raise pa.ArrowInvalid(f"{len(cells)} of {file.metadata.num_rows} rows")
            read.append(cells)
        except _BROKEN as error:
            read.append("lists or records that Arrow cannot read")
            if not pa.types.is_nested(field.type) or field.name == nested:
                flat[field.name] = _one_line(error)
    if flat:
        raise _unreadable(path, file, flat)
    return read


def _unreadable(path: Path, file: pq.ParquetFile, why: dict[str, str]) -> DatasetError:
    """Which columns Arrow cannot read, how they are packed, and the file without them."""
    names = list(why)
    told = ", ".join(map(repr, names[:_NAMED])) + (
        f" and {len(names) - _NAMED} more" if names[_NAMED:] else ""
    )
    said = why[names[0]]
    # Arrow ends the whole process where it is asked about a column that is encrypted
    if "decrypt" in said.lower():
        text = f"{path}: is encrypted in {told}; write it again without encryption"
    else:
        text = (
            f"{path}: not readable in {told} ({said}{_packed(file, names[0])}); {_AGAIN}, or {_rewrite(file)}"
        )
    if len(names) == len(file.schema_arrow.names):
        return DatasetError(text)
    kept = f"[name for name in pyarrow.parquet.read_schema({str(path)!r}).names if name not in {names!r}]"
    left_out = (
        f"{text}, or leave {'it' if len(names) == 1 else 'them'} out: "
        f"pandas.read_parquet({str(path)!r}, columns={kept}).to_parquet('evaluation.parquet')"
    )
    return DatasetError(written_beside(left_out, str(path)))


def _packed(file: pq.ParquetFile, name: str) -> str:
    if not file.metadata.num_row_groups:
        return ""
    group = file.metadata.row_group(0)
    chunks = (group.column(place) for place in range(group.num_columns))
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] == name)
    return f"; {chunk.physical_type}, {chunk.compression}, {' '.join(chunk.encodings)}"


def _rewrite(file: pq.ParquetFile) -> str:
    by = file.metadata.created_by
    return f"write it again{f' with another version than {by}' if by else ''}"


def _unopened(path: Path, content: bytes | None, said: str) -> str:
    if content is None:
        with path.open("rb") as file:
            file.seek(-4, 2)
            content = file.read()
    if not content.endswith(b"PAR1"):
        return f"is cut short: it does not end with PAR1, as Parquet does; {_AGAIN}"
    return (
        f"not readable as Parquet: what describes its columns is broken ({said}); {_AGAIN}, or write it again"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
