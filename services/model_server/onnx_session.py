"""ONNX models, from ``model.onnx``, run by ONNX Runtime with one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from services.model_server.errors import VersionError
from services.model_server.tensors import TensorSpec

_DTYPES = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_LABELS = ("tensor(string)", "tensor(int64)", "tensor(bool)")
_NUMBERS = ("tensor(float)", "tensor(double)")


class OnnxSession:
    """An ONNX model as the server runs it.

    Args:
        path: ``model.onnx``.
        task: ``classification`` or ``regression``.
        wanted: the input that ``model.toml`` declares; FP64 is narrowed to what the model takes.

    Raises:
        VersionError: the file is broken, or does not fit ``model.toml``.
    """

    platform = "onnxruntime_onnx"

    def __init__(self, path: Path, task: str, wanted: TensorSpec) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # ONNX Runtime's errors have no common base but Exception
            raise VersionError(
                f"{path}: not readable by ONNX Runtime ({' '.join(str(error).split())[:200]}); "
                "export it again"
            ) from error
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or inputs[0].type not in _DTYPES:
            raise VersionError(
                f"{path}: takes {[(i.name, i.type) for i in inputs]}; export it with one numeric input tensor"
            )
        self.classes: list[Any] | None = None
        self.columns: list[str] | None = None
        allowed = _LABELS if task == "classification" else _NUMBERS
        if outputs[0].type not in allowed:
            raise VersionError(
                f"{path}: its first output {outputs[0].name!r} is a {outputs[0].type}; "
                f"a {task} needs one of {', '.join(allowed)} there"
            )
        size = inputs[0].shape[1] if len(inputs[0].shape) > 1 else None
        self.features: int | None = size if isinstance(size, int) else None
        self._session = session
        self._input = inputs[0].name
        self._dtype = _DTYPES[inputs[0].type]
        self._names = {"predict": outputs[0].name}
        if task == "classification" and len(outputs) > 1 and outputs[1].type in _NUMBERS:
            self._names["predict_proba"] = outputs[1].name
        self.has_proba = "predict_proba" in self._names
        if wanted.datatype.startswith("INT") != (self._dtype in (np.int64, np.int32)):
            raise VersionError(
                f"{path}: takes {inputs[0].type}, model.toml says {wanted.datatype}; make them agree"
            )

    def run(self, rows: NDArray[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on rows of shape (rows, ...)."""
        names = [self._names[name] for name in outputs]
        with np.errstate(over="ignore"):
            rows = rows.astype(self._dtype, copy=False)
        arrays = self._session.run(names, {self._input: rows})
        return dict(zip(outputs, arrays, strict=True))
