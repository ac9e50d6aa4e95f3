"""Rows of named columns: what a data frame is made of, and how their tensors are read.

A column is one tensor of shape [n] or [n, 1]. In JSON ``null`` is a missing cell; in the binary extension a
NaN of an FP64 column is, and the other datatypes have none.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.model_server.errors import RequestError
from services.model_server.tensors import DTYPES, TensorSpec

_EXACT = 2**53
"""Beyond this a float64 does not hold every integer."""

_CELLS: Mapping[str, tuple[frozenset[type], str]] = {
    "FP64": (frozenset([int, float, type(None)]), "numbers or null"),
    "INT64": (frozenset([int, type(None)]), "integers or null"),
    "BOOL": (frozenset([bool, type(None)]), "true, false or null"),
    "BYTES": (frozenset([str, type(None)]), "text or null"),
}


class Columns:
    """Rows of named columns.

    Args:
        arrays: by name, in the model's order, one-dimensional and of one length: float64, int64 or bool; text
            and truth values with gaps as objects, whose missing cells are None. An integer column with gaps
            is float64, as in pandas.
    """

    __slots__ = ("_arrays", "_cells", "_specs")

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays: Mapping[str, NDArray[Any]] | None = arrays
        self._cells: list[list[Any]] | None = None
        self._specs: Sequence[TensorSpec] = ()

    @classmethod
    def of_cells(cls, cells: list[list[Any]], specs: Sequence[TensorSpec]) -> Columns:
        """Rows of checked cells by column, of which arrays are made only where somebody asks for them.

        Args:
            cells: a list per column: floats and NaN, int64 and truth values without gaps, text and None.
            specs: the columns, in the model's order.
        """
        made = cls.__new__(cls)
        made._arrays, made._cells, made._specs = None, cells, specs
        return made

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The columns by name."""
        if self._arrays is None:
            assert self._cells is not None  # noqa: S101 - it has one of both
            pairs = zip(self._specs, self._cells, strict=True)
            self._arrays = {spec.name: column(cells, spec.datatype) for spec, cells in pairs}
        return self._arrays

    @property
    def cells(self) -> list[list[Any]]:
        """The cells of every column, in the model's order; missing ones are NaN or None."""
        return [array.tolist() for array in self.arrays.values()] if self._cells is None else self._cells

    def __len__(self) -> int:
        return len(self._cells[0] if self._cells is not None else next(iter(self.arrays.values())))

    def __getitem__(self, rows: slice) -> Columns:
        if self._cells is not None:
            return Columns.of_cells([cells[rows] for cells in self._cells], self._specs)
        return Columns({name: array[rows] for name, array in self.arrays.items()})

    def take(self, rows: Sequence[int]) -> Columns:
        """The rows of these numbers, in this order."""
        if self._cells is not None:
            return Columns.of_cells([[cells[row] for row in rows] for cells in self._cells], self._specs)
        return Columns({name: array[list(rows)] for name, array in self.arrays.items()})

    @staticmethod
    def joined(parts: Sequence[Columns]) -> Columns | None:
        """All rows of parts that are cells; None where one is not."""
        lists = [part._cells for part in parts if part._cells is not None]
        if len(lists) < len(parts):
            return None
        return Columns.of_cells(
            [[*chain.from_iterable(column)] for column in zip(*lists, strict=True)], parts[0]._specs
        )


Rows = NDArray[Any] | Columns
"""Of a matrix: shape (rows, features); or of named columns."""


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other.

    Raises:
        TypeError: a column differs in its type; put together, the one part would change the other's cells.
    """
    columns = [part for part in parts if isinstance(part, Columns)]
    if not columns:
        # a loop would cost small models more than the model does
        return np.concatenate(parts)  # type: ignore[arg-type]
    if joined := Columns.joined(columns):
        return joined
    arrays = {}
    for name in columns[0].arrays:
        of_all = [part.arrays[name] for part in columns]
        if len({array.dtype for array in of_all}) > 1:
            raise TypeError(f"column {name!r} differs in its type")
        arrays[name] = np.concatenate(of_all)
    return Columns(arrays)


def check_shape(shape: object, spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a request's column, [n] or [n, 1].

    Raises:
        RequestError: 400, it is another.
    """
    if isinstance(shape, list) and len(shape) == 2 and type(shape[1]) is int and shape[1] == 1:
        return (*spec.check_shape(shape[:1]), 1)
    return spec.check_shape(shape)


