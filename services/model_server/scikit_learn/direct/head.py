"""The last step: rows as a matrix to labels, probabilities or values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.utils.extmath import softmax

from services.model_server.scikit_learn import plain_numpy
from services.model_server.scikit_learn.direct import trees
from services.model_server.scikit_learn.direct.step import NotDirect, Unsure
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix
from services.model_server.scikit_learn.direct.trees import Head

_EPSILON = float(np.finfo(np.float64).eps)
_ALLOWED = 1e-7
"""By how much a sum's rounding may change a score, relative to it, absolute below 1."""


def compile_head(model: Any, *, sparse: bool, onnx: bool) -> Head:
    """What answers rows of the last step's input, shape (rows, features), finite or NaN.

    Args:
        model: the fitted last step.
        sparse: whether the library would give it a sparse matrix.
        onnx: whether ONNX Runtime may be used.

    Raises:
        NotDirect: it is not known here.
    """
    kind = type(model).__name__
    try:
        head, gaps = _compile(model, sparse, onnx)
    except NotDirect as reason:
        raise NotDirect(f"the {kind} stays with scikit-learn: {reason}") from None
    if gaps and not sparse:
        return head

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        if not np.isfinite(rows).all():
            raise Unsure
        return head(rows, outputs)

    return run


def _compile(model: Any, sparse: bool, onnx: bool) -> tuple[Head, bool]:
    """The head, and whether it takes NaN."""
    if plain_numpy.is_linear(model):
        weights = model.coef_
        if weights.dtype != np.float64:
            raise NotDirect(f"its weights are {weights.dtype}")
        head = _sequential(model) if sparse else plain_numpy.direct(model)
        if head is None:
            raise NotDirect("it has several outputs")
        return head, False
    if onnx and type(model) in trees.FORESTS:
        return trees.forest(model), True
    if onnx and type(model) in trees.BOOSTING:
        return trees.boosting(model), False
    if onnx and type(model) in trees.HISTOGRAMS:
        return trees.histograms(model), True
    head = plain_numpy.direct(model)
    if head is None:
        raise NotDirect("there is no direct way for it" if onnx else "compilation is switched off")
    return head, False


def _sequential(model: Any) -> Head:
    """A linear model on what the library holds as a sparse matrix: it adds one product after the other."""
    classes = getattr(model, "classes_", None)
    if classes is not None and classes.ndim != 1:
        raise NotDirect("it has several outputs")
    weights, intercept = np.atleast_2d(model.coef_), model.intercept_
    binary = len(weights) == 1
    if classes is None and not binary:
        raise NotDirect("it has several outputs")

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:
        products = rows[:, None, :] * weights
        scores = products.cumsum(axis=2)[:, :, -1] + intercept
        # what a sum in any order may be off by
        off = np.abs(products).sum(axis=2) * (_EPSILON * products.shape[2])
        if not (off <= _ALLOWED * np.maximum(1, np.abs(scores))).all():
            raise Unsure
        if classes is None:
            return {"predict": scores[:, 0]}
        if binary:
            score = scores[:, 0]
            if (np.abs(score) <= off[:, 0]).any():
                raise Unsure
            at = (score > 0).astype(np.intp)
        else:
            best = np.partition(scores, -2, axis=1)
            if (best[:, -1] - best[:, -2] <= 2 * off.max(axis=1)).any():
                raise Unsure
            at = scores.argmax(axis=1)
        results = {"predict": classes.take(at)}
        if "predict_proba" in outputs:
            if binary:
                positive = expit(score)
                results["predict_proba"] = np.stack([1 - positive, positive], axis=1)
            else:
                results["predict_proba"] = softmax(scores, copy=False)
        return results

    return run
