"""``MLmodel``: an MLflow model folder. Its model file is loaded as any other of its format.

So a flavour that MLflow saved by skops or in its library's own file runs no code, whatever
``skops_trusted_types`` says: who wrote the file wrote that, too. Pickles and what has no flavour but
python_function must be allowed by name; only the latter needs mlflow.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import Task
from services.model_server.columns import Columns, Rows
from services.model_server.errors import AS_JOBLIB, VersionError, missing_package, not_readable, one_line
from services.model_server.ranked import array_of
from services.model_server.runtime import Description, Format, Original
from services.model_server.tensors import Input
from services.model_server.trained_with import compare_version

_FLAVOURS = {
    "sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data", "catboost": "data", "onnx": "data",
}  # fmt: skip
"""The flavours of model formats that are known here, and which key names their file."""

_SUFFIXES = {".skops": "model.skops", ".ubj": "model.ubj", ".json": "model.json", ".lgb": "model.txt",
             ".cbm": "model.cbm", ".cb": "model.cbm", ".onnx": "model.onnx",
             ".pkl": "model.joblib"}  # fmt: skip
"""Of a flavour's file, and the file whose format that is."""


def find(path: Path, formats: tuple[Format, ...]) -> tuple[Format, Path]:
    """The format and the file of the model in an MLflow folder.

    Raises:
        VersionError: the file is broken, or names a file that is not in the folder.
    """
    document = _read(path)
    flavours = document["flavors"]
    by_file = {one.file: one for one in formats}
    for flavour, key in _FLAVOURS.items():
        if flavour not in flavours:
            continue
        named = str((flavours[flavour] or {}).get(key, ""))
        file = path.parent / named
        if not named or not file.resolve().is_relative_to(path.parent.resolve()) or not file.is_file():
            raise VersionError(
                f"{path}: names {named!r} as the file of its flavour {flavour}, and the folder has no such "
                "file; save the model again"
            )
        if kind := by_file.get(_SUFFIXES.get(file.suffix, "")):
            loads = _with_version(kind, flavour, flavours[flavour])
            names = _with_names(kind, _columns(document))
            return replace(kind, load=_advised(loads, flavour), describe=_advised(names, flavour)), file
    if "python_function" not in flavours:
        raise VersionError(
            f"{path}: has the flavours {', '.join(flavours)}, none of which is known here; save it with "
            "python_function too"
        )
    return _PYTHON_FUNCTION, path


_SAVED_BY = {"xgboost": "xgb_version", "lightgbm": "lgb_version", "catboost": "catboost_version"}
"""The key of a flavour for the version of the library that saved the model; scikit-learn warns by itself."""


def _with_version(kind: Format, flavour: str, said: Mapping[str, Any]) -> Any:
    """A format's ``load``, which says first that another version of the library saved the model."""

    def load(path: Path, task: Task, given: Input) -> Any:
        saved = said.get(_SAVED_BY.get(flavour, ""))
        compare_version(flavour, None if saved is None else str(saved))
        return kind.load(path, task, given)

    return load


def _advised(work: Callable[..., Any], flavour: str) -> Callable[..., Any]:
    """``work``, whose refusals advise what MLflow can do: it writes the file, a person does not."""
    own = f"save it again by mlflow.{flavour}.save_model(..., serialization_format='cloudpickle')"
    if flavour == "lightgbm":
        own += " (or model.booster_ in place of the model, as LightGBM's own file, which needs no permission)"

    def advised(*given: Any) -> Any:
        try:
            return work(*given)
        except VersionError as error:
            raise VersionError(str(error).replace(AS_JOBLIB, own)) from error

    return advised


def _with_names(kind: Format, names: list[str]) -> Any:
    """A format's ``describe``, with the signature's columns for a model that knows none."""

    def describe(path: Path) -> Description:
        said = kind.describe(path)
        unnamed = said.columns is None and said.features in (None, len(names))
        return said._replace(columns=names) if names and unnamed else said

    return describe


