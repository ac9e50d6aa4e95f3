"""``model.cbm``: CatBoost's own file, which runs no code. The library is optional.

CatBoost takes no missing cell in a category or a text: whoever trained the model wrote something in its
place, and the file does not say what. A missing category is given as ``nan``, which is what ``astype(str)``
makes of one, a missing text as no words; either is reported.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.model_toml import Task
from services.model_server.boosters.catboost_file import check_catboost
from services.model_server.columns import Columns, Rows
from services.model_server.errors import VersionError, missing_package, needs_columns, not_readable
from services.model_server.runtime import Description, Format, Original
from services.model_server.tensors import Input
from services.model_server.trained_with import compare_version

_IN_PLACE = {"category": "nan", "text": ""}
"""What is given for a missing cell, by the kind of the feature."""


class CatBoost(Original):
    """A CatBoost model as the server runs it, with one thread.

    Raises:
        VersionError: the file is broken, its library is missing, or it does not fit ``task`` or the input.
    """

    platform = "catboost"

    def __init__(self, path: Path, task: Task, given: Input) -> None:
        found, model = _read(path)
        if found != task:
            raise VersionError(f"{path}: is a {found} model, model.toml says {task}; make them agree")
        compare_version("catboost", _saved_by(model))
        self._model = model
        self._kinds = _kinds(model)
        self._said: set[str] = set()
        self.features: int | None = len(model.feature_names_)
        self.columns = _names(model)
        self.has_proba = task == "classification"
        self.classes: list[Any] | None = model.classes_.tolist() if self.has_proba else None
        self.value_names = _value_names(model)
        self._names = [spec.name for spec in given] if isinstance(given, tuple) else []
        if not isinstance(given, tuple):
            if self._kinds:
                raise needs_columns(path, f"learnt from {' and '.join(sorted(set(self._kinds.values())))}")
            return
        for place, kind in self._kinds.items():
            if place < len(given) and given[place].datatype in _CANNOT[kind]:
                raise VersionError(
                    f"{path}: learnt from {given[place].name!r} as a {kind}, the column is "
                    f"{given[place].datatype}, which CatBoost does not take there; write it in the "
                    "evaluation set as it was learnt"
                )

    def run(self, rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Run the model on a matrix of shape (rows, features), or on columns."""
        given = self._lists(rows) if isinstance(rows, Columns) else rows
        return {name: np.asarray(getattr(self._model, name)(given, thread_count=1)) for name in outputs}

    def _lists(self, rows: Columns) -> list[list[Any]]:
        columns = []
        for place, (name, cells) in enumerate(zip(self._names, rows.cells, strict=True)):
            kind = self._kinds.get(place)
            columns.append(self._filled(name, cells, _IN_PLACE[kind], kind) if kind else _numbers(cells))
        return [list(row) for row in zip(*columns, strict=True)]

    def _filled(self, name: str, cells: list[Any], text: str, kind: str) -> list[Any]:
        if None not in cells:
            return cells
        if name not in self._said:
            self._said.add(name)
            warnings.warn(
                f"CatBoost takes no missing {kind}: those of {name!r} are given as {text!r}; if something "
                "else stood there when it was trained, write that in the evaluation set",
                stacklevel=2,
            )
        return [text if cell is None else cell for cell in cells]


_CANNOT = {"category": ("FP64",), "text": ("FP64", "INT64", "BOOL")}
"""The datatypes of columns that CatBoost refuses for a kind of feature."""


def _numbers(cells: list[Any]) -> list[Any]:
    return [math.nan if cell is None else cell for cell in cells] if None in cells else cells


def _describe(path: Path) -> Description:
    task, model = _read(path)
    return Description(
        task, "FP64", len(model.feature_names_), _names(model), takes_frame=bool(_kinds(model))
    )


def _read(path: Path) -> tuple[Task, Any]:
    """What the model does, and the library's own wrapper for that."""
    try:
        import catboost
    except ModuleNotFoundError as error:
        raise missing_package(path, "catboost") from error
    try:
        check_catboost(path.read_bytes())
        # what is trained on classes keeps their names, and nothing else does
        found = catboost.CatBoost().load_model(str(path), format="cbm")
        task: Task = "classification" if len(found.classes_) else "regression"
        kind = catboost.CatBoostClassifier if len(found.classes_) else catboost.CatBoostRegressor
        model = kind().load_model(str(path), format="cbm")
        embeddings = model.get_embedding_feature_indices()
    except (catboost.CatBoostError, KeyError, TypeError, ValueError) as error:
        raise not_readable(path, "CatBoost", error) from error
    if embeddings:
        raise VersionError(
            f"{path}: learnt from embeddings, lists of numbers that no column holds; bring it as a model.py "
            "that makes them of columns"
        )
    return task, model


def _kinds(model: Any) -> dict[int, str]:
    """The places of the features that are no numbers, and what they are."""
    kinds = dict.fromkeys(model.get_cat_feature_indices(), "category")
    return kinds | dict.fromkeys(model.get_text_feature_indices(), "text")


def _names(model: Any) -> list[str] | None:
    """The names of the features; None where it learnt from an array, whose features are named 0, 1, ..."""
    names = [str(name) for name in model.feature_names_]
    return None if names == [str(place) for place in range(len(names))] else names


def _saved_by(model: Any) -> str | None:
    said = model.get_metadata().get("catboost_version_info", "")
    found = re.search(r"tags/v(\d[\w.]*)", said)
    return found[1] if found else None


def _value_names(model: Any) -> list[str] | None:
    """Of the values in a row, where its loss says what they are."""
    loss = _loss(model)
    if loss.get("type") == "RMSEWithUncertainty":
        return ["mean", "variance"]
    if loss.get("type") == "MultiQuantile":
        levels = re.findall(r"[\d.eE+-]+", str(loss.get("params", {}).get("alpha", "")))
        return [f"quantile_{float(level):g}" for level in levels]
    return None


def _loss(model: Any) -> Mapping[str, Any]:
    try:
        loss = json.loads(model.get_metadata()["params"])["loss_function"]
    except (KeyError, TypeError, ValueError):
        # a model that was put together, or converted, has none
        return {}
    return loss if isinstance(loss, dict) else {}


FORMATS = (Format("model.cbm", CatBoost, _describe, suffixes=(".cbm",), native=lambda _: ("catboost",)),)
