"""The check that lets files with C parts of scikit-learn be loaded without trusting who wrote them.

skops holds back the types whose insides C code follows without bounds checks: they carry no code, but a
forged file could crash the process or make it read foreign memory. Here, after loading and before the first
prediction,

- every index of a decision tree is checked;
- the trees of nearest neighbours are built again from the rows, by the library, and what was stored is
dropped;
- splines are built again, which checks their knots;
- boosting and support vector machines must fit together (``estimator_check``);
- sparse matrices are checked, and the labels of a neighbours model, both of which skops trusts;
- a function with bound arguments must be one that scikit-learn itself keeps so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.sparse import issparse
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.neighbors import BallTree, KDTree
from sklearn.neighbors._base import NeighborsBase
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

from services.model_server.errors import VersionError, one_line
from services.model_server.scikit_learn.estimator_check import check_estimator
from services.model_server.scikit_learn.trusted_types import PARTIAL_OF


def check_model(model: object) -> None:
    """Check every part of a loaded model that C code would trust.

    Raises:
        VersionError: one is corrupt.
    """
    check_trees(model)
    owned: set[int] = set()
    for part in parts_of(model):
        try:
            _check_part(part, owned)
            check_estimator(part)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise VersionError(f"a {type(part).__name__} in it is corrupt ({one_line(error)})") from error


def _check_part(part: Any, owned: set[int]) -> None:
    if isinstance(part, NeighborsBase):
        _check_neighbours(part)
        owned.add(id(getattr(part, "_tree", None)))
    elif isinstance(part, KDTree | BallTree) and id(part) not in owned:
        raise VersionError(
            f"a {type(part).__name__} in it belongs to no neighbours model, so it cannot be checked"
        )
    elif isinstance(part, BSpline):
        BSpline(part.t, part.c, part.k)
    elif issparse(part):
        _check_sparse(part)
    elif isinstance(part, partial) and getattr(part.func, "__name__", "") not in PARTIAL_OF:
        raise VersionError(f"it holds a function with bound arguments, {part.func!r}")


def _check_sparse(matrix: Any) -> None:
    if hasattr(matrix, "check_format"):
        matrix.check_format(full_check=True)
    else:
        # its own constructor checks the indices of the formats that keep no pointers
        type(matrix)(matrix).tocsr().check_format(full_check=True)


def _check_neighbours(model: Any) -> None:
    if not hasattr(model, "_fit_X") and getattr(model, "_tree", None) is None:
        # what an ensemble or a search was given is never fitted itself, only copies of it are
        return
    rows = model._fit_X
    if getattr(model, "_tree", None) is not None:
        again = {"ball_tree": BallTree, "kd_tree": KDTree}[model._fit_method]
        model._tree = again(
            np.ascontiguousarray(rows, np.float64), model.leaf_size,
            metric=model.effective_metric_, **model.effective_metric_params_,
        )  # fmt: skip
    if (labels := getattr(model, "_y", None)) is not None:
        labels = np.asarray(labels)
        _require(np.array([len(labels) == rows.shape[0]]))
        classes = getattr(model, "classes_", None)
        if isinstance(classes, np.ndarray):
            _require((labels >= 0) & (labels < len(classes)))


def check_trees(model: object) -> None:
    """Check every decision tree in a loaded model.

    Raises:
        VersionError: a node points out of its tree or at a feature that the model does not have.
    """
    for tree, owner, features in _trees(model, None, None, set()):
        # what else calls a tree may give it fewer columns than it takes itself
        if features is None or not isinstance(owner, BaseDecisionTree | BaseHistGradientBoosting):
            raise VersionError("a tree belongs to no fitted estimator")
        if isinstance(tree, Tree):
            nodes = tree.node_count
            left, right, feature = tree.children_left, tree.children_right, tree.feature
            inner = left != -1
        else:
            nodes = len(tree.nodes)
            left, right, feature = (tree.nodes[field] for field in ("left", "right", "feature_idx"))
            inner = tree.nodes["is_leaf"] == 0
            _check_categories(tree, owner, inner)
        # children come after their parent: the walk down ends
        after = np.arange(nodes)
        for child in (left, right):
            _require(((child > after) & (child < nodes))[inner])
        _require(((feature >= 0) & (feature < features))[inner])
        _require(np.array([nodes > 0]))


def trees_in(model: object) -> Iterator[Any]:
    """Every tree in a loaded model: ``Tree`` or ``TreePredictor``."""
    for tree, _, _ in _trees(model, None, None, set()):
        yield tree


def parts_of(part: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """A loaded object and everything in it, once."""
    seen = set() if seen is None else seen
    if id(part) in seen or isinstance(part, str | bytes | int | float | None):
        return
    seen.add(id(part))
    yield part
    for child in _inside(part):
        yield from parts_of(child, seen)


def _inside(part: Any) -> list[Any]:
    if isinstance(part, dict):
        inner = [*part.values()]
    elif isinstance(part, list | tuple | set):
        inner = [*part]
    elif isinstance(part, np.ndarray):
        # what a mask covers is still there
        inner = np.ma.getdata(part).ravel().tolist() if part.dtype == object else []
    elif isinstance(part, partial):
        inner = [part.func, *part.args, *part.keywords.values()]
    else:
        inner = []
    return [*inner, *getattr(part, "__dict__", {}).values()] if not isinstance(part, type) else inner


def _check_categories(tree: Any, owner: Any, inner: NDArray[np.bool_]) -> None:
    categorical = inner & (tree.nodes["is_categorical"] != 0)
    if categorical.any():
        # not the owner's own order: its preprocessor puts categories first
        known = owner._bin_mapper.is_categorical_
        _require(np.array([len(known) == owner.n_features_in_]))
        _require(np.asarray(known, dtype=bool)[tree.nodes["feature_idx"][categorical]])
        _require(tree.nodes["bitset_idx"][categorical] < len(tree.raw_left_cat_bitsets))


def _require(condition: NDArray[np.bool_]) -> None:
    if not np.all(condition):
        raise VersionError(
            "a tree or a label in it is corrupt: it points out of the tree, the features or the rows"
        )


def _trees(
    part: Any, owner: Any, features: int | None, seen: set[int]
) -> Iterator[tuple[Any, Any, int | None]]:
    """Every tree below ``part`` with the estimator that owns it and the number of features it is given."""
    if id(part) in seen or isinstance(part, str | bytes | int | float | None):
        return
    seen.add(id(part))
    if isinstance(part, Tree | TreePredictor):
        yield part, owner, features
        return
    children = _inside(part)
    if not isinstance(part, dict | list | tuple | set | np.ndarray):
        own = getattr(part, "n_features_in_", None)
        if isinstance(own, int | np.integer):
            # these two hand their own rows to their trees without checking them again
            inherits = isinstance(owner, BaseForest | BaseGradientBoosting) and features is not None
            features = min(int(own), features) if inherits and features is not None else int(own)
            owner = part
    for child in children:
        yield from _trees(child, owner, features, seen)
