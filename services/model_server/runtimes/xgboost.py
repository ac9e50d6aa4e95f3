"""``model.ubj``, ``model.json``: XGBoost's own files, which run no code. The library is optional."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import Task
from services.model_server.boosters.xgboost_file import check_xgboost
from services.model_server.categories import of_xgboost
from services.model_server.columns import Columns, Rows
from services.model_server.errors import VersionError, missing_package, not_readable
from services.model_server.runtime import Description, Format, Original
from services.model_server.tensors import Input
from services.model_server.trained_with import compare_version


class XGBoost(Original):
    """An XGBoost model as the server runs it, with one thread.

    Raises:
        VersionError: the file is broken, its library is missing, or it does not fit ``task``.
    """

    platform = "xgboost"

    def __init__(self, path: Path, task: Task, given: Input) -> None:
        found, model = _read(path)
        if found != task:
            raise VersionError(f"{path}: is a {found} model, model.toml says {task}; make them agree")
        compare_version("xgboost", _saved_by(path))
        self._model = model
        self.features: int | None = model.n_features_in_
        self.columns = model.get_booster().feature_names
        self.has_proba = task == "classification"
        self.classes: list[Any] | None = model.classes_.tolist() if self.has_proba else None
        self.value_names = _value_names(model.get_booster())
        self._to_model = _to_model(model, path, given)
        self.categories = of_xgboost(model.get_booster())

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on a matrix of shape (rows, features), or on columns."""
        given = self._to_model(rows) if self._to_model and isinstance(rows, Columns) else rows
        answers = {name: getattr(self._model, name)(given) for name in outputs}
        if self.has_proba and "predict" in answers:
            # of several labels per row XGBoost gives 0.0 and 1.0
            answers["predict"] = answers["predict"].astype(np.int64, copy=False)
        return answers


def _describe(path: Path) -> Description:
    task, model = _read(path)
    return Description(task, "FP64", model.n_features_in_, model.get_booster().feature_names)


def _read(path: Path) -> tuple[Task, Any]:
    """What the model does, and the library's own wrapper for that."""
    try:
        import xgboost
    except ModuleNotFoundError as error:
        raise missing_package(path, "xgboost-cpu") from error
    try:
        check_xgboost(path.read_bytes())
        booster = xgboost.Booster(model_file=path)
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        task: Task = "classification" if objective.startswith(("binary:", "multi:")) else "regression"
        if task == "classification":
            model = xgboost.XGBClassifier()
        else:
            # each refuses what the other saved
            ranks = objective.startswith("rank:")
            model = xgboost.XGBRanker() if ranks else xgboost.XGBRegressor()
        model.load_model(path)
        model.set_params(n_jobs=1)
        if booster.attr("scikit_learn") is None and booster.attr("best_iteration") is not None:
            # xgboost.train's model runs all of its trees, the wrapper's those up to its best round
            model.get_booster().set_attr(best_iteration=None, best_score=None)
    except (xgboost.core.XGBoostError, KeyError, OSError, TypeError, ValueError) as error:
        raise not_readable(path, "XGBoost", error) from error
    return task, model


_TAIL = 4096
_VERSION = re.compile(rb'"version" *: *\[(\d+), *(\d+), *(\d+)\]')
_BINARY_VERSION = re.compile(rb"\x07version\[#L\x00{7}\x03i(.)i(.)i(.)", re.DOTALL)


def _saved_by(path: Path) -> str | None:
    """The XGBoost that wrote a file: the last key in it, as text or as UBJSON."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        end = file.read()
    if found := _VERSION.search(end):
        return b".".join(found.groups()).decode()
    binary = _BINARY_VERSION.search(end)
    return ".".join(str(part[0]) for part in binary.groups()) if binary else None


def _value_names(booster: Any) -> list[str] | None:
    """Of the quantiles in a row, if it gives any."""
    objective = json.loads(booster.save_config())["learner"]["objective"]
    levels = json.loads(objective.get("quantile_loss_param", {}).get("quantile_alpha", "[]"))
    return [f"quantile_{level:g}" for level in levels] if isinstance(levels, list) else None


def _to_model(model: Any, path: Path, given: Input) -> Any:
    booster = model.get_booster()
    if not isinstance(given, tuple) and "c" not in (booster.feature_types or ()):
        return None
    # imported late: pandas takes a second of a small CPU limit, and a matrix does without
    from services.model_server.scikit_learn.frames import for_input, refuse_matrix

    if not isinstance(given, tuple):
        refuse_matrix(model, path, booster.feature_names or ())
        return None
    to_model = for_input(model, path, given)
    if booster.feature_names is None:
        return lambda rows: np.asarray(to_model(rows))
    return to_model


FORMATS = (
    Format("model.ubj", XGBoost, _describe, suffixes=(".ubj",), native=lambda _: ("xgboost",)),
    Format("model.json", XGBoost, _describe, native=lambda _: ("xgboost",)),
)
