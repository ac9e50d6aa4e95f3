"""Columns as what a model was fitted on: a data frame, an array, or a single series of texts.

Text is of pandas' ``object`` type and its missing cells are NaN, as ``pandas.read_csv`` gives them; a model
that was fitted on None, as Parquet files give it, says so in its imputers and encoders and gets None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.text_columns import as_text
from services.model_server.columns import Columns
from services.model_server.errors import VersionError, needs_columns
from services.model_server.scikit_learn.estimators_in import estimators_in, learner_of
from services.model_server.scikit_learn.xgboost_categories import known_categories, recoded
from services.model_server.tensors import Input, TensorSpec

ToModel = Callable[[Columns], Any]


def for_data_frame(path: Path, given: Input) -> ToModel:
    """What turns columns into a data frame, for a program that is no model of scikit-learn's.

    Raises:
        VersionError: ``model.toml`` has a matrix.
    """
    if not isinstance(given, tuple):
        raise needs_columns(path, "takes a data frame")
    names = [spec.name for spec in given]
    # by names, it is given a frame whatever the columns are
    return for_model(SimpleNamespace(feature_names_in_=names), names, [spec.datatype for spec in given])


def for_input(model: Any, path: Path, given: tuple[TensorSpec, ...]) -> ToModel:
    """As ``for_model``, of the input of ``model.toml``; errors name the file ``path``."""
    try:
        return for_model(model, [spec.name for spec in given], [spec.datatype for spec in given])
    except VersionError as error:
        raise VersionError(f"{path}: {error}") from None


def for_model(model: Any, columns: Sequence[str], datatypes: Sequence[str]) -> ToModel:
    """What turns columns into what a fitted model takes.

    The columns and their datatypes are in the model's order.

    Raises:
        VersionError: it was fitted on categories that cannot be known, or that the column cannot hold.
    """
    missing = None if fitted_on_none(model) else np.nan
    learner = learner_of(model)
    categories = categories_of(learner, columns)
    recodes = hasattr(learner, "get_booster")
    _check_kinds(dict(zip(columns, datatypes, strict=True)), categories)

    def frame(rows: Columns) -> pd.DataFrame:
        return pd.DataFrame(
            {name: _series(rows.arrays[name], missing, categories.get(name), recodes) for name in columns}
        )

    if getattr(model, "feature_names_in_", None) is not None:
        return frame
    if getattr(model, "n_features_in_", None) is not None:
        kind = object if {"BYTES", "BOOL"} & set(datatypes) else np.float64
        return lambda rows: frame(rows).to_numpy(kind)
    if list(datatypes) == ["BYTES"]:
        # a vectorizer of texts takes them one by one; of a frame it would take the names of the columns
        return lambda rows: frame(rows)[columns[0]]
    return frame


def _check_kinds(datatypes: Mapping[str, str], categories: Mapping[str, pd.Index]) -> None:
    """Refuse columns of which no cell would be a known category."""
    known = {name: values.tolist()[0] for name, values in categories.items() if len(values)}
    texts = [n for n, value in known.items() if isinstance(value, str) and datatypes[n] != "BYTES"]
    if texts:
        raise VersionError(
            f"learnt from categories of {', '.join(texts)} that are text such as {known[texts[0]]!r}, and "
            f"the column holds numbers or truth values; {as_text(texts)}"
        )
    for name, value in known.items():
        if not isinstance(value, str) and datatypes[name] == "BYTES":
            raise VersionError(
                f"learnt from categories of {name!r} that are numbers such as {value!r}, and the "
                "column holds text; write numbers"
            )


def _series(array: NDArray[Any], missing: Any, categories: pd.Index | None, recodes: bool) -> pd.Series:
    if array.dtype == object:
        gaps = pd.isna(array)
        if missing is not None and gaps.any():
            array = np.where(gaps, missing, array)
        # pandas would take text for its newer type, which was not there when most models were fitted
        series = pd.Series(array, dtype=object)
    else:
        series = pd.Series(array, copy=False)
    if categories is None:
        return series
    if recodes:
        return recoded(series, categories)
    # unknown ones are missing, as pandas has it
    return pd.Series(pd.Categorical.from_codes(categories.get_indexer(series), categories))


def categories_of(model: Any, columns: Sequence[Any]) -> dict[Any, pd.Index]:
    """The columns that a boosting library learnt from as pandas' categories, and their values in order.

    LightGBM takes the codes of the categories; XGBoost codes anew what it is given, and of its values those
    are left out that cannot be read.

    Raises:
        VersionError: XGBoost's model has no values, as before 3.1.
    """
    if hasattr(model, "booster_"):
        kept = getattr(model.booster_, "pandas_categorical", None) or []
        places = model.booster_.params.get("categorical_column") or []
        names = [columns[place] for place in sorted(places) if place < len(columns)]
        if len(names) != len(kept):
            return {}
        return {name: pd.Index(values) for name, values in zip(names, kept, strict=True)}
    if hasattr(model, "get_booster"):
        booster = model.get_booster()
        names = [
            name for name, kind in zip(columns, booster.feature_types or (), strict=False) if kind == "c"
        ]
        if names and not _keeps_values(booster):
            raise VersionError(
                f"learnt from categories ({', '.join(names)}) whose values are not in it; "
                "train it again with XGBoost 3.1 or newer, or write a model.py that makes them of the columns"
            )
        known = dict(zip(columns, known_categories(booster), strict=False)) if names else {}
        return {name: known.get(name, pd.Index([])) for name in names}
    return {}


def refuse_matrix(model: Any, path: Path, columns: Sequence[Any]) -> None:
    """Refuse a matrix where a booster learnt from pandas' categories: it would take numbers for their codes.

    Raises:
        VersionError: it did.
    """
    if getattr(model, "n_features_in_", None) is None:
        return
    if hasattr(model, "get_booster") and not _keeps_values(model.get_booster()):
        return
    if categories_of(model, columns or range(model.n_features_in_)):
        raise needs_columns(
            path, "learnt from categories, and numbers of a matrix would be taken for their codes"
        )


def _keeps_values(booster: Any) -> bool:
    get = getattr(booster, "get_categories", None)
    return get is not None and not get().empty()


def fitted_on_none(model: Any) -> bool:
    """Whether an imputer or encoder in it takes None for a missing cell."""
    for part in estimators_in(model):
        if getattr(part, "missing_values", 0) is None:
            return True
        known = getattr(part, "categories_", None)
        if isinstance(known, list) and any(
            isinstance(values, np.ndarray) and values.dtype == object and None in values.tolist()
            for values in known
        ):
            return True
    return False
