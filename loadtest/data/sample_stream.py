"""Samples on the disk while they come: ``samples.stream``, which any death of a process leaves readable.

The load generator appends what it gathers about once a second; ``samples.parquet`` is written from the file
when the run is over, and the file goes. After a first line, which names the format, come records::

    kind (1 byte)   S: samples, as SampleSet.to_bytes gives them; F: facts, a JSON object
    length, CRC-32  of the payload, 4 bytes each, little-endian
    payload

Records count up to the first that is not whole: a process that died while it wrote, or a full disk, costs
the record that it was at. Beside the file lies a reserve, which makes room for what must still be written
when the disk is full. Records are with the kernel once written: they outlive the process, not the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.data.run_folder import RESERVE, STREAM
from loadtest.data.sample_file import move_checked
from loadtest.data.samples import SCHEMA, SampleSet

_MAGIC = b"loadproof samples 1\n"
_HEAD = struct.Struct("<cII")
_SAMPLES, _FACTS = b"S", b"F"
_RESERVED = 2**20
_ROWS = 2**18
"""Samples of one row group: what is in memory at once."""


class SampleStream:
    """The file while it grows: ``SampleStream(folder).add(report.samples, facts)``.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, write: Callable[[int, memoryview], int] = os.write) -> None:
        self.path = folder / STREAM
        self._reserve = folder / RESERVE
        self._write = write
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file: int | None = os.open(self.path, flags, 0o644)
        self._size = 0
        try:
            # noise, which no file system makes smaller
            self._reserve.write_bytes(os.urandom(_RESERVED))
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    def add(self, samples: bytes, facts: dict[str, Any]) -> None:
        """Append samples, which may be none, and the facts that hold with them.

        Raises:
            OSError: the disk takes no more; what was there before stays whole, and the reserve is free.
        """
        try:
            self._append((_record(_SAMPLES, samples) if samples else b"") + _facts(facts))
        except OSError:
            self._reserve.unlink(missing_ok=True)
            raise

    def close(self, facts: dict[str, Any] | None = None) -> None:
        """Let go of the file and free the reserve; ``facts`` are the last, if there is room; idempotent."""
        self._reserve.unlink(missing_ok=True)
        if self._file is None:
            return
        if facts is not None:
            with contextlib.suppress(OSError):
                self._append(_facts(facts))
        os.close(self._file)
        self._file = None

    def _append(self, data: bytes) -> None:
        if self._file is None:
            raise ValueError(f"{self.path} is closed")
        # an empty file is of a run that has measured nothing
        whole = data if self._size else _MAGIC + data
        rest = memoryview(whole)
        try:
            while rest:
                rest = rest[self._write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._size)  # the next record must not follow half a one
            raise
        self._size += len(whole)


class StoredStream(NamedTuple):
    """What a ``samples.stream`` holds.

    Args:
        path: the file.
        facts: the last that were written, by their names; empty: none were.
        size: bytes of all whole records.
        torn: bytes behind them that are no whole record.
        digest: SHA-256 of the whole records, in hexadecimal.
    """

    path: Path
    facts: dict[str, Any]
    size: int
    torn: int
    digest: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Look through the file, a record at a time.

        Raises:
            OSError: it cannot be read.
        """
        facts: dict[str, Any] = {}
        size, digest = 0, hashlib.sha256()
        for kind, record, payload in _records(path):
            digest.update(record)
            size += len(record)
            if kind == _FACTS:
                facts |= json.loads(payload)
        return cls(path, facts, size, path.stat().st_size - size, digest.hexdigest())

    def samples(self) -> Iterator[SampleSet]:
        """The samples in the order in which they came, in the pieces in which they came."""
        for kind, _, payload in _records(self.path):
            if kind == _SAMPLES:
                yield SampleSet.from_bytes(payload)


def stream_facts(load: dict[str, Any], settled: float | None = None) -> dict[str, Any]:
    """Facts of a stream, beside which there may be ``trouble``: why nothing more was written.

    Args:
        load: what ``load.json`` would hold of the run so far.
        settled: seconds since time zero before which every arrival has its samples; None: all have.
    """
    return {"load": load, "settled": settled}


def write_parquet(pieces: Iterable[SampleSet], path: Path) -> None:
    """Write pieces of one run to one Parquet file, whole or not at all, as ``SampleSet.write`` does.

    Memory is that of one row group, whatever the length of the run.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            for group in _groups(pieces):
                writer.write_table(group)
        move_checked(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _groups(pieces: Iterable[SampleSet]) -> Iterator[pa.Table]:
    group: list[SampleSet] = []
    rows = 0
    for piece in pieces:
        group.append(piece)
        rows += len(piece)
        if rows >= _ROWS:
            yield SampleSet.concat(group).table
            group, rows = [], 0
    if group:
        yield SampleSet.concat(group).table


def _facts(facts: dict[str, Any]) -> bytes:
    return _record(_FACTS, json.dumps(facts, allow_nan=False).encode())


def _record(kind: bytes, payload: bytes) -> bytes:
    return _HEAD.pack(kind, len(payload), zlib.crc32(payload)) + payload


def _records(path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, bytes and payload of each whole record; the first is the line that names the format."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return
        yield b"", _MAGIC, b""
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            kind, length, checksum = _HEAD.unpack(head)
            payload = file.read(length)
            if len(payload) < length or kind not in (_SAMPLES, _FACTS) or zlib.crc32(payload) != checksum:
                return
            yield kind, head + payload, payload
