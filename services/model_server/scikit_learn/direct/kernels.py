"""Support vector machines of two classes or of one value, and GaussianNB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn import naive_bayes, svm

from services.model_server.scikit_learn.direct.step import NotDirect, Unsure
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix
from services.model_server.scikit_learn.direct.trees import CLOSE, Head

MAX_CELLS = 200_000
"""Numbers in the support vectors, above which the library's own loop takes less time than NumPy."""


def machine(model: Any) -> Head:
    """A support vector machine with one of libsvm's kernels.

    Raises:
        NotDirect: it has more than two classes, probabilities, a kernel of its own, or too many vectors.
    """
    vectors, classes = model.support_vectors_, getattr(model, "classes_", None)
    if model._sparse:
        raise NotDirect("its vectors are sparse")
    if classes is not None and len(classes) != 2:
        raise NotDirect("it has more than two classes")
    if hasattr(model, "predict_proba"):
        raise NotDirect("it has probabilities of its own")
    if vectors.size > MAX_CELLS:
        raise NotDirect("it has many support vectors")
    weights, intercept = model.dual_coef_[0], float(model.intercept_[0])
    gamma, shift, degree, kernel = model._gamma, model.coef0, model.degree, model.kernel

    def products(row: Any) -> Any:
        if kernel == "rbf":
            return np.exp(-gamma * ((vectors - row) ** 2).sum(axis=1))
        inner = vectors @ row
        if kernel == "poly":
            return (gamma * inner + shift) ** degree
        return np.tanh(gamma * inner + shift) if kernel == "sigmoid" else inner

    if kernel not in ("linear", "poly", "rbf", "sigmoid"):
        raise NotDirect("it has a kernel of its own")

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        scores = np.array([weights @ products(row) for row in rows]) + intercept
        if classes is None:
            return {"predict": scores}
        if np.abs(scores).min() < CLOSE:
            raise Unsure
        return {"predict": classes.take((scores > 0).astype(np.intp)), "decision_function": scores}

    return run


def gaussian(model: Any) -> Head:
    """GaussianNB."""
    means, spreads, classes = model.theta_, model.var_, model.classes_
    start = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * spreads).sum(axis=1)

    def run(rows: Matrix, outputs: frozenset[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG001
        scores = start - 0.5 * ((rows[:, None, :] - means) ** 2 / spreads).sum(axis=2)
        best = np.partition(scores, -2, axis=1) if len(classes) > 1 else np.zeros((1, 2))
        # far from every class a score is large, and so is what rounds away
        if (best[:, -1] - best[:, -2] <= CLOSE * np.maximum(1, np.abs(best[:, -1]))).any():
            raise Unsure
        probabilities = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        return {"predict": classes.take(scores.argmax(axis=1)), "predict_proba": probabilities}

    return run


KNOWN = {
    svm.SVC: machine,
    svm.NuSVC: machine,
    svm.SVR: machine,
    svm.NuSVR: machine,
    naive_bayes.GaussianNB: gaussian,
}
