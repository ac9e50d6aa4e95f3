"""XGBoost and LightGBM as last steps, without what their scikit-learn classes do for every request.

Their trees become one ensemble of ONNX Runtime where objective and splits are known (``xgboost_trees``,
``lightgbm_trees``): a call of the booster takes longer for one row. Else the booster is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.model_server.scikit_learn.direct import lightgbm_trees, xgboost_trees
from services.model_server.scikit_learn.direct.step import LABELS, NotDirect, Unsure
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix
from services.model_server.scikit_learn.direct.trees import Head


def name_of(model: Any) -> str:
    """Module and class of a model, which are known without an import of either library."""
    return f"{type(model).__module__}.{type(model).__name__}"


def _xgboost(model: Any, *, sparse: bool, onnx: bool) -> Head:
    booster = model.get_booster()
    if "c" in (booster.feature_types or ()):
        raise NotDirect("it learnt from pandas' categories")
    if model.booster == "gblinear" or callable(model.objective) or model.missing == model.missing:
        raise NotDirect("it has an objective, a booster or a missing value of its own")
    booster.set_param({"nthread": 1})
    classes = getattr(model, "classes_", None)
    rounds = model._get_iteration_range(None)
    own = xgboost_trees.turned(booster, rounds) if onnx else None

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        if sparse:
            # what a sparse matrix leaves out is missing to it
            rows = np.where(rows == 0, np.nan, rows)
        given = None
        if classes is not None and own and own.second and outputs == LABELS:
            second = own.second(rows)
            if second is not None:
                return {"predict": classes.take(second)}
        elif own:
            given = own.given(rows)
        if given is None:
            if np.isinf(rows).any():
                raise Unsure
            given = booster.inplace_predict(rows, iteration_range=rounds, validate_features=False)
        if classes is None:
            return {"predict": given}
        return _labels(classes, given, outputs)

    return run


def _lightgbm(model: Any, *, sparse: bool, onnx: bool) -> Head:  # noqa: ARG001 - a zero is a zero to it
    booster = model.booster_
    if booster.pandas_categorical:
        raise NotDirect("it learnt from pandas' categories")
    if callable(model.objective):
        raise NotDirect("it has an objective of its own")
    classes = getattr(model, "classes_", None)
    own = lightgbm_trees.turned(booster) if onnx else None

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        given = own(rows) if own else None
        if given is None:
            given = np.asarray(booster.predict(rows, num_threads=1))
        return {"predict": given} if classes is None else _labels(classes, given, outputs)

    return run


def _labels(classes: NDArray[Any], given: NDArray[Any], outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
    """Of two classes the probability of the second is given, of more all; of equal ones the first wins."""
    if given.ndim == 1:
        others = 1.0 - given
        results = {"predict": classes.take(given > others)}
        if "predict_proba" in outputs:
            results["predict_proba"] = np.stack([others, given], axis=1)
        return results
    results = {"predict": classes.take(given.argmax(axis=1))}
    if "predict_proba" in outputs:
        results["predict_proba"] = given
    return results


KNOWN = {
    "xgboost.sklearn.XGBClassifier": _xgboost,
    "xgboost.sklearn.XGBRegressor": _xgboost,
    "xgboost.sklearn.XGBRFClassifier": _xgboost,
    "xgboost.sklearn.XGBRFRegressor": _xgboost,
    "lightgbm.sklearn.LGBMClassifier": _lightgbm,
    "lightgbm.sklearn.LGBMRegressor": _lightgbm,
}
"""By ``name_of``: what makes a head of a fitted model that takes NaN."""
