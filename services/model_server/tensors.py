"""Tensors of the Open Inference Protocol: JSON, flat or nested, and the binary extension.

In the binary extension the JSON is followed by the raw bytes of the tensors, little-endian, row by row; a
BYTES element is its length in four bytes and then itself.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from contract.datatypes import FLOATS, INTEGERS, InputDatatype
from services.model_server.errors import RequestError

DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype((FLOATS | INTEGERS)[name]) for name in get_args(InputDatatype)
}
"""The datatypes that an input may have."""

_INTEGER = frozenset([int])
_NUMBER = frozenset([int, float])
_NOTHING = nullcontext()


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model: ``TensorSpec("features", "FP64", (-1, 12))``; -1 is the number of rows.

    A column that is ``required`` has no missing cells.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    required: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the arrays that an input becomes."""
        return DTYPES[self.datatype]

    def metadata(self) -> dict[str, Any]:
        """The tensor as the protocol's metadata shows it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    def wrong(self, problem: str) -> RequestError:
        """What is answered to a request whose tensor is wrong."""
        return RequestError(400, f"input {self.name!r}: {problem}")

    def check_shape(self, shape: object) -> tuple[int, ...]:
        """The shape of a request's tensor, which must fit this one and hold at least one row.

        Raises:
            RequestError: 400, it does not fit.
        """
        wanted = list(self.shape)
        if not isinstance(shape, list) or not all(type(size) is int for size in shape):
            raise self.wrong(f"shape must be a list of integers such as {wanted}")
        if len(shape) != len(wanted) or shape[1:] != wanted[1:]:
            raise self.wrong(f"shape {shape} does not fit {wanted}")
        if shape[0] < 1:
            raise self.wrong(f"shape {shape} holds no rows; send at least one")
        return tuple(shape)


Input = TensorSpec | tuple[TensorSpec, ...]
"""What a version takes: a matrix of numbers in one tensor, or a tensor per named column."""


def tensors_of(given: Input) -> tuple[TensorSpec, ...]:
    """Every tensor of an input."""
    return given if isinstance(given, tuple) else (given,)


def from_json(data: object, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read a tensor's ``data``, flat (row by row) or nested as ``shape`` says.

    Raises:
        RequestError: 400, it holds too few, too many or wrong values, or is nested otherwise.
    """
    if not isinstance(data, list):
        raise spec.wrong("data must be a list of values")
    if data and type(data[0]) is list:
        data = _flatten(data, spec, shape)
    if len(data) != math.prod(shape):
        raise spec.wrong(f"data holds {len(data)} values, shape {list(shape)} needs {math.prod(shape)}")
    if not _NUMBER.issuperset(map(type, data)) or (
        spec.datatype.startswith("INT") and not _INTEGER.issuperset(map(type, data))
    ):
        raise spec.wrong(f"data must hold {spec.datatype} numbers only")
    try:
        # only FP32 can overflow to infinity, which is refused below
        with np.errstate(over="ignore") if spec.datatype == "FP32" else _NOTHING:
            array = np.array(data, DTYPES[spec.datatype]).reshape(shape)
    except OverflowError:
        raise spec.wrong(f"a value does not fit {spec.datatype}") from None
    return _finite(array, spec)


def _flatten(data: list[Any], spec: TensorSpec, shape: tuple[int, ...]) -> list[Any]:
    for size in shape[1:]:
        if not all(type(part) is list and len(part) == size for part in data):
            raise spec.wrong(f"nested data does not have shape {list(shape)}; a row differs")
        data = list(chain.from_iterable(data))
    return data


def from_bytes(raw: memoryview, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read a tensor of the binary extension.

    Raises:
        RequestError: 400, the number of bytes does not fit ``shape``, or a value is not finite.
    """
    dtype = DTYPES[spec.datatype]
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise spec.wrong(
            f"{len(raw)} bytes of binary data, "
            f"shape {list(shape)} of {spec.datatype} needs {math.prod(shape) * dtype.itemsize}"
        )
    return _finite(np.frombuffer(raw, dtype).reshape(shape), spec)


def _finite(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    if spec.datatype.startswith("FP") and not every(np.isfinite(array)):
        raise spec.wrong(f"data must be finite {spec.datatype} numbers, without NaN or infinity")
    return array


def to_bytes(array: NDArray[Any], datatype: str) -> bytes:
    """Write a tensor in the binary extension's form."""
    if datatype == "BYTES":
        texts = [str(value).encode() for value in array.ravel().tolist()]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.ascontiguousarray(array, np.dtype("?") if datatype == "BOOL" else DTYPES[datatype]).tobytes()


def is_finite(array: NDArray[Any]) -> bool:
    """Whether JSON can carry it."""
    return array.dtype.kind != "f" or every(np.isfinite(array))


def every(are_true: NDArray[np.bool_]) -> bool:
    """Whether all are; of a few, ``all`` takes three times as long."""
    return np.count_nonzero(are_true) == are_true.size  # type: ignore[no-any-return]