def from_json(data: object, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read a column's ``data``: a list of cells, or of lists of one cell where the shape is [n, 1].

    Returns:
        As ``Columns`` holds it, shape (n,).

    Raises:
        RequestError: 400, it holds too few, too many or wrong cells.
    """
    if not isinstance(data, list):
        raise spec.wrong("data must be a list of values")
    if len(shape) == 2 and data and type(data[0]) is list:
        if not all(type(part) is list and len(part) == 1 for part in data):
            raise spec.wrong(f"nested data does not have shape {list(shape)}; a row differs")
        data = list(chain.from_iterable(data))
    if len(data) != shape[0]:
        raise spec.wrong(f"data holds {len(data)} values, shape {list(shape)} needs {shape[0]}")
    allowed, words = _CELLS[spec.datatype]
    if not allowed.issuperset(map(type, data)):
        raise spec.wrong(f"data must hold {spec.datatype} values only: {words}")
    try:
        return column(data, spec.datatype)
    except ValueError as error:
        raise spec.wrong(str(error)) from None


def column(cells: Sequence[Any], datatype: str) -> NDArray[Any]:
    """A column of Python's values, None where a cell is missing, as ``Columns`` holds it.

    Raises:
        ValueError: a number is not finite, too large, or would change beside a missing cell.
    """
    gaps = None in cells
    try:
        if datatype == "FP64":
            return _no_infinity(np.array([math.nan if cell is None else cell for cell in cells], np.float64))
        if datatype == "INT64":
            whole = np.array([0 if cell is None else cell for cell in cells], np.int64)
            return _with_gaps(whole, cells) if gaps else whole
    except OverflowError:
        raise ValueError(f"a value does not fit {datatype}") from None
    if datatype == "BOOL" and not gaps:
        return np.array(cells, np.bool_)
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def _with_gaps(whole: NDArray[Any], cells: Sequence[Any]) -> NDArray[Any]:
    if ((whole > _EXACT) | (whole < -_EXACT)).any():
        raise ValueError("an integer beyond 2^53 would change beside a missing cell; send its rows alone")
    return np.where([cell is None for cell in cells], math.nan, whole)


def _no_infinity(array: NDArray[Any]) -> NDArray[Any]:
    if np.isinf(array).any():
        raise ValueError("data must be FP64 numbers or missing, without infinity")
    return array


def from_bytes(raw: memoryview, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    """Read a column of the binary extension.

    Returns:
        As ``Columns`` holds it, shape (n,).

    Raises:
        RequestError: 400, the bytes do not fit ``shape``, are no UTF-8 or no truth values, or a number is
            infinite.
    """
    rows = shape[0]
    if spec.datatype == "BYTES":
        return column(list(_texts(raw, spec, rows)), "BYTES")
    dtype = np.dtype("u1") if spec.datatype == "BOOL" else DTYPES[spec.datatype]
    if len(raw) != rows * dtype.itemsize:
        raise spec.wrong(
            f"{len(raw)} bytes of binary data, "
            f"shape {list(shape)} of {spec.datatype} needs {rows * dtype.itemsize}"
        )
    array: NDArray[Any] = np.frombuffer(raw, dtype)
    if spec.datatype == "BOOL":
        if (array > 1).any():
            raise spec.wrong("a byte of BOOL is 0 or 1")
        return array.astype(np.bool_)
    try:
        return _no_infinity(array) if spec.datatype == "FP64" else array
    except ValueError as error:
        raise spec.wrong(str(error)) from None


def _texts(raw: memoryview, spec: TensorSpec, rows: int) -> Iterator[str]:
    at = 0
    for _ in range(rows):
        size = struct.unpack_from("<I", raw, at)[0] if at + 4 <= len(raw) else len(raw)
        at += 4 + size
        if at > len(raw):
            raise spec.wrong(f"its binary data ends within one of the {rows} texts")
        try:
            yield str(raw[at - size : at], "utf-8")
        except UnicodeDecodeError:
            raise spec.wrong("a text is not UTF-8") from None
    if at != len(raw):
        raise spec.wrong(f"{len(raw) - at} bytes follow the {rows} texts")


def read_columns(
    tensors: Sequence[Mapping[str, Any]], wanted: Sequence[TensorSpec], binary: memoryview
) -> Columns:
    """The columns of a request, whatever order they come in.

    ``wanted`` are in the model's order; ``binary`` follows the JSON.

    Raises:
        RequestError: 400, a column is missing, is not known, comes twice, or is wrong.
    """
    specs = {spec.name: spec for spec in wanted}
    found: dict[str, NDArray[Any]] = {}
    at = 0
    for tensor in tensors:
        name: Any = tensor.get("name")
        spec = specs.get(name) if isinstance(name, str) else None
        if spec is None:
            raise RequestError(400, f"unknown input {name!r}; this version takes {_some(specs)}")
        if name in found:
            raise RequestError(400, f"input {name!r} is there twice")
        if tensor.get("datatype") != spec.datatype:
            raise spec.wrong(f"datatype must be {spec.datatype}, got {tensor.get('datatype')!r}")
        shape = check_shape(tensor.get("shape"), spec)
        parameters = tensor.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise spec.wrong("parameters must be an object")
        size = parameters.get("binary_data_size")
        if size is None:
            found[name] = _checked(from_json(tensor.get("data"), spec, shape), spec)
            continue
        if "data" in tensor:
            raise spec.wrong("give data or binary_data_size, not both")
        if type(size) is not int or not 0 <= size <= len(binary) - at:
            raise spec.wrong(
                f"binary_data_size is {size!r}, {len(binary) - at} bytes are left after the JSON"
            )
        found[name] = _checked(from_bytes(binary[at : at + size], spec, shape), spec)
        at += size
    if missing := [name for name in specs if name not in found]:
        raise RequestError(400, f"inputs lack {_some(missing)}; this version takes {_some(specs)}")
    if len({len(array) for array in found.values()}) > 1:
        counts = {name: len(array) for name, array in found.items()}
        raise RequestError(400, f"the inputs differ in their rows: {counts}")
    if at != len(binary):
        raise RequestError(400, f"{len(binary) - at} bytes follow the JSON that no input claims")
    return Columns({name: found[name] for name in specs})


def _checked(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    # what is not equal to itself is NaN
    if spec.required and any(cell is None or cell != cell for cell in array.tolist()):
        raise spec.wrong("a cell is missing, and the model takes none without; send a value")
    return array


def _some(names: Sequence[str] | Mapping[str, Any]) -> str:
    listed = [repr(name) for name in names]
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
