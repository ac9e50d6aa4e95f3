"""The tensors of the Open Inference Protocol: one of a column, and the elements of an answer's by row."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from contract.datatypes import FLOATS, INTEGERS
from loadtest.errors import OtherColumns, TargetError

_OTHERS = {"BOOL": bool, "BYTES": str}
MOST_NAMED = 12


def filled(shape: list[int], features: int) -> tuple[int, ...]:
    """A shape of so many elements, with its one open axis (-1) filled; empty: it has not so many."""
    known = prod(axis for axis in shape if axis > 0)
    if shape.count(-1) == 1 and features % known == 0:
        shape = [features // known if axis == -1 else axis for axis in shape]
    return tuple(shape) if min(shape) > 0 and prod(shape) == features else ()


def shape_of(said: Any) -> list[int]:
    """A shape as metadata has it; a gateway from gRPC to JSON writes its axes as text."""
    return [int(axis) for axis in said]


def outputs_in(model: str, metadata: Any) -> list[tuple[str, list[int]]]:
    """Names and shapes of the outputs in the metadata of a model; none: it does not say.

    Raises:
        TargetError: it is not that of the protocol.
    """
    try:
        return [(str(o["name"]), shape_of(o.get("shape") or ())) for o in metadata.get("outputs") or ()]
    except (TypeError, LookupError, AttributeError, ValueError, OverflowError):
        raise no_metadata(model) from None


def no_metadata(model: str) -> TargetError:
    """What a server says of the model is something else."""
    return TargetError(f"model {model!r}: its metadata is not that of the Open Inference Protocol")


def named_shortly(names: Sequence[str], count: int = 0) -> str:
    """Names, of which there are at least ``count``, with the number of those left out."""
    more = max(len(names), count) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def by_rows(output: dict[str, Any], count: int) -> list[Any]:
    """The elements of a tensor row by row: each one element, or the list of a row's own.

    Raises:
        ValueError: they are not those of ``count`` rows.
    """
    data = output["data"]
    if not isinstance(data, list) or len(data) < count or len(data) % count:
        size = len(data) if isinstance(data, list) else "no"
        raise ValueError(f"{size} elements of output {output.get('name')!r} for {count} rows")
    shape = list(output.get("shape", ()))
    if shape and shape[0] != count:
        raise ValueError(f"output {output.get('name')!r} has the shape {shape}, {count} rows were sent")
    width = len(data) // count
    flat = width > 1 or shape[1:] == [1]
    return [data[at : at + width] for at in range(0, len(data), width)] if flat else data


def items_of(output: dict[str, Any]) -> Any:
    """The elements of the one row of a tensor."""
    shape = list(output.get("shape", ()))
    if len(shape) > 1 and shape[0] != 1:
        raise ValueError(f"{shape[0]} lists where one is expected")
    return output.get("data")


def column_tensor(name: str, datatype: str, cells: Sequence[Any], shape: list[int]) -> dict[str, Any]:
    """The tensor of one column's cells; ``null`` where one is missing."""
    kind = float if datatype in FLOATS else int if datatype in INTEGERS else _OTHERS[datatype]
    data = [None if cell is None else kind(cell) for cell in cells]
    tensor = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    # without this, MLServer hands the model bytes
    return tensor | {"parameters": {"content_type": "str"}} if datatype == "BYTES" else tensor


def places_of(model: str, names: Sequence[str], features: Sequence[str]) -> tuple[int, ...]:
    """Where the model's columns are among the features."""
    if missing := [name for name in names if name not in features]:
        raise OtherColumns(
            f"model {model!r} takes {', '.join(missing)}, which the evaluation set would not send "
            f"({', '.join(features)}); name the model's columns under [data] features",
            names,
        )
    return tuple(features.index(name) for name in names)
