"""A version, loaded: ``load_version(Path("models/shop/v1"))``. The folder's contract is in the package."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from services.model_server.batching import Run
from services.model_server.errors import VersionError
from services.model_server.manifest import Input, read_manifest
from services.model_server.tensors import DTYPES, TensorSpec

FILES = ("model.skops", "model.onnx", "model.joblib")
_DATATYPES = {"U": "BYTES", "O": "BYTES", "i": "INT64", "u": "INT64", "b": "BOOL", "f": "FP64"}


class Runtime(Protocol):
    """What runs a model file: scikit-learn's estimator or an ONNX session."""

    platform: str
    features: int | None
    columns: list[str] | None
    classes: list[Any] | None
    has_proba: bool

    def run(self, rows: NDArray[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model: an array per output, row by row."""


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
    task: Literal["classification", "regression"]
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
    manifest = read_manifest(folder)
    path = model_file(folder)
    declared = manifest.inputs[0]
    spec = TensorSpec(declared.name, declared.datatype, tuple(declared.shape))
    if spec.shape[0] != -1 or any(size < 1 for size in spec.shape[1:]):
        raise VersionError(
            f"{folder / 'model.toml'}: inputs: shape must be [-1, features], got {declared.shape}"
        )
    check_pickle(path, manifest.name, allow_pickle)
    runtime = _open(path, manifest.task, spec)
    _check_features(runtime, declared, folder)
    outputs = _try(_typed(runtime), runtime, spec, manifest.task, path)
    runner, reason = "onnxruntime" if path.suffix == ".onnx" else "scikit-learn", ""
    if path.suffix != ".onnx" and len(spec.shape) == 2:
        forbidden = "" if compilation and manifest.compile else "compilation is switched off"
        runtime, runner, reason = _faster(runtime, spec, forbidden)
    return LoadedVersion(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        description=manifest.description,
        platform=runtime.platform,
        input=spec,
        columns=tuple(declared.columns) if declared.columns else None,
        outputs=outputs,
        classes=tuple(runtime.classes) if runtime.classes else None,
        run=_typed(runtime),
        runner=runner,
        reason=reason,
    )


def _faster(original: Any, spec: TensorSpec, forbidden: str) -> tuple[Runtime, str, str]:
    """The fastest way to a scikit-learn model's own answers, its name, and the reason for it.

    Args:
        original: the estimator.
        spec: the input.
        forbidden: why it must not be compiled; empty: it may be.
    """
    from services.model_server.compilation import TOLERANCE, CompiledEstimator, NotCompiled
    from services.model_server.direct import is_linear
    from services.model_server.sampling import sample_rows

    @cache
    def sample() -> NDArray[Any]:
        return sample_rows(original.model, spec)

    short = original.shorten(sample)
    runner = "numpy" if short else "scikit-learn"
    if short and is_linear(original.model):
        return original, runner, "a linear model gains nothing from ONNX"
    if forbidden:
        return original, runner, forbidden
    try:
        compiled = CompiledEstimator(original, sample)
    except NotCompiled as reason:
        return original, runner, str(reason)
    return compiled, "onnxruntime", f"labels equal scikit-learn's, numbers within {TOLERANCE:g}"


def model_file(folder: Path) -> Path:
    """The one model file of a version folder.

    Raises:
        VersionError: there is none, or more than one.
    """
    found = [folder / name for name in FILES if (folder / name).exists()]
    if len(found) != 1:
        there = " and ".join(path.name for path in found) or "none"
        raise VersionError(f"{folder}: needs exactly one of {', '.join(FILES)}; there is {there}")
    return found[0]


def check_pickle(path: Path, name: str, allowed: Collection[str]) -> None:
    """Refuse a pickle whose model was not allowed by name.

    Raises:
        VersionError: it is one.
    """
    if path.suffix == ".joblib" and name not in allowed:
        raise VersionError(
            f"{path}: loading a pickle runs the code in it; if you trust whoever made it, allow it by name "
            f"with --allow-pickle {name} or ALLOW_PICKLE={name} in the environment, or save the model with "
            "skops instead"
        )


def _open(path: Path, task: str, spec: TensorSpec) -> Runtime:
    # imported late: scikit-learn and skops take seconds of a small CPU limit, ONNX Runtime needs neither
    if path.suffix == ".onnx":
        from services.model_server.onnx_session import OnnxSession

        return OnnxSession(path, task, spec)
    from services.model_server.estimators import Estimator, read_joblib, read_skops

    return Estimator(read_skops(path) if path.suffix == ".skops" else read_joblib(path), path, task)


def _check_features(runtime: Runtime, declared: Input, folder: Path) -> None:
    path = folder / "model.toml"
    features = declared.shape[1]
    if runtime.features not in (None, features):
        raise VersionError(
            f"{path}: inputs: shape says {features} features, the model takes {runtime.features}; "
            "make them agree"
        )
    if declared.columns is not None and len(declared.columns) != features:
        raise VersionError(
            f"{path}: inputs: {len(declared.columns)} columns for {features} features; make them agree"
        )
    if runtime.columns and declared.columns and runtime.columns != declared.columns:
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


def _try(run: Run, runtime: Runtime, spec: TensorSpec, task: str, path: Path) -> dict[str, TensorSpec]:
    """The outputs, read off the answer to a row of zeros."""
    names = ("predict", "predict_proba") if runtime.has_proba else ("predict",)
    try:
        results = run(np.zeros((1, *spec.shape[1:]), DTYPES[spec.datatype]), frozenset(names))
    except Exception as error:
        # whatever the model raises, it cannot serve
        raise VersionError(
            f"{path}: fails on a row of zeros of the input in model.toml "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); make them agree"
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
