"""The check of estimators whose C code trusts that their attributes fit together (see ``tree_check``)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.cluster._kmeans import _BaseKMeans
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from sklearn.svm._base import BaseLibSVM
from sklearn.tree import DecisionTreeRegressor

from services.model_server.boosters.arrays import require
from services.model_server.errors import VersionError

_WORDS = 8
"""Of 32 bits, in the bitset of a feature's 256 categories."""
_MOST_THREADS = 1024


def check_estimator(model: Any) -> None:
    """Check one estimator of a loaded model; other kinds than those below pass.

    Raises:
        VersionError: its C code would write or read beyond its arrays, or that cannot be known.
        AttributeError, LookupError, TypeError, ValueError: it is corrupt.
    """
    for kind, learnt, check in _CHECKS:
        # an ensemble keeps its members unfitted beside the fitted ones; without what they learn none predicts
        if isinstance(model, kind) and hasattr(model, learnt):
            check(model)


def _check_gradient_boosting(model: Any) -> None:
    """A stage's trees write to one column each of what the initial estimator gave."""
    columns = model.n_trees_per_iteration_
    require(model.estimators_.ndim == 2 and model.estimators_.shape[1] == columns, "a stage")
    for tree in model.estimators_.flat:
        require(type(tree) is DecisionTreeRegressor and tree.tree_.value.shape[1:] == (1, 1), "a tree")
    if isinstance(model.init_, str):
        require(model.init_ == "zero", "init_")
        return
    if type(model.init_) not in (DummyClassifier, DummyRegressor):
        raise VersionError(
            f"a {type(model).__name__} in it begins with a {type(model.init_).__name__}, "
            "which cannot be checked; train it without init"
        )
    given = model._raw_predict_init(np.zeros((2, model.n_features_in_), np.float32))
    require(given.shape == (2, columns), "init_")


def _check_histogram_boosting(model: Any) -> None:
    """The mapper and the preprocessor have the model's features, in numbers and in kind."""
    features, mapper = model.n_features_in_, model._bin_mapper
    categorical = model.is_categorical_
    known = np.zeros(features, bool) if categorical is None else np.asarray(categorical)
    mapped = np.asarray(mapper.is_categorical_)
    require(mapped.shape == known.shape == (features,), "the mapper")
    require(mapped.sum() == known.sum() and len(mapper.bin_thresholds_) == features, "the mapper")
    for place in np.flatnonzero(mapped):
        values = np.asarray(mapper.bin_thresholds_[place])
        require(((values >= 0) & (values < 32 * _WORDS)).all(), "a category")
    for stage in model._predictors:
        for tree in stage:
            bits = tree.raw_left_cat_bitsets
            require(bits.ndim == 2 and (not len(bits) or bits.shape[1] == _WORDS), "a category")
            nodes = tree.nodes
            split = nodes["feature_idx"][(nodes["is_leaf"] == 0) & (nodes["is_categorical"] != 0)]
            require(mapped[split].all(), "a category")
    if model._preprocessor is not None:
        _check_preprocessor(model._preprocessor, features)


def _check_preprocessor(columns: Any, features: int) -> None:
    """It keeps the number of columns: the trees look no further than that."""
    require(type(columns) is ColumnTransformer and len(columns.transformers_) >= 2, "the preprocessor")
    (_, encoder, first), (_, checks, second) = columns.transformers_[:2]
    require(type(encoder) is OrdinalEncoder and type(checks) is FunctionTransformer, "the preprocessor")
    require(checks.func is None or isinstance(checks.func, partial), "the preprocessor")
    first, second = np.asarray(first), np.asarray(second)
    require(first.dtype == second.dtype == bool and first.shape == (features,), "the preprocessor")
    require(np.array_equal(first, ~second), "the preprocessor")


def _check_threads(model: Any) -> None:
    """OpenMP ends the process where it cannot start as many threads."""
    require(type(model._n_threads) is int and 1 <= model._n_threads <= _MOST_THREADS, "_n_threads")


def _check_support_vectors(model: Any) -> None:
    """The numbers of support vectors, classes and coefficients agree; libsvm checks none of them."""
    vectors, counts, support = model.support_vectors_, model._n_support, np.asarray(model.support_)
    of_rows = callable(model.kernel) or model.kernel == "precomputed"
    # libsvm counts these, and keeps no vectors where the kernel has been computed
    rows = vectors.shape[0] if model._sparse else len(support)
    require(vectors.shape[0] == rows or (of_rows and vectors.size == 0), "support_vectors_")
    require(counts.ndim == 1 and len(counts) >= 2 and (counts >= 0).all(), "_n_support")
    classes = len(counts)
    if model._impl in ("c_svc", "nu_svc"):
        require(int(counts.sum(dtype=np.int64)) == rows and len(model.classes_) == classes, "_n_support")
    else:
        require(classes == 2 and counts[0] == rows, "_n_support")
    pairs = classes * (classes - 1) // 2
    coefficients = model._dual_coef_
    stored = coefficients.data if model._sparse else coefficients
    require(coefficients.shape == (classes - 1, rows) and stored.size == (classes - 1) * rows, "_dual_coef_")
    require(model._intercept_.shape == (pairs,), "_intercept_")
    for sigmoid in (model._probA, model._probB):
        require(sigmoid.size in (0, pairs), "_probA")
    require(model._probA.size == model._probB.size, "_probA")
    width = model.shape_fit_[0] if of_rows else model.n_features_in_
    if model._sparse:
        require(vectors.indices.size == 0 or vectors.indices.max() < width, "support_vectors_")
    else:
        require(support.ndim == 1 and (of_rows or vectors.shape[1] == width), "support_vectors_")
    if of_rows:
        require(((support >= 0) & (support < width)).all(), "support_")


_CHECKS: tuple[tuple[type, str, Callable[[Any], None]], ...] = (
    (BaseGradientBoosting, "estimators_", _check_gradient_boosting),
    (BaseHistGradientBoosting, "_predictors", _check_histogram_boosting),
    (BaseLibSVM, "support_vectors_", _check_support_vectors),
    (_BaseKMeans, "_n_threads", _check_threads),
)
