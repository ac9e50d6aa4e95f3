"""Columns as nearly all requests bring them: flat JSON in the model's order, nothing special, nothing wrong.

To make and check an array of one element takes longer than a small model takes to answer. Here a column stays
the list that JSON made, and whatever is special about a request is left to ``columns.read_columns``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.model_server.columns import Columns
from services.model_server.tensors import TensorSpec

_CELLS: Mapping[str, frozenset[type]] = {
    "FP64": frozenset([float, int, type(None)]),
    "INT64": frozenset([int]),
    "BOOL": frozenset([bool]),
    "BYTES": frozenset([str, type(None)]),
}
"""What a column may hold; integers with gaps become floats, which has rules of its own."""

_USUAL: Mapping[str, type] = {"FP64": float, "INT64": int, "BOOL": bool, "BYTES": str}
_FLOATS = {float}
_MISSING = type(None)
_ONE, _ONE_UPRIGHT = [1], [1, 1]


def plain_columns(tensors: Sequence[Any], wanted: Sequence[TensorSpec]) -> Columns | None:
    """The columns of a request without binary tensors; None where it is another kind of request, or wrong."""
    if len(tensors) != len(wanted) or not tensors:
        return None
    try:
        rows = len(tensors[0]["data"])
        columns = _one_row(tensors, wanted) if rows == 1 else _rows(tensors, wanted, rows)
    except (AttributeError, KeyError, TypeError):
        return None
    return None if columns is None else Columns.of_cells(columns, wanted)


def _rows(
    tensors: Sequence[Mapping[str, Any]], wanted: Sequence[TensorSpec], rows: int
) -> list[list[Any]] | None:
    columns = []
    flat, upright = [rows], [rows, 1]
    for tensor, spec in zip(tensors, wanted, strict=True):
        get, datatype = tensor.get, spec.datatype
        data, shape = get("data"), get("shape")
        if get("name") != spec.name or get("datatype") != datatype or (len(tensor) > 4 and get("parameters")):
            return None
        if type(data) is not list or len(data) != rows or not rows:
            return None
        kinds = {*map(type, data)}
        if not kinds <= _CELLS[datatype] or (spec.required and _MISSING in kinds):
            return None
        # true and 1.0 are equal to 1 as well
        if (shape != flat and shape != upright) or type(shape[0]) is not int or type(shape[-1]) is not int:
            return None
        if datatype == "FP64":
            if kinds != _FLOATS:
                data = [math.nan if cell is None else float(cell) for cell in data]
            if math.inf in data or -math.inf in data:
                return None
        elif datatype == "INT64" and not (min(data) >= -(2**63) and max(data) < 2**63):
            return None
        columns.append(data)
    return columns


def _one_row(tensors: Sequence[Any], wanted: Sequence[TensorSpec]) -> list[list[Any]] | None:
    """The same of one row, which most requests bring, without what a list of one costs."""
    columns: list[list[Any]] = []
    for tensor, spec in zip(tensors, wanted, strict=True):
        datatype, data, shape = spec.datatype, tensor["data"], tensor["shape"]
        if tensor["name"] != spec.name or tensor["datatype"] != datatype:
            return None
        if (len(tensor) > 4 and tensor.get("parameters")) or (shape != _ONE and shape != _ONE_UPRIGHT):
            return None
        if (
            type(shape[0]) is not int
            or type(shape[-1]) is not int
            or type(data) is not list
            or len(data) != 1
        ):
            return None
        cell = data[0]
        kind = type(cell)
        if kind is not _USUAL[datatype]:
            if kind not in _CELLS[datatype] or (cell is None and spec.required):
                return None
            if datatype == "FP64":
                data = [math.nan if cell is None else float(cell)]
        elif (datatype == "FP64" and not -math.inf < cell < math.inf) or (
            datatype == "INT64" and not -(2**63) <= cell < 2**63
        ):
            return None
        columns.append(data)
    return columns
