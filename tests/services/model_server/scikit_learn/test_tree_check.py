"""Forged trees are found before they can be followed out of their memory."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from services.model_server.errors import VersionError
from services.model_server.scikit_learn.tree_check import check_model, check_trees

ROWS = np.random.default_rng(1).normal(size=(80, 3))
BOOSTED = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5).fit(ROWS, ROWS[:, 0] > 0)
FOREST = RandomForestClassifier(2, random_state=0).fit(ROWS, ROWS[:, 0] > 0)


def node(model: Any) -> Any:
    return model._predictors[1][0].nodes


@pytest.mark.parametrize(
    "model",
    [
        BOOSTED,
        FOREST,
        # splits on categories
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(
            np.column_stack([np.arange(80) % 5, ROWS[:, 1:]]), np.arange(80) % 5 > 2
        ),
        # inside a pipeline, with more features than come in
        make_pipeline(PolynomialFeatures(), RandomForestClassifier(2)).fit(ROWS, ROWS[:, 0] > 0),
        {"a list too": [FOREST, (BOOSTED,)]},
    ],
)
def test_honest_trees_pass(model: Any) -> None:
    check_trees(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        # a feature that is not there
        ("feature_idx", 3),
        ("feature_idx", -1),
        # a child beyond the tree
        ("left", 10_000),
        ("right", 2**32 - 1),
        # a child that leads back up: a walk without end
        ("left", 0),
        # a category of a feature that has none
        ("is_categorical", 1),
    ],
)
def test_forged_boosted_trees_are_found(field: str, value: int) -> None:
    forged = deepcopy(BOOSTED)
    node(forged)[field][0] = value
    with pytest.raises(VersionError, match="corrupt"):
        check_trees(forged)


def test_a_tree_without_nodes_is_found() -> None:
    forged = deepcopy(BOOSTED)
    forged._predictors[1][0].nodes = node(forged)[:0]
    with pytest.raises(VersionError, match="corrupt"):
        check_trees(forged)


@pytest.mark.parametrize(("field", "value"), [("feature", 3), ("left_child", 999), ("right_child", 0)])
def test_forged_forests_are_found(field: str, value: int) -> None:
    forged = deepcopy(FOREST)
    tree = forged.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(VersionError, match="corrupt"):
        check_trees(forged)


def test_a_tree_that_claims_more_features_than_its_forest_is_found() -> None:
    """A forest checks its rows once and hands them down: what its trees claim does not count."""
    wide = np.column_stack([np.zeros((80, 5)), ROWS])
    forged = deepcopy(FOREST)
    forged.estimators_[0] = RandomForestClassifier(1, random_state=0).fit(wide, ROWS[:, 0] > 0).estimators_[0]
    with pytest.raises(VersionError, match="corrupt"):
        check_trees(forged)


def test_a_tree_without_an_estimator_is_found() -> None:
    tree = FOREST.estimators_[0].tree_
    # in the place of a model, it is handed what the steps before it make, unchecked
    narrow = make_pipeline(PCA(1), LogisticRegression()).fit(ROWS, ROWS[:, 0] > 0)
    narrow.steps[1] = ("model", tree)
    for forged in ([tree], narrow):
        with pytest.raises(VersionError, match="belongs to no fitted estimator"):
            check_trees(forged)


def neighbours(**more: Any) -> Any:
    return KNeighborsClassifier(3, algorithm="kd_tree", **more).fit(ROWS, (ROWS[:, 0] > 0).astype(int))


def test_neighbours_that_only_copies_of_were_fitted_are_not_corrupt():
    given = KNeighborsClassifier(3)
    model = VotingClassifier([("near", given)])
    model.fit(ROWS, (ROWS[:, 0] > 0).astype(int))
    assert not hasattr(given, "_fit_X")
    check_model(model)
    model.estimators_[0]._fit_X = "rows"
    with pytest.raises(VersionError, match="a KNeighborsClassifier in it is corrupt"):
        check_model(model)


def test_a_forged_tree_of_neighbours_is_never_walked() -> None:
    """What was stored is dropped: the library builds the tree again from the rows."""
    honest, forged = neighbours(), neighbours()
    state = list(forged._tree.__getstate__())
    # the indices of the rows: far beyond them
    state[1] = np.full_like(state[1], 10**9)
    forged._tree.__setstate__(tuple(state))
    check_model(forged)
    assert forged.predict(ROWS).tolist() == honest.predict(ROWS).tolist()


def narrow_spline() -> Any:
    model = SplineTransformer().fit(ROWS)
    model.bsplines_[0].k = 40
    return model


def broken_sparse() -> Any:
    model = KNeighborsClassifier(3, algorithm="brute").fit(csr_matrix(ROWS), ROWS[:, 0] > 0)
    model._fit_X.indices[0] = 10**6
    return model


@pytest.mark.parametrize(
    ("model", "change"),
    [
        # labels that C code follows: too few, and of no class
        (neighbours(), lambda model: setattr(model, "_y", model._y[:5])),
        (neighbours(), lambda model: setattr(model, "_y", model._y + 7)),
        # another way to walk the tree than its kind
        (neighbours(), lambda model: setattr(model, "_fit_method", "brute")),
        (neighbours(), lambda model: setattr(model, "_fit_X", "rows")),
        (neighbours(), lambda model: setattr(model, "other", model._tree)),
        # a tree where nobody would look for one
        ({"a": np.ma.MaskedArray(np.array([neighbours()._tree, 1], object), [True, False])}, lambda _: None),
        (narrow_spline(), lambda _: None),
        (broken_sparse(), lambda _: None),
    ],
    ids=["few", "class", "method", "rows", "attribute", "masked", "spline", "sparse"],
)
def test_other_forged_parts_are_found(model: Any, change: Any) -> None:
    change(model)
    with pytest.raises(VersionError, match=r"corrupt|cannot be checked"):
        check_model(model)


def test_honest_parts_pass() -> None:
    for model in (neighbours(), SplineTransformer().fit(ROWS), BOOSTED, FOREST):
        check_model(model)
