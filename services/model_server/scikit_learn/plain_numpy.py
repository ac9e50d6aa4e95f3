"""scikit-learn's own arithmetic without what surrounds it: checks of the input, joblib, array namespaces.

For one row those cost 20 to 100 times the arithmetic. For the models below the same operations are done on
the same numbers in the same order, so that answers are equal to the last bit; ``Estimator`` compares them
when it loads a version, and whatever is not listed here, or not equal, goes through scikit-learn.

::

    linear models       LogisticRegression, LinearRegression, Ridge, Lasso, ElasticNet, RidgeClassifier
    forests             RandomForest and ExtraTrees, Classifier and Regressor
    a StandardScaler in front of one of these
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import ensemble, linear_model
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.extmath import softmax

Rows = NDArray[Any]
Direct = Callable[[Rows, frozenset[str]], dict[str, NDArray[Any]]]

_LINEAR_CLASSIFIERS = (linear_model.LogisticRegression, linear_model.RidgeClassifier)
_LINEAR_REGRESSORS = (
    linear_model.LinearRegression, linear_model.Ridge, linear_model.Lasso, linear_model.ElasticNet,
)  # fmt: skip
_FORESTS = (
    ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier,
    ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor,
)  # fmt: skip


def is_linear(model: Any) -> bool:
    """Whether the model is one of the linear ones here, with a scaler in front or without."""
    last = model.steps[-1][1] if type(model) is Pipeline else model
    return type(last) in _LINEAR_CLASSIFIERS + _LINEAR_REGRESSORS


def direct(model: Any) -> Direct | None:
    """The short way to a fitted model's outputs; None where there is none for it.

    The function takes rows of shape (rows, features), finite numbers, and the names of outputs.
    """
    if type(model) is Pipeline:
        steps = [step for _, step in model.steps]
        last = direct(steps[-1])
        if last is None or len(steps) != 2 or type(steps[0]) is not StandardScaler:
            return None
        return _scaled(steps[0], last)
    if type(model) in _LINEAR_CLASSIFIERS and getattr(model, "classes_", np.empty((0, 0))).ndim == 1:
        return _linear_classifier(model)
    if type(model) in _LINEAR_REGRESSORS and np.ndim(getattr(model, "coef_", 0.0)) == 1:
        weights, intercept = model.coef_, model.intercept_
        return lambda rows, _: {"predict": rows @ weights + intercept}
    if type(model) in _FORESTS and getattr(model, "n_outputs_", 0) == 1:
        return _forest(model)
    return None


def _scaled(scaler: StandardScaler, last: Direct) -> Direct:
    mean = scaler.mean_ if scaler.with_mean else None
    scale = scaler.scale_ if scaler.with_std else None

    def run(rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        # in this order and in the rows' own precision, as StandardScaler.transform does
        rows = rows.astype(rows.dtype if rows.dtype.kind == "f" else np.float64)
        if mean is not None:
            rows -= mean
        if scale is not None:
            rows /= scale
        return last(rows, outputs)

    return run


def _linear_classifier(model: Any) -> Direct:
    weights, intercept, classes = model.coef_.T, model.intercept_, model.classes_
    binary = weights.ndim == 1 or weights.shape[1] == 1

    def run(rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        scores = rows @ weights + intercept
        results = {}
        if "predict" in outputs:
            at = (scores.ravel() > 0).astype(np.intp) if binary else scores.argmax(axis=1)
            results["predict"] = classes.take(at)
        if "predict_proba" in outputs:
            if binary:
                positive = expit(scores.ravel())
                results["predict_proba"] = np.stack([1 - positive, positive], axis=1)
            else:
                results["predict_proba"] = softmax(scores, copy=False)
        return results

    return run


def _forest(model: Any) -> Direct:
    trees = [estimator.tree_.predict for estimator in model.estimators_]
    classes = getattr(model, "classes_", None)
    width = 1 if classes is None else len(classes)

    def run(rows: Rows, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        narrow = np.ascontiguousarray(rows, np.float32)
        values = np.zeros((len(rows), width))
        for predict in trees:
            values += predict(narrow)
        values /= len(trees)
        if classes is None:
            return {"predict": values[:, 0]}
        results = {"predict_proba": values} if "predict_proba" in outputs else {}
        if "predict" in outputs:
            results["predict"] = classes.take(values.argmax(axis=1))
        return results

    return run
