"""UBJSON (https://ubjson.org), as XGBoost writes it: big-endian, typed arrays, keys without a marker."""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMBERS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_DEEPEST = 32
_MOST_KEYS = 10_000


def load_ubjson(data: bytes) -> Any:
    """The document in ``data``: typed arrays as NumPy's, everything else as ``json`` gives it.

    Raises:
        ValueError: it is none, or holds what XGBoost does not write (a key twice, more after its end).
    """
    reader = _Reader(data)
    found = reader.value(reader.take(1), 0)
    if reader.place != len(data):
        raise ValueError(f"{len(data) - reader.place} bytes follow its end")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        if count < 0 or count > len(self._data) - self.place:
            raise ValueError(f"it ends too early, after {len(self._data)} bytes")
        self.place += count
        return self._data[self.place - count : self.place]

    def value(self, kind: bytes, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} deep")
        if kind in _NUMBERS:
            dtype = np.dtype(_NUMBERS[kind])
            return np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()
        match kind:
            case b"S":
                return self._text()
            case b"C":
                return self.take(1).decode("latin-1")
            case b"Z":
                return None
            case b"T" | b"F":
                return kind == b"T"
            case b"{":
                return self._object(depth)
            case b"[":
                return self._array(depth)
        raise ValueError(f"byte {self.place} is {kind!r}, which begins no value")

    def _count(self) -> int:
        found = self.value(self.take(1), _DEEPEST)
        if type(found) is not int or found < 0:
            raise ValueError(f"the length at byte {self.place} is none")
        return found

    def _text(self) -> str:
        return self.take(self._count()).decode()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        count: int | None = None
        if self._data[self.place : self.place + 1] == b"#":
            self.take(1)
            count = self._count()
        while count is None or len(found) < count:
            if count is None and self._data[self.place : self.place + 1] == b"}":
                self.take(1)
                break
            key = self._text()
            if key in found or len(found) > _MOST_KEYS:
                raise ValueError(f"the key {key[:40]!r} is in it twice, or is one of too many")
            found[key] = self.value(self.take(1), depth + 1)
        return found

    def _array(self, depth: int) -> Any:
        ahead = self._data[self.place : self.place + 1]
        if ahead == b"$":
            kind = self.take(3)[1:2]
            if kind not in _NUMBERS or self._data[self.place - 1 : self.place] != b"#":
                raise ValueError(f"the array at byte {self.place} is of no numbers")
            dtype = np.dtype(_NUMBERS[kind])
            return np.frombuffer(self.take(self._count() * dtype.itemsize), dtype)
        count: int | None = None
        if ahead == b"#":
            self.take(1)
            count = self._count()
        found: list[Any] = []
        while count is None or len(found) < count:
            kind = self.take(1)
            if count is None and kind == b"]":
                break
            found.append(self.value(kind, depth + 1))
        return found
