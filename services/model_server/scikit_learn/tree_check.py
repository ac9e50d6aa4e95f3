"""The check that lets files with decision trees be loaded without trusting who wrote them.

skops holds back the two types in which scikit-learn stores trees: they carry no code, but their node
indices are followed without bounds checks, so a forged file could crash the process or make it read foreign
memory. Here every index is checked after loading and before the first prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import Tree

from services.model_server.errors import VersionError

CHECKED_TYPES = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


def check_trees(model: object) -> None:
    """Check every tree in a loaded model.

    Raises:
        VersionError: a node points out of its tree or at a feature that the model does not have.
    """
    for tree, owner, features in _trees(model, None, None, set()):
        if features is None:
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


def _check_categories(tree: Any, owner: Any, inner: NDArray[np.bool_]) -> None:
    categorical = inner & (tree.nodes["is_categorical"] != 0)
    if categorical.any():
        known = owner.is_categorical_
        _require(np.array([known is not None and len(known) == owner.n_features_in_]))
        _require(np.asarray(known)[tree.nodes["feature_idx"][categorical]])
        _require(tree.nodes["bitset_idx"][categorical] < len(tree.raw_left_cat_bitsets))


def _require(condition: NDArray[np.bool_]) -> None:
    if not np.all(condition):
        raise VersionError("a decision tree in it is corrupt: a node points out of the tree or the features")


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
    if isinstance(part, dict):
        children = [*part.values()]
    elif isinstance(part, list | tuple | set):
        children = [*part]
    elif isinstance(part, np.ndarray):
        children = part.ravel().tolist() if part.dtype == object else []
    else:
        children = [*getattr(part, "__dict__", {}).values()]
        own = getattr(part, "n_features_in_", None)
        if isinstance(own, int | np.integer):
            # these two hand their own rows to their trees without checking them again
            inherits = isinstance(owner, BaseForest | BaseGradientBoosting) and features is not None
            features = min(int(own), features) if inherits and features is not None else int(own)
            owner = part
    for child in children:
        yield from _trees(child, owner, features, seen)
