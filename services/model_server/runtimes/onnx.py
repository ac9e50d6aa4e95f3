"""``model.onnx``: an ONNX model with any inputs and outputs, run by ONNX Runtime with one thread.

One tensor of numbers is a matrix. Several inputs, or text, are named columns: each input takes as many of
them as it is wide, in their order.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.datatypes import InputDatatype
from contract.model_toml import Task
from services.model_server.columns import Rows
from services.model_server.errors import RequestError, VersionError, needs_columns, one_line
from services.model_server.runtime import Description, Format, Runtime
from services.model_server.tensors import Input

_DATATYPES: dict[str, InputDatatype] = {
    "tensor(double)": "FP64",
    "tensor(float)": "FP32",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
}
"""Of what can be a matrix."""

_DTYPES: Mapping[str, np.dtype[Any]] = {
    f"tensor({name})": np.dtype(dtype)
    for name, dtype in {
        "double": "f8", "float": "f4", "float16": "f2", "bool": "?", "string": "O",
        **{f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    }.items()
}  # fmt: skip
_TAKEN_BY = {
    "f": ("FP64", "INT64", "BOOL"), "i": ("INT64", "BOOL"), "u": ("INT64", "BOOL"), "b": ("BOOL",),
    "O": ("BYTES",),
}  # fmt: skip
"""The datatypes of columns that a tensor holds without changing a cell, by its NumPy kind."""

_LABELS = ("tensor(string)", "tensor(int64)", "tensor(int32)", "tensor(bool)")
_NUMBERS = ("tensor(float)", "tensor(double)", "tensor(float16)")


class _Tensor(NamedTuple):
    """One input: the sizes after the rows, None where the file leaves them open."""

    name: str
    dtype: np.dtype[Any]
    sizes: tuple[int | None, ...]

    @property
    def kind(self) -> str:
        """What its cells are."""
        return "text" if self.dtype.kind == "O" else self.dtype.name

    @property
    def width(self) -> int | None:
        """Features in it."""
        return None if None in self.sizes else math.prod(size or 0 for size in self.sizes)


class OnnxSession:
    """An ONNX model as the server runs it.

    FP64 rows are narrowed to what the model takes. What is no label, value or probability is an output under
    its own name.

    Raises:
        VersionError: the file is broken, or does not fit ``model.toml``.
    """

    platform = "onnxruntime_onnx"

    def __init__(self, path: Path, task: Task, given: Input) -> None:
        self._session = _open(path)
        self._inputs = _inputs(self._session, path)
        self.classes: list[Any] | None = None
        self.features = _features(self._inputs)
        self.columns = _names(self._inputs)
        self._names = _chosen(self._session.get_outputs(), task, path)
        used = self._names.values()
        self._scores = task == "classification" and self._type_of("predict") in _NUMBERS
        outputs = [one.name for one in self._session.get_outputs()]
        self.named = tuple(name for name in outputs if self._scores or name not in used)
        if self._scores:
            scores = self._session.get_outputs()[0]
            self._names["predict_proba"], self.classes = scores.name, list(range(scores.shape[1]))
            warnings.warn(
                f"has no output of labels; predict is the place, from 0, of the highest of "
                f"{self._names['predict']!r}",
                stacklevel=2,
            )
        self.has_proba = "predict_proba" in self._names
        if isinstance(given, tuple):
            self._check_columns(path, [spec.datatype for spec in given], [spec.name for spec in given])
        elif len(self._inputs) > 1 or self._inputs[0].dtype.kind == "O":
            raise needs_columns(path, f"takes {_listed(self._inputs)}")
        elif given.datatype.startswith("INT") != (self._inputs[0].dtype.kind == "i"):
            raise VersionError(
                f"{path}: takes {self._session.get_inputs()[0].type}, model.toml says {given.datatype}; "
                "make them agree"
            )

    def _type_of(self, name: str) -> str:
        wanted = self._names[name]
        types = (one.type for one in self._session.get_outputs() if one.name == wanted)
        return str(next(types))

    def _check_columns(self, path: Path, datatypes: list[str], names: list[str]) -> None:
        for tensor, places in self._places(len(names)):
            for name, datatype in zip(names[places], datatypes[places], strict=True):
                if datatype not in _TAKEN_BY[tensor.dtype.kind]:
                    raise VersionError(
                        f"{path}: its input {tensor.name!r} is {tensor.kind}, the column {name!r} is "
                        f"{datatype}; make them agree, or export the model with an input of that type"
                    )

    def _places(self, columns: int) -> Iterator[tuple[_Tensor, slice]]:
        """Each input and the columns that are its own."""
        at = 0
        for tensor in self._inputs:
            width = columns if tensor.width is None else tensor.width
            yield tensor, slice(at, at + width)
            at += width

    def _feed(self, rows: Rows) -> dict[str, NDArray[Any]]:
        with np.errstate(over="ignore"):
            if isinstance(rows, np.ndarray):
                tensor = self._inputs[0]
                return {tensor.name: _shaped(rows.astype(tensor.dtype, copy=False), tensor)}
            named = list(rows.arrays.items())
            return {
                tensor.name: _shaped(
                    np.stack([_cells(name, array, tensor.dtype) for name, array in named[places]], axis=1),
                    tensor,
                )
                for tensor, places in self._places(len(named))
            }

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on rows of shape (rows, ...), or on columns.

        Raises:
            RequestError: 400, a cell is missing where ONNX has no such thing.
        """
        names = [self._names.get(name, name) for name in outputs]
        answers = self._session.run(names, self._feed(rows))
        return {
            name: self._array(name, answer, len(rows)) for name, answer in zip(outputs, answers, strict=True)
        }

    def _array(self, name: str, answer: Any, rows: int) -> NDArray[Any]:
        if isinstance(answer, list) and answer and isinstance(answer[0], dict):
            # a map per row, from class to probability
            classes = list(answer[0])
            if name == "predict_proba":
                self.classes = classes
            return np.array([[one[label] for label in classes] for one in answer])
        array = np.asarray(answer)
        if isinstance(answer, list) and array.ndim > 1 and len(array) != rows:
            # a tensor per output, of all rows
            array = np.moveaxis(array, 0, 1)
        return array.argmax(axis=1) if name == "predict" and self._scores else array

    def fastest(self, spec: Input, forbidden: str) -> tuple[Runtime, str, str]:  # noqa: ARG002
        """ONNX Runtime already is the fastest."""
        return self, "onnxruntime", ""


