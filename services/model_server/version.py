"""A version, loaded: ``load_version(Path("models/shop/v1"))``. The folder's contract is in the package."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import MODEL_TOML, Input, ModelTomlError, Task, read_model_toml
from services.model_server.errors import VersionError, one_line
from services.model_server.runtime import Run, Runtime
from services.model_server.runtimes import check_allowed, model_file
from services.model_server.tensors import TensorSpec

_DATATYPES = {"U": "BYTES", "O": "BYTES", "i": "INT64", "u": "INT64", "b": "BOOL", "f": "FP64"}


@dataclass(frozen=True)
class LoadedVersion:
    """One version, ready to run.

    Args:
        name: the model's name.
        version: the version's name.
        task: ``classification`` or ``regression``.
        description: what a person wrote about it.
        platform: ``sklearn`` or ``onnxruntime_onnx``.
        input: the input tensor.
        columns: the names of the features; None where nobody named them.
        outputs: the output tensors by name, ``predict`` first.
        classes: the labels in the order of ``predict_proba``; None where they are not known.
        run: (rows, names of outputs) to an array per output.
        runner: what runs the model: ``onnxruntime``, ``numpy`` or ``scikit-learn``.
        reason: why that and not something faster, or what it was checked for; one line, may be empty.
    """

    name: str
    version: str
    task: Task
    description: str
    platform: str
    input: TensorSpec
    columns: tuple[str, ...] | None
    outputs: Mapping[str, TensorSpec]
    classes: tuple[Any, ...] | None
    run: Run
    runner: str
    reason: str

    @property
    def compiled(self) -> bool:
        """Whether ONNX Runtime runs what is a scikit-learn model."""
        return self.platform == "sklearn" and self.runner == "onnxruntime"

    def metadata(self) -> dict[str, Any]:
        """The model's metadata as the protocol shows it."""
        parameters: dict[str, Any] = {"task": self.task, "description": self.description}
        parameters |= {"runner": self.runner, "reason": self.reason}
        if self.columns:
            parameters["columns"] = self.columns
        if self.classes:
            parameters["classes"] = self.classes
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.platform,
            "inputs": [self.input.metadata()],
            "outputs": [output.metadata() for output in self.outputs.values()],
            "parameters": parameters,
        }


def load_version(
    folder: Path, allow_pickle: Collection[str] = (), *, compilation: bool = True
) -> LoadedVersion:
    """Load the version in a folder and try it on a row of zeros.

    Args:
        folder: the version folder.
        allow_pickle: names of models whose ``model.joblib`` may be loaded, although it runs code.
        compilation: whether a scikit-learn model may be served by ONNX Runtime; ``compile`` in model.toml too
            must not forbid it.

    Raises:
        VersionError: something in the folder is missing, broken or not allowed.
    """
    try:
        toml = read_model_toml(folder)
    except ModelTomlError as error:
        raise VersionError(str(error)) from None
    kind, path = model_file(folder)
    spec = TensorSpec(toml.input.name, toml.input.datatype, toml.input.shape)
    check_allowed(kind, path, toml.name, allow_pickle)
    original = kind.load(path, toml.task, spec)
    _check_features(original, toml.input, folder)
    outputs = _try(_typed(original), original, spec, toml.task, path)
    forbidden = "" if compilation and toml.compile else "compilation is switched off"
    runtime, runner, reason = original.fastest(spec, forbidden)
    return LoadedVersion(
        name=toml.name,
        version=toml.version,
        task=toml.task,
        description=toml.description,
        platform=runtime.platform,
        input=spec,
        columns=toml.input.columns,
        outputs=outputs,
        classes=tuple(runtime.classes) if runtime.classes else None,
        run=_typed(runtime),
        runner=runner,
        reason=reason,
    )


def _check_features(runtime: Runtime, declared: Input, folder: Path) -> None:
    path = folder / MODEL_TOML
    features = declared.shape[1]
    if runtime.features not in (None, features):
        raise VersionError(
            f"{path}: inputs: shape says {features} features, the model takes {runtime.features}; "
            "make them agree"
        )
    if runtime.columns and declared.columns and runtime.columns != list(declared.columns):
        raise VersionError(
            f"{path}: inputs: columns differ from those that the model was trained on; use {runtime.columns}"
        )


def _typed(runtime: Runtime) -> Run:
    """The model with its outputs in the shapes and types in which they travel."""

    def run(rows: NDArray[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        results = runtime.run(rows, outputs)
        for name, array in results.items():
            array = array.reshape(len(rows), -1) if name == "predict_proba" else array.reshape(len(rows))
            results[name] = array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array
        return results

    return run


def _try(run: Run, runtime: Runtime, spec: TensorSpec, task: Task, path: Path) -> dict[str, TensorSpec]:
    """The outputs, read off the answer to a row of zeros."""
    names = ("predict", "predict_proba") if runtime.has_proba else ("predict",)
    try:
        results = run(np.zeros((1, *spec.shape[1:]), spec.dtype), frozenset(names))
    except Exception as error:
        # whatever the model raises, it cannot serve
        raise VersionError(
            f"{path}: fails on a row of zeros of the input in model.toml ({one_line(error)}); make them agree"
        ) from error
    label = results["predict"]
    datatype = _DATATYPES.get(label.dtype.kind)
    if datatype is None or (label.dtype.kind == "O" and not isinstance(label[0], str)):
        raise VersionError(f"{path}: predicts labels of type {label.dtype}; use text or numbers")
    if task == "regression" and datatype != "FP64":
        raise VersionError(
            f"{path}: predicts {label.dtype}, a regression predicts numbers; set task in model.toml"
        )
    specs = {"predict": TensorSpec("predict", datatype, (-1,))}
    if runtime.has_proba:
        specs["predict_proba"] = TensorSpec("predict_proba", "FP64", (-1, results["predict_proba"].shape[1]))
    return specs
