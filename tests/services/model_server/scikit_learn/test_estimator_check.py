"""Forged models are found before C code writes or reads beyond their arrays."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from services.model_server.errors import VersionError
from services.model_server.scikit_learn.tree_check import check_model

RNG = np.random.default_rng(1)
ROWS = RNG.normal(size=(60, 3))
CODED = np.column_stack([np.arange(60) % 4, ROWS[:, 1:]])
THREE = np.arange(60) % 3
BOOSTED = GradientBoostingClassifier(n_estimators=3).fit(ROWS, THREE)
HISTOGRAM = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, categorical_features=[0]).fit(
    CODED, CODED[:, 0] > 1
)
PLAIN = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2).fit(ROWS, ROWS[:, 0])
MACHINE = SVC().fit(ROWS, THREE)
SPARSE = SVC().fit(csr_matrix(ROWS), THREE)
MEANS = KMeans(2, n_init=1).fit(ROWS)


@pytest.mark.parametrize(
    "model",
    [
        # its preprocessor puts the category first
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[2]).fit(CODED[:, ::-1], THREE),
        BOOSTED, HISTOGRAM, PLAIN, MACHINE, SPARSE,
        GradientBoostingClassifier(n_estimators=2, init="zero").fit(ROWS, THREE > 1),
        GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(ROWS, THREE > 1),
        GradientBoostingRegressor(n_estimators=2, loss="quantile").fit(ROWS, ROWS[:, 0]),
        SVC(kernel="linear").fit(ROWS, THREE > 1), SVC(kernel="precomputed").fit(ROWS @ ROWS.T, THREE),
        NuSVC(nu=0.2).fit(ROWS, THREE > 1), SVR().fit(ROWS, ROWS[:, 0]), NuSVR().fit(ROWS, ROWS[:, 0]),
        OneClassSVM().fit(ROWS), SVR().fit(csr_matrix(ROWS), ROWS[:, 0]),
    ],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_honest_models_pass(model: Any) -> None:
    check_model(model)


def _set(name: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    *way, last = name.split(".")

    def forge(model: Any) -> None:
        for step in way:
            model = getattr(model, step)
        setattr(model, last, change(getattr(model, last)))

    return forge


def _tuple_of(place: int, value: Any) -> Callable[[Any], Any]:
    def change(steps: Any) -> Any:
        name, kind, columns = steps[place]
        steps[place] = (name, value(kind), columns)
        return steps

    return change


@pytest.mark.parametrize(
    ("honest", "forge"),
    [
        # a stage with more trees than there are columns writes beyond them
        (BOOSTED, _set("estimators_", lambda trees: np.hstack([trees] * 9))),
        (BOOSTED, _set("n_trees_per_iteration_", lambda _: 900)),
        (BOOSTED, _set("estimators_", lambda trees: trees.ravel())),
        # the initial estimator gives fewer columns
        (BOOSTED, _set("init_.class_prior_", lambda prior: prior[:1])),
        # more, or fewer, support vectors than there are
        (MACHINE, _set("_n_support", lambda counts: counts + 1_000_000)),
        (MACHINE, _set("_n_support", lambda counts: np.array([-5, 5, counts.sum()], np.int32))),
        (MACHINE, _set("_n_support", lambda counts: np.array([counts.sum()], np.int32))),
        (MACHINE, _set("_n_support", lambda counts: np.append(counts, np.zeros(50, np.int32)))),
        (SPARSE, _set("_n_support", lambda counts: counts + 1_000_000)),
        (SPARSE, _set("_dual_coef_", lambda coefficients: coefficients[:, :1])),
        (MACHINE, _set("_dual_coef_", lambda coefficients: np.ascontiguousarray(coefficients[:1]))),
        (MACHINE, _set("_intercept_", lambda values: values[:1])),
        (MACHINE, _set("_probA", lambda _: np.ones(1))),
        (MACHINE, _set("support_vectors_", lambda vectors: np.ascontiguousarray(vectors[:, :1]))),
        (MACHINE, _set("support_", lambda support: support[:1])),
        # a mapper without features, with other categories, with one beyond the bitset
        (PLAIN, _set("_bin_mapper.is_categorical_", lambda _: np.zeros(0, np.uint8))),
        (HISTOGRAM, _set("_bin_mapper.is_categorical_", lambda flags: flags * 0)),
        (HISTOGRAM, _set("_bin_mapper.bin_thresholds_", lambda found: [np.array([1e6]), *found[1:]])),
        # a preprocessor that keeps fewer columns
        (HISTOGRAM, _set("_preprocessor.transformers_", lambda steps: steps[:1])),
        (HISTOGRAM, _set("_preprocessor.transformers_", _tuple_of(1, lambda _: "drop"))),
        # threads that OpenMP cannot start, at which it ends the process
        (MEANS, _set("_n_threads", lambda _: -(2**31))),
        (MEANS, _set("_n_threads", lambda _: 2**20)),
    ],
)
def test_forged_models_are_found(honest: Any, forge: Callable[[Any], None]) -> None:
    forged = deepcopy(honest)
    forge(forged)
    with pytest.raises(VersionError, match=r"corrupt|cannot be"):
        check_model(forged)


def test_a_model_that_begins_with_another_is_refused_with_a_way_out() -> None:
    model = GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(ROWS, ROWS[:, 0])
    with pytest.raises(
        VersionError, match="LinearRegression, which cannot be checked; train it without init"
    ):
        check_model(model)
