"""``model.txt``: LightGBM's own file, which runs no code. The library is optional."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import Task
from services.model_server.boosters.lightgbm_file import check_lightgbm
from services.model_server.categories import of_lightgbm
from services.model_server.columns import Columns, Rows
from services.model_server.errors import VersionError, missing_package, needs_columns, not_readable
from services.model_server.runtime import Description, Format, Original
from services.model_server.tensors import Input

_CLASSIFIERS = ("binary", "multiclass", "multiclassova")


class LightGBM(Original):
    """A LightGBM model as the server runs it, with one thread.

    A classifier's labels are the numbers 0, 1, ...: the file keeps no others.

    Raises:
        VersionError: the file is broken, its library is missing, or it does not fit ``task`` or the input.
    """

    platform = "lightgbm"

    def __init__(self, path: Path, task: Task, given: Input) -> None:
        self._booster = _read(path)
        found = _task(self._booster)
        if found != task:
            raise VersionError(f"{path}: is a {found} model, model.toml says {task}; make them agree")
        self.features: int | None = self._booster.num_feature()
        self.columns = _names(self._booster)
        self.has_proba = task == "classification"
        count = max(2, self._booster.num_model_per_iteration())
        self.classes: list[Any] | None = list(range(count)) if self.has_proba else None
        self._to_model = _to_model(self._booster, path, given)
        self.categories = of_lightgbm(self._booster)

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on a matrix of shape (rows, features), or on columns."""
        given = self._to_model(rows) if self._to_model and isinstance(rows, Columns) else rows
        raw = np.asarray(self._booster.predict(given, num_threads=1))
        if not self.has_proba:
            return {"predict": raw}
        # the class of the highest probability, and of equal ones the first, as LGBMClassifier has it
        probabilities = raw if raw.ndim == 2 else np.column_stack([1.0 - raw, raw])
        found = {"predict": probabilities.argmax(axis=1), "predict_proba": probabilities}
        return {name: found[name] for name in outputs}


def _describe(path: Path) -> Description:
    booster = _read(path)
    return Description(_task(booster), "FP64", booster.num_feature(), _names(booster))


def _read(path: Path) -> Any:
    try:
        import lightgbm
    except ModuleNotFoundError as error:
        raise missing_package(path, "lightgbm") from error
    try:
        check_lightgbm(path.read_bytes())
        return lightgbm.Booster(model_file=path)
    except (lightgbm.basic.LightGBMError, KeyError, OSError, TypeError, ValueError) as error:
        raise not_readable(path, "LightGBM", error) from error


def _task(booster: Any) -> Task:
    return "classification" if booster.params.get("objective") in _CLASSIFIERS else "regression"


def _names(booster: Any) -> list[str] | None:
    """The names of the features; None where they are those that LightGBM gives to an array's."""
    names: list[str] = booster.feature_name()
    return None if all(re.fullmatch(r"Column_\d+", name) for name in names) else names


def _to_model(booster: Any, path: Path, given: Input) -> Callable[[Columns], Any] | None:
    """What turns columns into a frame whose categories have the codes of the frame that was learnt from."""
    kept = booster.pandas_categorical or []
    places = booster.params.get("categorical_feature") or []
    if kept and len(places) != len(kept):
        raise VersionError(
            f"{path}: learnt from {len(places)} categorical features, of which {len(kept)} were of pandas' "
            "type category, and the file does not say which; make all of them that type and train it again"
        )
    if not isinstance(given, tuple):
        if kept:
            raise needs_columns(
                path, "learnt from categories, and numbers of a matrix would be taken for their codes"
            )
        return None
    from services.model_server.scikit_learn.frames import for_input

    kinds = SimpleNamespace(pandas_categorical=kept, params={"categorical_column": places})
    fitted = SimpleNamespace(
        booster_=kinds, feature_names_in_=_names(booster), n_features_in_=booster.num_feature()
    )
    return for_input(fitted, path, given)


FORMATS = (Format("model.txt", LightGBM, _describe, suffixes=(".lgb",), native=lambda _: ("lightgbm",)),)
