"""``model.py``: a class of one's own, which runs code when it is loaded.

::

    class Model:
        task = "regression"                      # or "classification"
        columns = ["age", "city"]                # optional: what it takes, in this order

        def __init__(self):                      # optional: files beside it are at Path(__file__).parent
            ...

        def predict(self, frame):                # a pandas.DataFrame; one value or label for each row, or
            ...                                  # several: a frame with a column for each, or a dict;
                                                 # or a ranked list: output = "ranking" in model.toml

        classes = ["no", "yes"]                  # optional, with it:
        def predict_proba(self, frame):          # a column for each of the classes
            ...
"""

from __future__ import annotations

import sys
import traceback
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import Task
from services.model_server.columns import Columns, Rows
from services.model_server.errors import VersionError, missing_package, one_line
from services.model_server.ranked import array_of
from services.model_server.runtime import Description, Format, Original
from services.model_server.tensors import Input


class Program(Original):
    """An object of the class in ``model.py`` as the server runs it.

    Raises:
        VersionError: the program fails, has no such class, or does not fit ``task`` or the input.
    """

    platform = "python"

    def __init__(self, path: Path, task: Task, given: Input) -> None:
        self._model = _load(path)
        self._task = task
        self.columns = _names(self._model, path)
        self.features = len(self.columns) if self.columns else None
        self.has_proba = task == "classification" and hasattr(self._model, "predict_proba")
        classes = getattr(self._model, "classes", None) if task == "classification" else None
        self.classes: list[Any] | None = None if classes is None else np.asarray(classes).tolist()
        from services.model_server.scikit_learn.frames import for_data_frame

        self._to_model = for_data_frame(path, given)
        self.value_names: list[str] | None = None

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on columns.

        Raises:
            ValueError: it answers for another number of rows.
        """
        assert isinstance(rows, Columns)  # noqa: S101 - this format takes no matrix
        return {name: self._answer(name, rows) for name in outputs}

    def _answer(self, name: str, rows: Columns) -> NDArray[Any]:
        # a frame for each method: it may write into what it is given
        import pandas as pd

        answer = getattr(self._model, name)(self._to_model(rows))
        if isinstance(answer, dict):
            answer = pd.DataFrame(answer)
        if name == "predict" and isinstance(answer, pd.DataFrame):
            self.value_names = [str(column) for column in answer.columns]
        array = _array(answer)
        if len(rows) == 1 and array.ndim == 0:
            # numpy.squeeze takes the rows away with the columns
            array = array.reshape(1)
        if array.ndim == 0 or len(array) != len(rows):
            count = len(array) if array.ndim else 1
            raise ValueError(
                f"{type(self._model).__name__}.{name} gives {count} answers for {len(rows)} rows"
            )
        # a regression's whole numbers are numbers
        return array.astype(np.float64) if self._task == "regression" and array.dtype.kind in "iub" else array


def _describe(path: Path) -> Description:
    model = _load(path)
    names = _names(model, path)
    task: Any = getattr(model, "task", "classification" if hasattr(model, "predict_proba") else None)
    if task not in get_args(Task):
        raise VersionError(
            f"{path}: the class {type(model).__name__} does not say what it does; give it "
            'task = "regression" or task = "classification" (of a ranked list, too)'
        )
    return Description(task, "FP64", len(names) if names else None, names, takes_frame=True)


def _names(model: Any, path: Path) -> list[str] | None:
    names = getattr(model, "columns", None)
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise VersionError(
            f"{path}: columns of the class {type(model).__name__} must be a list of names, got {names!r}"
        )
    return list(names)


class _NothingWritten(SourceFileLoader):
    """Leaves no ``__pycache__`` in the version folder."""

    def set_data(self, path: Any, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


def _load(path: Path) -> Any:
    """An object of the class in the file."""
    # a name for each folder: describe loads several versions
    name = f"model_py_{abs(hash(path.resolve()))}"
    spec = spec_from_loader(name, _NothingWritten(name, str(path)))
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - the loader is given
    module = module_from_spec(spec)
    # dataclasses and pickles look their module up there
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return _class_of(module, path)()
    except VersionError:
        raise
    except ModuleNotFoundError as error:
        instead = "put the code into model.py if it is your own"
        raise missing_package(path, error.name or "", instead) from error
    except (Exception, SystemExit) as error:
        # a program can raise anything
        raise VersionError(
            f"{path}: fails when it is loaded{_line(error, path)} ({one_line(error)}); correct it"
        ) from error


def _class_of(module: ModuleType, path: Path) -> Any:
    """The class of the file that has ``predict``; of several the one that is named Model."""
    found = {
        name: one
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__ == module.__name__ and hasattr(one, "predict")
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if "Model" in found:
        return found["Model"]
    there = f"the classes {', '.join(found)} do; name one of them Model" if found else "none does"
    raise VersionError(f"{path}: one class of the file must have predict(self, frame), and {there}")


def _line(error: BaseException, path: Path) -> str:
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(path)]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    return f", in line {lines[-1]}" if lines else ""


def _array(answer: Any) -> NDArray[Any]:
    """An answer as an array; pandas' nullable numbers and lists are objects that are numbers."""
    array = array_of(answer)
    if array.dtype == object and array.size and not isinstance(array.flat[0], str | list | tuple):
        array = np.array(array.tolist())
    return array


FORMATS = (
    Format(
        "model.py",
        Program,
        _describe,
        runs_code=True,
        code="a program",
        instead="bring the model in its library's own format",
    ),
)