def _read(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise VersionError(
            f"{path}: not readable as YAML ({one_line(error)}); save the model again"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("flavors"), dict):
        raise VersionError(f"{path}: has no flavors, so it is no MLflow model; save the model again")
    return document


def _columns(document: Mapping[str, Any]) -> list[str]:
    """The names of the columns in the signature; none where it has no names."""
    return [str(column["name"]) for column in _schema(document, "inputs") if column.get("name")]


def _schema(document: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    try:
        found = json.loads((document.get("signature") or {}).get(key) or "[]")
    except (AttributeError, TypeError, ValueError):
        return
    yield from (one for one in found if isinstance(one, dict))


class PythonFunction(Original):
    """A model of which only MLflow knows how it is run.

    Raises:
        VersionError: mlflow is missing, or cannot load it.
    """

    platform = "mlflow"
    has_proba = False

    def __init__(self, path: Path, task: Task, given: Input) -> None:
        self.columns = _columns(_read(path)) or None
        self.features = len(self.columns) if self.columns else None
        self.classes: list[Any] | None = None
        self._task = task
        self._model = _load(path)
        from services.model_server.scikit_learn.frames import for_data_frame

        self._to_model = for_data_frame(path, given)
        self.value_names: list[str] | None = None

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG002
        """Run the model on columns."""
        assert isinstance(rows, Columns)  # noqa: S101 - this format takes no matrix
        answer = self._model.predict(self._to_model(rows))
        if hasattr(answer, "columns"):
            self.value_names = [str(column) for column in answer.columns]
        array = array_of(answer)
        if self._task == "regression" and array.dtype.kind in "iub":
            array = array.astype(np.float64)
        return {"predict": array}


def _check_python(path: Path) -> None:
    """Refuse the pickle of a class that another Python wrote: its compiled code would end the process."""
    said = _read(path)["flavors"].get("python_function") or {}
    written, here = str(said.get("python_version", "")), platform.python_version()
    pickled = "python_model" in said and not said.get("model_code_path")
    if pickled and written and written.split(".")[:2] != here.split(".")[:2]:
        minor = ".".join(here.split(".")[:2])
        raise VersionError(
            f"{path}: holds a class that Python {written} pickled, whose code Python {here} here cannot run; "
            f"log it from Python {minor}, or as code: python_model='model.py', which calls "
            "mlflow.models.set_model"
        )


def _load(path: Path) -> Any:
    _check_python(path)
    try:
        from mlflow import pyfunc
    except ModuleNotFoundError as error:
        raise missing_package(path, "mlflow-skinny", "save it in its library's own flavour") from error
    try:
        return pyfunc.load_model(str(path.parent), suppress_warnings=True)
    except ModuleNotFoundError as error:
        if error.name is None:
            raise VersionError(f"{path}: not readable by MLflow ({one_line(error)})") from error
        raise missing_package(path, error.name, "save it in its library's own flavour") from error
    except (Exception, SystemExit) as error:
        # unpickling can raise anything
        raise not_readable(path, "MLflow", error) from error


def _describe(path: Path) -> Description:
    document = _read(path)
    names = _columns(document) or None
    outputs = list(_schema(document, "outputs"))
    types = {str(one.get("type")) for one in outputs}
    types |= {str((one.get("tensor-spec") or {}).get("dtype")) for one in outputs}
    # whole numbers and text are labels unless model.toml says that they are not
    is_regression = bool(types & {"double", "float", "float64", "float32"})
    task: Task = "regression" if is_regression else "classification"
    return Description(
        task, "FP64", len(names) if names else None, names, takes_frame=True, guessed=not is_regression
    )


_PYTHON_FUNCTION = Format(
    "MLmodel",
    PythonFunction,
    _describe,
    runs_code=True,
    code="MLflow's python_function",
    instead="save the model in its library's own flavour",
    inner=find,
)

FORMATS = (_PYTHON_FUNCTION,)
