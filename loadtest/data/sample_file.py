"""``samples.parquet`` as it is read: held against its checksum, then a few columns at a time.

A hundred million samples are more than a machine's memory holds at once; one column of them is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.errors import UsageError

_DISTINCT = 4
"""Cells of a text column per distinct text, from which on texts are kept once, as a dictionary."""


class SampleFile:
    """A sample file, which must not change while it is read.

    Args:
        path: of the file.
        schema: of its samples; texts that repeat are read as a dictionary instead.
        later: columns that older runs lack; they are null there.
        kept: what must live as long as the file is read, such as its temporary folder.

    Raises:
        UsageError: it differs from what was written.
        OSError, pa.ArrowException, KeyError: it is no sample file.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, later: Collection[str] = (), kept: object = None
    ) -> None:
        self.path, self._kept = path, kept
        with path.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._state = _state(os.fstat(file.fileno()))
        stated = _stated(path)
        if stated not in (None, self.digest):
            raise UsageError(
                f"{path}: not what was measured, its SHA-256 is not the one in {checksum_of(path).name}; "
                "take the file from a copy of the run, or measure again"
            )
        with pq.ParquetFile(path) as parquet:
            self.rows = int(parquet.metadata.num_rows)
            self._there = set(parquet.schema_arrow.names)
        if missing := [name for name in schema.names if name not in self._there and name not in later]:
            raise KeyError(missing[0])
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        self._schema, self._repeating = schema, [name for name in texts if self._repeats(name)]

    def parts(self, names: Sequence[str], *, encoded: bool = True) -> Iterator[pa.Table]:
        """These columns, one row group after the other; texts that repeat as a dictionary, if ``encoded``."""
        there = [name for name in names if name in self._there]
        dictionaries = [name for name in self._repeating if encoded and name in there]
        if _state(self.path.stat()) != self._state:
            raise UsageError(f"{self.path}: it changed while it was read; try again")
        with pq.ParquetFile(self.path, read_dictionary=dictionaries) as parquet:
            for number in range(parquet.num_row_groups):
                table = parquet.read_row_group(number, columns=there)
                rows = int(parquet.metadata.row_group(number).num_rows)
                yield pa.table([self._cells(table, name, rows, dictionaries) for name in names], names)

    def table(self) -> pa.Table:
        """All of it, in one piece."""
        parts = [part.cast(self._schema) for part in self.parts(self._schema.names, encoded=False)]
        return pa.concat_tables(parts).unify_dictionaries() if parts else self._schema.empty_table()

    def _cells(self, table: pa.Table, name: str, rows: int, dictionaries: list[str]) -> pa.ChunkedArray:
        kind = self._schema.field(name).type
        if name not in self._there:
            return pa.chunked_array([pa.nulls(rows, kind)])
        return table[name] if name in dictionaries else table[name].cast(kind)

    def _repeats(self, name: str) -> bool:
        if name not in self._there or not self.rows:
            return False
        with pq.ParquetFile(self.path, read_dictionary=[name]) as parquet:
            cells = parquet.read_row_group(0, columns=[name])[name]
        distinct = max((len(chunk.dictionary) for chunk in cells.chunks), default=0)
        return distinct * _DISTINCT <= len(cells)


def checksum_of(path: Path) -> Path:
    """The file beside a sample file that holds its SHA-256."""
    return path.with_name(path.name + ".sha256")


def move_checked(partial: Path, path: Path) -> None:
    """Move a sample file that is whole to its name, and write the checksum beside it."""
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # without the old one until the new file is there: a checksum of other samples would refuse them
    checksum_of(path).unlink(missing_ok=True)
    partial.replace(path)
    checksum_of(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def _stated(path: Path) -> str | None:
    """The SHA-256 that stands beside a sample file; None: none does, as in older runs."""
    try:
        return (checksum_of(path).read_text(encoding="utf-8").split() or [""])[0]
    except FileNotFoundError:
        return None


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
