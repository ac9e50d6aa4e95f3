"""Linear models and the naive Bayes models that are linear: weights times the row, and what follows of it.

On a dense matrix with the library's own product. On a sparse one the library adds one product after the
other, and so does this, on its entries or on all its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp
from sklearn import linear_model, naive_bayes, svm
from sklearn.utils.extmath import softmax

from services.model_server.scikit_learn.direct.step import Cells, Entries, NotDirect, Unsure
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix

Outputs = dict[str, NDArray[Any]]
Finish = Callable[[Matrix, frozenset[str]], Outputs]
"""(scores of shape (rows, outputs), names of outputs) to an array per output."""

_EPSILON = float(np.finfo(np.float64).eps)
_LARGEST = float(np.finfo(np.float64).max)
_LISTED = 300_000
"""Weights that are kept as plain numbers as well, which take four times the memory."""
_SHORT = 256
"""Columns of which plain numbers are added up sooner than arrays are made."""
_ALLOWED = 1e-7
"""By how much a sum's rounding may change a score, relative to it, absolute below 1."""


class Linear(NamedTuple):
    """A fitted model.

    Args:
        weights: shape (outputs, features).
        intercept: a number, or one per output.
        classes: None of a regression.
        probabilities: scores to probabilities; None where it has none.
        inverse: what makes a regression's values of its scores.
        decides: whether it has ``decision_function``.
        binarize: features above it are 1, others 0; None: they are as they are.
    """

    weights: NDArray[np.float64]
    intercept: Any
    classes: NDArray[Any] | None
    probabilities: Callable[[Matrix], Matrix] | None
    inverse: Callable[[Matrix], Matrix] | None = None
    decides: bool = True
    binarize: float | None = None


_CLASSIFIERS = (
    linear_model.LogisticRegression, linear_model.LogisticRegressionCV, linear_model.RidgeClassifier,
    linear_model.RidgeClassifierCV, linear_model.SGDClassifier, linear_model.Perceptron, svm.LinearSVC,
)  # fmt: skip
_REGRESSORS = (
    linear_model.LinearRegression, linear_model.Ridge, linear_model.RidgeCV, linear_model.Lasso,
    linear_model.LassoCV, linear_model.ElasticNet, linear_model.ElasticNetCV, linear_model.SGDRegressor,
    linear_model.HuberRegressor, linear_model.BayesianRidge, linear_model.ARDRegression, linear_model.Lars,
    linear_model.LassoLars, linear_model.LassoLarsCV, linear_model.TheilSenRegressor,
    linear_model.QuantileRegressor, svm.LinearSVR,
)  # fmt: skip
_COUNTS = (linear_model.PoissonRegressor, linear_model.GammaRegressor, linear_model.TweedieRegressor)
_BAYES = (naive_bayes.MultinomialNB, naive_bayes.ComplementNB, naive_bayes.BernoulliNB)

KINDS = frozenset((*_CLASSIFIERS, *_REGRESSORS, *_COUNTS, *_BAYES))


def linear(model: Any) -> Linear:
    """What a fitted model of ``KINDS`` has learnt.

    Raises:
        NotDirect: it has several outputs, or weights of single precision.
    """
    kind = type(model)
    classes = getattr(model, "classes_", None)
    if classes is not None and classes.ndim != 1:
        raise NotDirect("it has several outputs")
    if kind in _BAYES:
        return _bayes(model, classes)
    if np.ndim(model.coef_) == 2 and classes is None and len(model.coef_) > 1:
        raise NotDirect("it has several outputs")
    weights = np.atleast_2d(model.coef_)
    if weights.dtype != np.float64:
        raise NotDirect(f"its weights are {weights.dtype}")
    made = Linear(weights, model.intercept_, classes, None)
    if kind in _COUNTS:
        return made._replace(inverse=model._base_loss.link.inverse if hasattr(model, "_base_loss") else None)
    if kind in (linear_model.LogisticRegression, linear_model.LogisticRegressionCV):
        return made._replace(probabilities=_sigmoid if len(weights) == 1 else softmax)
    if kind is linear_model.SGDClassifier and model.loss == "log_loss":
        return made._replace(probabilities=_sigmoid if len(weights) == 1 else _one_by_one)
    if kind is linear_model.SGDClassifier and model.loss == "modified_huber":
        raise NotDirect("it has probabilities of modified_huber")
    return made


def _bayes(model: Any, classes: Any) -> Linear:
    weights, prior = model.feature_log_prob_, model.class_log_prior_
    binarize = None
    if isinstance(model, naive_bayes.ComplementNB):
        prior = prior if len(classes) == 1 else np.zeros(len(classes))
    if isinstance(model, naive_bayes.BernoulliNB):
        others = np.log(1 - np.exp(weights))
        weights, prior = weights - others, prior + others.sum(axis=1)
        binarize = model.binarize
        if binarize is not None and binarize < 0:
            raise NotDirect("it takes what is missing in a text for a word")
    return Linear(weights, prior, classes, _exponents, decides=False, binarize=binarize)


def _sigmoid(scores: Matrix) -> Matrix:
    positive = expit(scores[:, 0])
    return np.stack([1 - positive, positive], axis=1)


def _one_by_one(scores: Matrix) -> Matrix:
    made = expit(scores)
    sums = made.sum(axis=1)
    if (sums == 0).any():
        raise Unsure
    made /= sums[:, None]
    return made


def _exponents(scores: Matrix) -> Matrix:
    made: Matrix = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    return made


