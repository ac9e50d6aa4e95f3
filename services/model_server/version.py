"""A version, loaded: ``load_version(Path("models/shop/v1"))``. The folder's contract is in the package."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.counted import counted
from contract.model_toml import MODEL_TOML, Columns, ModelToml, ModelTomlError, Task, read_model_toml
from services.model_server.categories import Categories
from services.model_server.columns import Rows
from services.model_server.errors import VersionError, one_line
from services.model_server.examples import read_examples
from services.model_server.foreign_code import warnings_of
from services.model_server.outputs import outputs_of
from services.model_server.runtime import Run, Runtime
from services.model_server.runtimes import check_allowed, model_file
from services.model_server.tensors import Input, TensorSpec, tensors_of
from services.model_server.trained_with import compare_requirements

_POLARS = re.compile(r"polars-\d")
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class LoadedVersion:
    """One version, ready to run.

    Args:
        task: ``classification`` or ``regression``.
        platform: ``sklearn``, ``onnxruntime_onnx``, or the library's name.
        input: the matrix, or the columns.
        examples: rows of it, at least one.
        columns: the names of the features; None where nobody named them.
        outputs: the output tensors by name, ``predict`` first.
        classes: the labels in the order of ``predict_proba``; None where they are not known.
        choices: what ``predict`` may be; empty where the model gives one value per row.
        chosen: which of them it is; empty likewise.
        run: (rows, names of outputs) to an array per output.
        runner: what runs the model: ``direct``, ``onnxruntime``, ``numpy``, ``scikit-learn`` or the
            name of the platform.
        reason: why that and not something faster, or what it was checked for; one line, may be empty.
        notes: what the model's own code warned of, a line each.
        categories: that the model learnt from; None where its file does not say.
    """

    name: str
    version: str
    task: Task
    description: str
    platform: str
    input: Input
    examples: Rows
    columns: tuple[str, ...] | None
    outputs: Mapping[str, TensorSpec]
    classes: tuple[Any, ...] | None
    choices: tuple[str, ...]
    chosen: str
    run: Run
    runner: str
    reason: str
    notes: tuple[str, ...] = ()
    categories: Categories | None = None

    @property
    def example(self) -> Rows:
        """One row of the input."""
        return self.examples[:1]

    @property
    def width(self) -> int:
        """How many features a row has."""
        return len(self.input) if isinstance(self.input, tuple) else math.prod(self.input.shape[1:])

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
        if required := [spec.name for spec in tensors_of(self.input) if spec.required]:
            parameters["required"] = required
        if self.chosen:
            parameters["output"] = self.chosen
        if self.notes:
            parameters["notes"] = self.notes
        if self.classes:
            parameters["classes"] = self.classes
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.platform,
            "inputs": [tensor.metadata() for tensor in tensors_of(self.input)],
            "outputs": [output.metadata() for output in self.outputs.values()],
            "parameters": parameters,
        }


def load_version(
    folder: Path, allow_pickle: Collection[str] = (), *, compilation: bool = True
) -> LoadedVersion:
    """Load the version in a folder and try it on its examples.

    Args:
        folder: the version folder.
        allow_pickle: names of models whose file may be loaded, although it runs code.
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
    spec = _input(toml)
    check_allowed(kind, path, toml.name, allow_pickle)
    with warnings_of(path) as notes:
        try:
            original = kind.load(path, toml.task, spec)
        except SystemExit as error:
            raise exits(path, error) from error
        compare_requirements(folder)
        _check_features(original, toml, folder)
        examples = read_examples(folder, spec, toml.input.columns)
        outputs = outputs_of(original, examples, toml.task, toml.output, path)
        _check_one_row(outputs.of(original), examples, path)
    refuse_lost_threads(path)
    forbidden = "" if compilation and toml.compile else "compilation is switched off"
    runtime, runner, reason = original.fastest(spec, forbidden)
    return LoadedVersion(
        name=toml.name,
        version=toml.version,
        task=toml.task,
        description=toml.description,
        platform=runtime.platform,
        input=spec,
        examples=examples,
        columns=toml.input.columns,
        outputs=outputs.specs,
        classes=outputs.classes,
        choices=outputs.choices,
        chosen=outputs.chosen,
        run=outputs.of(runtime),
        runner=runner,
        reason=reason,
        notes=tuple(notes),
        categories=getattr(original, "categories", None),
    )


def _check_one_row(run: Run, examples: Rows, path: Path) -> None:
    """Refuse a model that answers several rows and none alone, as most requests have one."""
    try:
        run(examples[:1], frozenset(["predict"]))
    except Exception as error:
        # whatever the model raises, it cannot serve
        raise VersionError(
            f"{path}: answers {counted(len(examples), 'row')}, and fails on the first alone "
            f"({one_line(error)}); correct it: a request may have one row"
        ) from error


def refuse_lost_threads(path: Path, tasks: Path = _TASKS) -> None:
    """Refuse a model that ran polars: a forked worker has none of its threads, and waits for them.

    ``tasks`` is the kernel's list of this process's threads; where there is none, nothing is found.

    Raises:
        VersionError: polars has threads here.
    """
    names = []
    for task in tasks.glob("*/comm"):
        # a thread may end between being listed and being read
        with suppress(OSError):
            names.append(task.read_text(encoding="utf-8", errors="replace"))
    # its import alone starts another one, which does no harm
    if any(map(_POLARS.match, names)):
        raise VersionError(
            f"{path}: runs polars, whose threads do not survive the fork of the server's worker, so that it "
            "would never answer; let its steps give pandas frames: set_output(transform='pandas')"
        )


def exits(path: Path, error: SystemExit) -> VersionError:
    """What is said of a file whose code ends the process."""
    return VersionError(f"{path}: its code calls sys.exit({error.code!r}) when it is loaded; correct it")


def _input(toml: ModelToml) -> Input:
    given = toml.input
    if isinstance(given, Columns):
        return tuple(
            TensorSpec(name, datatype, (-1,), name in given.required) for name, datatype in given.datatypes
        )
    return TensorSpec(given.name, given.datatype, given.shape)


def _check_features(runtime: Runtime, toml: ModelToml, folder: Path) -> None:
    path, declared = folder / MODEL_TOML, toml.input
    features = declared.features
    if runtime.features not in (None, features):
        says = "[columns] names" if isinstance(declared, Columns) else "inputs: shape says"
        raise VersionError(
            f"{path}: {says} {counted(features, 'feature')}, the model takes {runtime.features}; "
            "make them agree"
        )
    if runtime.columns and declared.columns and _plain(runtime.columns) != _plain(declared.columns):
        raise VersionError(
            f"{path}: columns differ from those that the model was trained on; use {runtime.columns}"
        )


def _plain(names: Sequence[str]) -> list[str]:
    """Names as LightGBM's file has them, with underscores for blanks."""
    return [name.replace(" ", "_") for name in names]
