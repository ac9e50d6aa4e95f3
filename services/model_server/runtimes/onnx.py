"""``model.onnx``: an ONNX model, run by ONNX Runtime with one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.datatypes import InputDatatype
from contract.model_toml import Task
from services.model_server.columns import Rows
from services.model_server.errors import VersionError, one_line
from services.model_server.runtime import Description, Format, Runtime
from services.model_server.tensors import DTYPES, Input, TensorSpec

_DATATYPES: dict[str, InputDatatype] = {
    "tensor(double)": "FP64",
    "tensor(float)": "FP32",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
}
_LABELS = ("tensor(string)", "tensor(int64)", "tensor(bool)")
_NUMBERS = ("tensor(float)", "tensor(double)")


class OnnxSession:
    """An ONNX model as the server runs it.

    FP64 rows are narrowed to what the model takes.

    Raises:
        VersionError: the file is broken, or does not fit ``model.toml``.
    """

    platform = "onnxruntime_onnx"

    def __init__(self, path: Path, task: Task, wanted: Input) -> None:
        assert isinstance(wanted, TensorSpec)  # noqa: S101 - this format takes no columns
        session = _open(path)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self.classes: list[Any] | None = None
        self.columns: list[str] | None = None
        allowed = _LABELS if task == "classification" else _NUMBERS
        if outputs[0].type not in allowed:
            raise VersionError(
                f"{path}: its first output {outputs[0].name!r} is a {outputs[0].type}; "
                f"a {task} needs one of {', '.join(allowed)} there"
            )
        self.features = _features(inputs[0])
        self._session = session
        self._input = inputs[0].name
        self._dtype = DTYPES[_DATATYPES[inputs[0].type]]
        self._names = {"predict": outputs[0].name}
        if task == "classification" and len(outputs) > 1 and outputs[1].type in _NUMBERS:
            self._names["predict_proba"] = outputs[1].name
        self.has_proba = "predict_proba" in self._names
        if wanted.datatype.startswith("INT") != (self._dtype.kind == "i"):
            raise VersionError(
                f"{path}: takes {inputs[0].type}, model.toml says {wanted.datatype}; make them agree"
            )

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on rows of shape (rows, ...)."""
        assert isinstance(rows, np.ndarray)  # noqa: S101 - this format takes no columns
        names = [self._names[name] for name in outputs]
        with np.errstate(over="ignore"):
            rows = rows.astype(self._dtype, copy=False)
        arrays = self._session.run(names, {self._input: rows})
        return dict(zip(outputs, arrays, strict=True))

    def fastest(self, spec: Input, forbidden: str) -> tuple[Runtime, str, str]:  # noqa: ARG002
        """ONNX Runtime already is the fastest."""
        return self, "onnxruntime", ""


def _describe(path: Path) -> Description:
    session = _open(path)
    given, answer = session.get_inputs()[0], session.get_outputs()[0]
    task: Task = "regression" if answer.type in _NUMBERS else "classification"
    return Description(task, _DATATYPES[given.type], _features(given), None)


def _open(path: Path) -> Any:
    """A session whose input is one tensor of numbers, for any number of rows."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's errors have no common base but Exception
        raise VersionError(
            f"{path}: not readable by ONNX Runtime ({one_line(error)}); export it again"
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _DATATYPES:
        raise VersionError(
            f"{path}: takes {[(i.name, i.type) for i in inputs]}; export it with one numeric input tensor"
        )
    if inputs[0].shape and isinstance(inputs[0].shape[0], int):
        raise VersionError(
            f"{path}: takes exactly {inputs[0].shape[0]} row(s) at a time, requests are put together; "
            "export it with a first dimension of any size (torch.onnx.export: dynamic_axes or dynamic_shapes)"
        )
    return session


def _features(given: Any) -> int | None:
    size = given.shape[1] if len(given.shape) > 1 else None
    return size if isinstance(size, int) else None


FORMATS = (Format("model.onnx", OnnxSession, _describe, suffixes=(".onnx",)),)