def on_dense(model: Linear) -> Callable[[Matrix, frozenset[str]], Outputs]:
    """On a matrix that the library has as one, too."""
    transposed, finish = model.weights.T, _finish(model)

    def run(rows: Matrix, outputs: frozenset[str]) -> Outputs:
        if model.binarize is not None:
            rows = (rows > model.binarize).astype(np.float64)
        return finish(rows @ transposed + model.intercept, outputs)

    return run


def on_sparse(model: Linear) -> Callable[[Matrix, frozenset[str]], Outputs]:
    """On a dense matrix that the library has as a sparse one."""
    weights, finish = model.weights, _finish(model)

    def run(rows: Matrix, outputs: frozenset[str]) -> Outputs:
        if model.binarize is not None:
            rows = (rows > model.binarize).astype(np.float64)
        products = rows[:, None, :] * weights
        scores = products.cumsum(axis=2)[:, :, -1] + model.intercept
        # what a sum in any order may be off by
        off = np.abs(products).sum(axis=2) * (_EPSILON * products.shape[2])
        _check(model, scores, off)
        return finish(scores, outputs)

    return run


def on_entries(model: Linear) -> Callable[[Sequence[Entries], frozenset[str]], Outputs]:
    """On entries, of which most columns have none."""
    if model.weights.shape[0] == 1 and model.weights.size <= _LISTED and model.binarize is None:
        return _one_on_entries(model)
    weights = model.weights.T
    if model.weights.size <= 2_000_000:
        # each entry takes a row of it
        weights = np.ascontiguousarray(weights)
    finish, width = _finish(model), weights.shape[1]

    def run(rows: Sequence[Entries], outputs: frozenset[str]) -> Outputs:
        scores, off = np.zeros((len(rows), width)), np.zeros((len(rows), width))
        for at, (places, values) in enumerate(rows):
            if not places:
                continue
            given = np.array(values)
            if not np.isfinite(given).all():
                raise Unsure
            if model.binarize is not None:
                given = (given > model.binarize).astype(np.float64)
            products = weights[places] * given[:, None]
            scores[at] = products.cumsum(axis=0)[-1]
            off[at] = np.abs(products).sum(axis=0) * (_EPSILON * len(places))
        scores += model.intercept
        _check(model, scores, off)
        return finish(scores, outputs)

    return run


def _one_on_entries(model: Linear) -> Callable[[Sequence[Entries], frozenset[str]], Outputs]:
    """The same of one output, in plain numbers: of some dozens an array takes longer."""
    weights, finish, score_of = model.weights[0].tolist(), _finish(model), _score_of(model)

    def run(rows: Sequence[Entries], outputs: frozenset[str]) -> Outputs:
        scores = []
        for places, values in rows:
            total = size = 0.0
            for place, value in zip(places, values, strict=True):
                product = weights[place] * value
                total += product
                size += abs(product)
            scores.append((score_of(total, size, len(places)),))
        return finish(np.array(scores), outputs)

    return run


def one_on_cells(model: Linear) -> Callable[[Sequence[Cells], frozenset[str]], Outputs] | None:
    """The same on all columns of what the library has as a sparse matrix; None: arrays take no longer."""
    if model.weights.shape[0] > 1 or model.weights.size > _SHORT or model.binarize is not None:
        return None
    weights, finish, score_of = model.weights[0].tolist(), _finish(model), _score_of(model)

    def run(rows: Sequence[Cells], outputs: frozenset[str]) -> Outputs:
        scores = []
        for row in rows:
            total = size = 0.0
            for weight, value in zip(weights, row, strict=True):
                if value:
                    product = weight * value
                    total += product
                    size += abs(product)
            scores.append((score_of(total, size, len(weights)),))
        return finish(np.array(scores), outputs)

    return run


def _score_of(model: Linear) -> Callable[[float, float, int], float]:
    """The score of a sum of products, of the sum of their sizes, and of how many they are."""
    intercept, labels = float(np.ravel(model.intercept)[0]), model.classes is not None

    def score_of(total: float, size: float, products: int) -> float:
        score = total + intercept
        off = size * (_EPSILON * products)
        # where a value is not finite, this is not either
        if not off <= _ALLOWED * max(1.0, min(abs(score), _LARGEST)) or (labels and abs(score) <= off):
            raise Unsure
        return score

    return score_of


def _check(model: Linear, scores: Matrix, off: Matrix) -> None:
    """Leave to the library what the order of a sum could decide."""
    if not (off <= _ALLOWED * np.maximum(1, np.abs(scores))).all():
        raise Unsure
    if model.classes is None:
        return
    if scores.shape[1] == 1:
        close = np.abs(scores) <= off
    else:
        best = np.partition(scores, -2, axis=1)
        close = best[:, -1] - best[:, -2] <= 2 * off.max(axis=1)
    if close.any():
        raise Unsure


def _finish(model: Linear) -> Finish:
    classes, probabilities, inverse = model.classes, model.probabilities, model.inverse

    def values(scores: Matrix, outputs: frozenset[str]) -> Outputs:  # noqa: ARG001
        return {"predict": scores[:, 0] if inverse is None else inverse(scores[:, 0])}

    def labels(scores: Matrix, outputs: frozenset[str]) -> Outputs:
        one = scores.shape[1] == 1
        at = (scores[:, 0] > 0).astype(np.intp) if one else scores.argmax(axis=1)
        results: Outputs = {"predict": classes.take(at)}  # type: ignore[union-attr]
        if probabilities and "predict_proba" in outputs:
            results["predict_proba"] = probabilities(scores)
        if model.decides and "decision_function" in outputs:
            results["decision_function"] = scores[:, 0] if one else scores
        return results

    return values if classes is None else labels
