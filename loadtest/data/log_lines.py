"""The lines of a log, plain or packed with gzip: bounded in size, and each named where it is bad."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from loadtest.errors import DatasetError

LONGEST_LINE = 4 * 2**20
"""Bytes."""
LARGEST_LOG = 2 * 2**30
"""Bytes, unpacked."""
_NAMED = 3
"""Bad lines that a message names."""


def read_lines(path: Path, key: str) -> Generator[tuple[int, str], None, None]:
    """The lines that are not empty, and their numbers from 1.

    ``key`` is that of the experiment which names the file, with what it must name.

    Raises:
        DatasetError: while they are read: the file is not there, not text, or too large.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else raw as file:
                yield from _lines(path, file)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; {key}") from None
    except IsADirectoryError:
        raise DatasetError(f"{path}: is a folder; name one file: cat {path}/* > log.jsonl") from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{path}: not readable ({why})") from None


def _lines(path: Path, file: BinaryIO | gzip.GzipFile) -> Iterator[tuple[int, str]]:
    read = number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number, read = number + 1, read + len(line)
        if len(line) > LONGEST_LINE:
            raise DatasetError(
                f"{path}: line {number:,} is longer than {LONGEST_LINE // 2**20} MiB; "
                "a log has one request per line"
            )
        if read > LARGEST_LOG:
            raise DatasetError(f"{path}: is larger than {LARGEST_LOG // 2**30} GiB; cut it into smaller logs")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DatasetError(f"{path}: line {number:,} is not UTF-8; is this a log?") from None
        if text.strip():
            yield number, text


def object_of(text: str) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        ValueError: it is none; says why.
    """
    try:
        record = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}, column {error.colno})") from None
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")
    return record


def is_part_of_json(text: str) -> bool:
    """Whether a line that is not JSON is the beginning of an object, or several of them."""
    text = text.strip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except RecursionError:
        return False
    return text[end:].lstrip()[:1] == "{"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class BadLines:
    """The lines of a file that cannot be read: all are counted, the first ones are named."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._named: list[str] = []
        self._count = 0

    def add(self, line: int, why: object) -> None:
        """Note one; an error without words is of one that is nested too deeply."""
        self._count += 1
        if self._count <= _NAMED:
            self._named.append(f"line {line:,}: {str(why) or 'nested too deeply'}")

    def refuse(self) -> None:
        """Raise ``DatasetError`` if there are any."""
        if self._count:
            more = f"; and {self._count - _NAMED:,} more" if self._count > _NAMED else ""
            them = "it" if self._count == 1 else "them"
            raise DatasetError(f"{self._path}: {'; '.join(self._named)}{more}; mend or remove {them}")