def _shaped(array: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    open_sizes = tensor.sizes.count(None)
    if open_sizes > 1:
        return array
    return array.reshape(len(array), *(-1 if size is None else size for size in tensor.sizes))


def _cells(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return array.astype(dtype)
    if (dtype.kind == "O" and None in array.tolist()) or (dtype.kind != "O" and array.dtype.kind in "fO"):
        raise RequestError(400, f"input {name!r}: a cell is missing, and this model takes none there")
    if dtype.kind in "iu" and array.size:
        bounds = np.iinfo(dtype)
        if array.min() < bounds.min or array.max() > bounds.max:
            raise RequestError(400, f"input {name!r}: a value does not fit {dtype.name}")
    return array.astype(dtype)


def _chosen(outputs: list[Any], task: Task, path: Path) -> dict[str, str]:
    """The model's names of ``predict`` and ``predict_proba``."""
    first = outputs[0]
    label = next((one for one in outputs if one.type in _LABELS), None)
    if task == "regression" or label is None:
        if first.type not in _NUMBERS or (task == "classification" and not _is_wide(first)):
            allowed = _LABELS if task == "classification" else _NUMBERS
            raise VersionError(
                f"{path}: its first output {first.name!r} is a {first.type}; "
                f"a {task} needs one of {', '.join(allowed)} there"
            )
        return {"predict": first.name}
    chosen = {"predict": label.name}
    for one in outputs:
        if one.type.startswith("seq(map(") or (one.type in _NUMBERS and _is_wide(one, unknown=True)):
            return chosen | {"predict_proba": one.name}
    return chosen


def _is_wide(output: Any, *, unknown: bool = False) -> bool:
    """Whether there is a number for each of several classes."""
    sizes = output.shape[1:]
    return len(sizes) == 1 and (sizes[0] > 1 if isinstance(sizes[0], int) else unknown)


def _describe(path: Path) -> Description:
    session = _open(path)
    inputs, outputs = _inputs(session, path), session.get_outputs()
    has_labels = any(one.type in _LABELS for one in outputs)
    scores = int(outputs[0].shape[1]) if not has_labels and _is_wide(outputs[0]) else 0
    task: Task = "classification" if has_labels or scores else "regression"
    datatype = _DATATYPES.get(session.get_inputs()[0].type)
    return Description(
        task,
        datatype or "FP64",
        _features(inputs),
        _names(inputs),
        takes_frame=len(inputs) > 1 or datatype is None,
        scores=scores,
    )


def _open(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's errors have no common base but Exception
        raise VersionError(
            f"{path}: not readable by ONNX Runtime ({one_line(error)}); export it again"
        ) from error


def _inputs(session: Any, path: Path) -> list[_Tensor]:
    """The inputs, each for any number of rows."""
    found = []
    for given in session.get_inputs():
        shape = given.shape
        if given.type not in _DTYPES or not shape:
            raise VersionError(
                f"{path}: its input {given.name!r} is a {given.type} of shape {shape}; export it with "
                "tensors of numbers or text whose first dimension is the rows"
            )
        if isinstance(shape[0], int):
            raise VersionError(
                f"{path}: its input {given.name!r} takes exactly {shape[0]} row(s) at a time, requests are "
                "put together; export it with a first dimension of any size (torch.onnx.export: dynamic_axes "
                "or dynamic_shapes)"
            )
        sizes = tuple(size if isinstance(size, int) else None for size in shape[1:])
        found.append(_Tensor(given.name, _DTYPES[given.type], sizes))
    if len(found) > 1 and any(tensor.width is None for tensor in found):
        raise VersionError(
            f"{path}: takes {_listed(found)}, and how wide is not in the file; export it with fixed sizes "
            "after the rows"
        )
    return found


def _features(inputs: list[_Tensor]) -> int | None:
    widths = [tensor.width for tensor in inputs]
    return None if None in widths else sum(width or 0 for width in widths)


def _names(inputs: list[_Tensor]) -> list[str] | None:
    """The names of the inputs where each is one column."""
    alone = len(inputs) > 1 and all(tensor.width == 1 for tensor in inputs)
    return [tensor.name for tensor in inputs] if alone else None


def _listed(inputs: list[_Tensor]) -> str:
    return ", ".join(f"{one.name!r} ({one.kind})" for one in inputs[:8])


FORMATS = (Format("model.onnx", OnnxSession, _describe, suffixes=(".onnx",)),)
