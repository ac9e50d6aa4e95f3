"""FlatBuffers (https://flatbuffers.dev), read within their bytes.

A library that follows offsets does not check them all.
"""

from __future__ import annotations

from struct import unpack_from
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from services.model_server.boosters.arrays import require


class Table:
    """One table of a buffer: fields by their number in the schema, None or empty where they are left out.

    ::

        root = Table.root(data)
        root.table(1).numbers(2, "<i4")

    Raises:
        ValueError: an offset leads out of the bytes, or a text is no UTF-8.
    """

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        self._fields = place - self._read("<i", place)
        self._size = self._read("<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a buffer holds."""
        require(len(data) >= 4, "its length")
        return cls(data, unpack_from("<I", data)[0])

    def number(self, field: int, kind: str, default: int) -> int:
        """A whole number of ``kind``, as ``struct`` names it."""
        place = self._field(field)
        return default if place is None else self._read(kind, place)

    def table(self, field: int) -> Table | None:
        """A table."""
        place = self._field(field)
        return None if place is None else Table(self._data, self._target(place))

    def numbers(self, field: int, kind: DTypeLike) -> NDArray[Any]:
        """A vector of numbers, or of structs; shape (length,)."""
        place, length = self._vector(field)
        dtype = np.dtype(kind)
        require(length * dtype.itemsize <= len(self._data) - place, "the length of a vector")
        return np.frombuffer(self._data, dtype, length, place)

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        return [Table(self._data, place) for place in self._targets(field)]

    def text(self, field: int) -> str:
        """A string; empty where it is left out."""
        place = self._field(field)
        return "" if place is None else self._text(self._target(place))

    def texts(self, field: int) -> list[str]:
        """A vector of strings."""
        return [self._text(place) for place in self._targets(field)]

    def _text(self, place: int) -> str:
        length = self._read("<I", place)
        require(length <= len(self._data) - place - 4, "the length of a text")
        return self._data[place + 4 : place + 4 + length].decode()

    def _targets(self, field: int) -> list[int]:
        place, length = self._vector(field)
        require(length * 4 <= len(self._data) - place, "the length of a vector")
        return [self._target(place + 4 * number) for number in range(length)]

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the first element is, and how many there are."""
        place = self._field(field)
        if place is None:
            return 0, 0
        start = self._target(place)
        return start + 4, self._read("<I", start)

    def _field(self, field: int) -> int | None:
        at = 4 + 2 * field
        offset = self._read("<H", self._fields + at) if at + 2 <= self._size else 0
        return self._place + offset if offset else None

    def _target(self, place: int) -> int:
        return place + self._read("<I", place)

    def _read(self, kind: str, place: int) -> int:
        # a negative place would count from the end
        require(0 <= place <= len(self._data) - np.dtype(kind).itemsize, "an offset")
        return int(unpack_from(kind, self._data, place)[0])
