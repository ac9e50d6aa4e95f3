"""``model.toml``, what a version is: one reader and one writer.

::

    name = "shop"                     # the {m} of /v2/models/{m}
    version = "v1"                    # the {v} of /v2/models/{m}/versions/{v}
    task = "classification"           # or "regression"
    description = "..."               # optional
    compile = true                    # optional: may ONNX Runtime run a scikit-learn model
    output = "price"                  # optional: of several values per row, the one that ``predict`` is;
                                      # "ranking": they are a ranked list
    required = ["city"]               # optional: of [columns], those whose cells may not be missing

    [[inputs]]                        # a matrix of numbers: exactly one
    name = "features"
    datatype = "FP64"                 # or FP32, INT32, INT64
    shape = [-1, 12]                  # rows, features
    columns = ["age", ...]            # optional: the names of the features

    [columns]                         # or, instead of it: named columns, in the model's order
    city = "BYTES"                    # text
    age = "FP64"                      # or INT64, BOOL; a cell may be missing unless it is required
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from contract.counted import counted
from contract.datatypes import ColumnDatatype, InputDatatype

MODEL_TOML = "model.toml"

Task = Literal["classification", "regression"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ModelTomlError(ValueError):
    """The file is missing or makes no sense; ``str(error)`` names it, the key and the remedy."""


@dataclass(frozen=True)
class Input:
    """A matrix of numbers, one tensor.

    Args:
        name: of the tensor.
        datatype: of its elements.
        shape: -1 (any number of rows), features; or of a row as a matrix, such as (-1, 1, 8, 8).
        columns: the names of the features, in the model's order; None where nobody named them.
    """

    name: str
    datatype: InputDatatype
    shape: tuple[int, ...]
    columns: tuple[str, ...] | None = None

    @property
    def features(self) -> int:
        """How many there are in a row."""
        return math.prod(self.shape[1:])


@dataclass(frozen=True)
class Columns:
    """Named columns, one tensor each, whose cells may be missing.

    Args:
        datatypes: name and datatype of each, in the model's order.
        required: those whose cells may not be missing.
    """

    datatypes: tuple[tuple[str, ColumnDatatype], ...]
    required: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name, _ in self.datatypes)

    @property
    def features(self) -> int:
        """How many there are."""
        return len(self.datatypes)


@dataclass(frozen=True)
class ModelToml:
    """The whole file; the arguments are its keys, ``input`` is ``[[inputs]]`` or ``[columns]``."""

    name: str
    version: str
    task: Task
    input: Input | Columns
    description: str = ""
    compile: bool = True
    output: str = ""


def read_model_toml(folder: Path) -> ModelToml:
    """Read the ``model.toml`` of a version folder.

    Raises:
        ModelTomlError: it is missing or unreadable, lacks a key, or has one that is wrong or unknown.
    """
    path = folder / MODEL_TOML
    if not folder.is_dir():
        raise ModelTomlError(f"{folder}: no such version folder; train a version into it or name another")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelTomlError(
            f"{path}: missing; a version folder needs one (name, version, task, inputs)"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelTomlError(f"{path}: not readable as TOML ({error}); correct it") from error
    if problem := next(_problems(document), None):
        raise ModelTomlError(f"{path}: {problem}; correct it")
    required = tuple(document.pop("required", ()))
    if (datatypes := document.pop("columns", None)) is not None:
        return ModelToml(**document, input=Columns(tuple(datatypes.items()), required))
    (given,) = document.pop("inputs")
    columns = given.get("columns")
    tensor = Input(
        given["name"], given["datatype"], tuple(given["shape"]), None if columns is None else tuple(columns)
    )
    return ModelToml(**document, input=tensor)


def write_model_toml(folder: Path, content: ModelToml) -> None:
    """Write the ``model.toml`` of a version folder.

    Raises:
        OSError: it cannot be written.
    """
    lines = [
        *(f"{key} = {_toml(getattr(content, key))}" for key in ("name", "version", "task")),
        *([f"description = {_toml(content.description)}"] if content.description else []),
        *([] if content.compile else ["compile = false"]),
        *([f"output = {_toml(content.output)}"] if content.output else []),
        *([f"required = {_toml(required)}"] if (required := getattr(content.input, "required", ())) else []),
        "",
        *_input_lines(content.input),
    ]
    (folder / MODEL_TOML).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _input_lines(given: Input | Columns) -> list[str]:
    if isinstance(given, Columns):
        return ["[columns]", *(f"{_toml(name)} = {_toml(datatype)}" for name, datatype in given.datatypes)]
    keys = (
        ("name", "datatype", "shape") if given.columns is None else ("name", "datatype", "shape", "columns")
    )
    return ["[[inputs]]", *(f"{key} = {_toml(getattr(given, key))}" for key in keys)]


def _toml(value: object) -> str:
    # a JSON string or list is a TOML one, too, but for one control character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_KEYS: dict[str, type] = {
    "name": str, "version": str, "task": str, "description": str, "compile": bool, "output": str,
    "required": list, "inputs": list, "columns": dict,
}  # fmt: skip
_INPUT_KEYS: dict[str, type] = {"name": str, "datatype": str, "shape": list, "columns": list}
_OPTIONAL = ("description", "compile", "output", "required", "columns")
_TOML_NAMES = {str: "text", bool: "true or false", list: "a list", dict: "a table"}


def _problems(document: dict[str, Any]) -> Iterator[str]:
    """What is wrong, in the order in which a person would mend it; what comes later may rest on it."""
    named = "columns" in document
    yield from _wrong_keys(document, _KEYS, "", optional=("inputs", *_OPTIONAL) if named else _OPTIONAL)
    for key in ("name", "version"):
        if not _NAME.fullmatch(document[key]):
            yield f"{key}: must be letters, digits, '.', '_' and '-', and begin with a letter or digit"
    if document["task"] not in get_args(Task):
        yield f"task: must be {' or '.join(get_args(Task))}, got {document['task']!r}"
    if named:
        yield from _wrong_columns(document)
        return
    if "required" in document:
        yield "required: names columns of [columns], and there is none"
    inputs = document["inputs"]
    if len(inputs) != 1 or not isinstance(inputs[0], dict):
        yield f"inputs: must be exactly one [[inputs]] table, got {len(inputs)}"
    given = cast("dict[str, Any]", inputs[0])
    yield from _wrong_keys(given, _INPUT_KEYS, "inputs.")
    if not given["name"]:
        yield "inputs.name: must not be empty"
    if given["datatype"] not in get_args(InputDatatype):
        yield f"inputs.datatype: must be one of {', '.join(get_args(InputDatatype))}"
    shape = given["shape"]
    sizes = all(type(size) is int for size in shape)
    if not (sizes and len(shape) > 1 and shape[0] == -1 and min(shape[1:]) > 0):
        yield f"inputs.shape: must be [-1, features], got {shape}"
    columns = given.get("columns")
    if columns is None:
        return
    if not all(isinstance(column, str) for column in columns):
        yield "inputs.columns: must be a list of text"
    if len(columns) != (features := math.prod(shape[1:])):
        yield f"inputs.columns: has {counted(len(columns), 'column')} for {counted(features, 'feature')}"


def _wrong_columns(document: dict[str, Any]) -> Iterator[str]:
    if "inputs" in document:
        yield "inputs: must not be there beside [columns]; keep one of the two"
    if not document["columns"]:
        yield "columns: must name at least one column"
    for name, datatype in document["columns"].items():
        if not name:
            yield "columns: a name must not be empty"
        if datatype not in get_args(ColumnDatatype):
            yield f"columns.{name}: must be one of {', '.join(get_args(ColumnDatatype))}, got {datatype!r}"
    for name in document.get("required", ()):
        if name not in document["columns"]:
            yield f"required: {name!r} is not among [columns]"


def _wrong_keys(
    table: dict[str, Any], keys: dict[str, type], where: str, optional: tuple[str, ...] = _OPTIONAL
) -> Iterator[str]:
    for key, value in table.items():
        if key not in keys:
            yield f"{where}{key}: there is no such key"
        elif not isinstance(value, keys[key]):
            yield f"{where}{key}: must be {_TOML_NAMES[keys[key]]}, got {value!r}"
    for key in keys:
        if key not in table and key not in optional:
            yield f"{where}{key}: is missing"
