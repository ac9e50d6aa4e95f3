"""scikit-learn models, from ``model.skops`` or, where allowed by name, ``model.joblib``."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from numpy.typing import NDArray
from skops.io import get_untrusted_types
from skops.io import load as load_skops

from services.model_server.direct import Direct, direct
from services.model_server.errors import VersionError
from services.model_server.trees import CHECKED_TYPES, check_trees

_TRUSTED = (*CHECKED_TYPES, "sklearn.utils._bunch.Bunch")


def read_skops(path: Path) -> Any:
    """Load a model of which only types are loaded that cannot run code.

    Raises:
        VersionError: the file is broken or holds other types.
    """
    try:
        untrusted = sorted(set(get_untrusted_types(file=path)) - set(_TRUSTED))
        if untrusted:
            raise VersionError(
                f"{path}: holds types that are not known to be safe ({', '.join(untrusted)}); "
                "build the model of scikit-learn's own parts, or export it to ONNX"
            )
        model = load_skops(path, trusted=_TRUSTED)
        check_trees(model)
    except VersionError as error:
        message = str(error)
        raise VersionError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    except Exception as error:
        # skops lets through whatever a broken file makes its parts raise
        raise VersionError(f"{path}: not readable by skops ({_line(error)}); save the model again") from error
    return model


def read_joblib(path: Path) -> Any:
    """Load a pickle. It runs code: the caller has checked that it is allowed.

    Raises:
        VersionError: the file is broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            return joblib.load(path)
    except Exception as error:
        # unpickling can raise anything
        raise VersionError(
            f"{path}: not readable by joblib ({_line(error)}); save the model again"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class Estimator:
    """A fitted scikit-learn model as the server runs it: one thread, and no checks that were done already.

    Args:
        model: the fitted model.
        path: where it came from, for messages.
        task: ``classification`` or ``regression``.

    Raises:
        VersionError: it is not a fitted model for ``task``.
    """

    platform = "sklearn"

    def __init__(self, model: Any, path: Path, task: str) -> None:
        if not hasattr(model, "predict"):
            raise VersionError(f"{path}: a {type(model).__name__} has no predict; save a fitted model")
        self.model = model
        self._direct: Direct | None = None
        self.has_proba = task == "classification" and hasattr(model, "predict_proba")
        self._thread = threading.local()
        self.features: int | None = getattr(model, "n_features_in_", None)
        self.classes: list[Any] | None = None
        if task == "classification":
            classes = getattr(model, "classes_", None)
            if not isinstance(classes, np.ndarray) or classes.ndim != 1:
                raise VersionError(
                    f"{path}: a {type(model).__name__} has no classes_ of one label; "
                    "save a fitted classifier, or set task in model.toml"
                )
            self.classes = classes.tolist()
        # rows come without names: load_version has compared the names with the columns of model.toml
        self.columns: list[str] | None = list(getattr(model, "feature_names_in_", ())) or None
        _forget_names(model)
        parameters = model.get_params() if hasattr(model, "get_params") else {}
        jobs = {name: 1 for name in parameters if name.split("__")[-1] == "n_jobs"}
        if jobs:
            model.set_params(**jobs)

    def shorten(self, sample: Callable[[], NDArray[Any]]) -> bool:
        """Leave scikit-learn's surroundings out from now on, if that gives the same answers to some rows.

        Args:
            sample: the rows, shape (rows, features); compared alone and together, bit by bit.
        """
        short = direct(self.model)
        if short is None:
            return False
        rows = sample()
        outputs = frozenset(["predict", "predict_proba"] if self.has_proba else ["predict"])
        if not all(
            _equal(short(part, outputs), self.run(part, outputs)) for part in (rows, *np.split(rows[:16], 16))
        ):
            return False
        self._direct = short
        return True

    def run(self, rows: NDArray[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on rows of shape (rows, features)."""
        if self._direct:
            with np.errstate(all="ignore"):
                return self._direct(rows, outputs)
        if not hasattr(self._thread, "configured"):
            # scikit-learn's configuration is per thread; the protocol has checked the rows
            sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
            self._thread.configured = True
        with np.errstate(all="ignore"):
            return {name: getattr(self.model, name)(rows) for name in outputs}


def _forget_names(part: Any, seen: set[int] | None = None) -> None:
    """Take the names of features out of a model and all its steps, each of which would warn of their lack."""
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, list | tuple):
        parts: list[Any] = list(part)
    elif isinstance(part, dict):
        parts = list(part.values())
    elif hasattr(part, "get_params") and hasattr(part, "__dict__"):
        vars(part).pop("feature_names_in_", None)
        parts = list(vars(part).values())
    else:
        return
    for inner in parts:
        _forget_names(inner, seen)


def _equal(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )
