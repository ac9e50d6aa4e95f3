"""Rows on which two ways to run the same model are compared when it is loaded.

The evaluation set is not the server's to read, so the rows are made from the model itself: a tree can only
err at its thresholds, so half of the values are thresholds and their nearest neighbours, in double and in
single precision; the rest are drawn around the centre that a scaler in front of the model has learnt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree._tree import Tree

from services.model_server.scikit_learn.tree_check import trees_in
from services.model_server.tensors import TensorSpec

ROWS = 512
_SEED = 20_240_229


def sample_rows(model: Any, spec: TensorSpec, rows: int = ROWS) -> NDArray[Any]:
    """Rows of the input ``spec`` for a fitted scikit-learn model; always the same ones.

    Returns:
        Shape (rows, features), of the input's own datatype.
    """
    rng = np.random.default_rng(_SEED)
    features = spec.shape[1]
    centre, width = _scale(model, features)
    # near, far, and exactly zero
    spread = rng.choice([0.0, 0.1, 1.0, 10.0], (rows, 1), p=[0.05, 0.25, 0.6, 0.1])
    values = centre + width * spread * rng.standard_normal((rows, features))
    for feature, thresholds in _thresholds(model, features).items():
        near = _neighbours(rng.choice(thresholds, min(rows, 4 * len(thresholds))))
        at = rng.random(rows) < 0.5
        values[at, feature] = rng.choice(near, int(at.sum()))
    dtype = spec.dtype
    if dtype.kind == "i":
        values = np.clip(values.round(), np.iinfo(dtype).min // 2, np.iinfo(dtype).max // 2)
    with np.errstate(over="ignore"):
        made: NDArray[Any] = np.nan_to_num(values.astype(dtype))
    return made


def _scale(model: Any, features: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first = model.steps[0][1] if hasattr(model, "steps") else model
    centre, width = (np.asarray(getattr(first, name, 0.0)) for name in ("mean_", "scale_"))
    known = centre.shape == width.shape == (features,)
    return (centre, width) if known else (np.zeros(features), np.ones(features))


def _thresholds(model: Any, features: int) -> dict[int, NDArray[np.float64]]:
    found: dict[int, list[NDArray[np.float64]]] = {}
    for tree in trees_in(model):
        if isinstance(tree, Tree):
            feature, threshold, inner = tree.feature, tree.threshold, tree.children_left != -1
        else:
            feature, threshold = tree.nodes["feature_idx"], tree.nodes["num_threshold"]
            inner = tree.nodes["is_leaf"] == 0
        for number in np.unique(feature[inner]):
            if number < features:
                found.setdefault(int(number), []).append(threshold[inner & (feature == number)])
    return {number: np.unique(np.concatenate(parts)) for number, parts in found.items()}


def _neighbours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    single = values.astype(np.float32)
    below, above = (np.nextafter(single, np.float32(end)).astype(float) for end in (-np.inf, np.inf))
    nearest = (np.nextafter(values, -np.inf), np.nextafter(values, np.inf))
    return np.concatenate([values, *nearest, single.astype(float), below, above])
