"""The rows in the body of a logged request, whatever protocol it was in."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any

Cell = str | int | float | bool | None
Row = dict[str, Cell] | tuple[Cell, ...]
"""By name, or by position."""

_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_PADDED = re.compile(r"[-+]?0\d.*")
"""``007`` is a code and no number."""


def rows_of_json(body: Any) -> tuple[Row, ...]:
    """The rows of a body, in the forms of KServe v1, v2 (OIP), MLflow, TensorFlow Serving, SageMaker, Seldon
    and plain JSON.

    Raises:
        ValueError: it holds none; says why.
    """
    match body:
        case {"instances": list(rows)} | {"dataframe_records": list(rows)}:
            return _rows(rows)
        case {"dataframe_split": {"columns": list(names), "data": list(rows)}}:
            return tuple(_named(names, row) for row in rows)
        case {"inputs": [{"data": _}, *_] as tensors}:
            return _of_tensors(tensors)
        case {"inputs": list(rows)}:
            return _rows(rows)
        case {"inputs": dict(columns)} if _are_columns(columns):
            return tuple(
                _row(dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)
            )
        case {"data": {"names": [_, *_] as names, "ndarray": list(rows)}}:
            return tuple(_named(names, row) for row in rows)
        case {"data": {"ndarray": list(rows)}}:
            return _rows(rows)
        case dict():
            return (_row(body),)
        case [list() | dict(), *_]:
            return _rows(body)
        case list():
            return (_row(body),)
    raise ValueError("the body has no rows: it is neither an object nor a list")


def rows_of_lines(text: str) -> tuple[Row, ...]:
    """The rows of JSON lines: the body of a request each.

    Raises:
        ValueError: as ``rows_of_json``, or a line is no JSON.
    """
    try:
        bodies = [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"what was sent is not JSON ({error.msg})") from None
    if not bodies:
        raise ValueError("the body is empty")
    return tuple(row for body in bodies for row in rows_of_json(body))


def rows_of_csv(text: str) -> tuple[Row, ...]:
    """The rows of a body of CSV without a header, by position.

    Raises:
        ValueError: it holds none.
    """
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        raise ValueError("the body is empty")
    return tuple(tuple(_cell_of(cell.strip()) for cell in row) for row in rows)


def _cell_of(text: str) -> Cell:
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and not _PADDED.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _rows(rows: Sequence[Any]) -> tuple[Row, ...]:
    if not rows:
        raise ValueError("the body has no rows")
    return tuple(_row(row) for row in rows)


def _are_columns(columns: dict[str, Any]) -> bool:
    """Whether these are lists, all of one length."""
    lists = [cells for cells in columns.values() if isinstance(cells, list)]
    return 0 < len(lists) == len(columns) and len({len(cells) for cells in lists}) == 1


def _row(row: Any) -> Row:
    if isinstance(row, dict) and row.keys() == {"features"} and isinstance(row["features"], list):
        row = row["features"]  # SageMaker's built-in algorithms
    if isinstance(row, dict):
        for name, cell in row.items():
            _require_cell(name, cell)
        if not row:
            raise ValueError("a row has no cells")
        return row
    cells = row if isinstance(row, list) else [row]
    for place, cell in enumerate(cells, start=1):
        _require_cell(place, cell)
    if not cells:
        raise ValueError("a row has no cells")
    return tuple(cells)


def _named(names: Sequence[Any], row: Any) -> Row:
    if not isinstance(row, list) or len(row) != len(names):
        raise ValueError(f"a row has not the {len(names)} cells that its columns have names for")
    return _row(dict(zip(map(str, names), row, strict=True)))


def _of_tensors(tensors: Sequence[Any]) -> tuple[Row, ...]:
    """The rows of the tensors of the Open Inference Protocol: one of [n, features], or one a column."""
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        match tensor:
            case {"name": str(name), "shape": [int(count), *rest], "data": list(data)}:
                flat = _flat(data)
                if count < 1 or len(flat) != math.prod((count, *rest)):
                    raise ValueError(f"tensor {name!r} has {len(flat)} values, not those of its shape")
                width = len(flat) // count
                if len(tensors) == 1 and width > 1:
                    return tuple(_row(flat[i : i + width]) for i in range(0, len(flat), width))
                if width != 1:
                    raise ValueError(f"tensor {name!r} has {width} values a row beside other tensors")
                columns[name] = flat
            case _:
                raise ValueError("an input has no name, shape and data in JSON")
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("the tensors have different numbers of rows")
    return tuple(
        _row(dict(zip(columns, cells, strict=True))) for cells in zip(*columns.values(), strict=True)
    )


def _flat(data: list[Any]) -> list[Any]:
    while data and isinstance(data[0], list):
        data = [cell for part in data for cell in (part if isinstance(part, list) else [part])]
    return data


def _require_cell(name: str | int, cell: Any) -> None:
    where = f"cell {name!r}" if isinstance(name, str) else f"cell {name}"
    if isinstance(cell, list | dict):
        kind = "a list" if isinstance(cell, list) else "an object"
        raise ValueError(
            f"{where} of the body is {kind}; write the cells alone, by the names of their columns"
        )
    if isinstance(cell, float) and not math.isfinite(cell):
        raise ValueError(f"{where} of the body is no finite number")
