"""LightGBM's trees as one ensemble of ONNX Runtime: the same sums in double precision, in the same order.

They are read from the text that LightGBM writes, which keeps every number. Trees that ask for sets of
categories, or whose leaves are linear models, stay with the booster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.model_server.scikit_learn.direct.step import NotDirect, ahead, softmax_ahead
from services.model_server.scikit_learn.direct.tree_ensemble import MAX_NODES, Matrix, Nodes, session
from services.model_server.tensors import every

CLOSE = 1e-9
"""Rows whose classes are closer than that are for the booster: its exponential may round otherwise."""
_ZERO = float(np.float32(1e-35))
"""What is no larger is 0 to LightGBM (its ``kZeroThreshold``)."""
_MOST_BYTES = 64 * MAX_NODES
"""Of a booster's text, where a node takes about 46: a larger one is not even split into lines."""
_DEFAULT_LEFT = 2
_GAPS_ARE_ZEROS, _ZEROS_ARE_GAPS, _GAPS_ARE_GAPS = 0, 1, 2
"""What a node does with missing values: bits 2 and 3 of its type."""

Turned = Callable[[Matrix], NDArray[np.float64] | None]
"""Rows of shape (rows, features) to what ``predict`` gives; None: ask the booster."""


def turned(booster: Any) -> Turned | None:
    """One function for a booster's trees up to its best round; None where it is of a kind not known here."""
    text = booster.model_to_string()
    try:
        return _turned(text) if len(text) <= _MOST_BYTES else None
    except (IndexError, KeyError, NotDirect, ValueError):
        # too many nodes, or another release of LightGBM, which writes its models otherwise
        return None


def _turned(text: str) -> Turned | None:
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    said, trees = _fields(head), [_fields(block) for block in blocks]
    inverse = _inverse(said.get("objective", ""))
    if inverse is None or not trees or any(_is_other(tree) for tree in trees):
        return None
    targets, features = int(said["num_tree_per_iteration"]), int(said["max_feature_idx"]) + 1
    zeros = _zeros_as_gaps(trees, features)
    sums = session([_nodes(tree, at % targets) for at, tree in enumerate(trees)], features, targets)
    # of a random forest the mean
    rounds = len(trees) // targets if "average_output" in said else 0

    def run(rows: Matrix) -> NDArray[np.float64] | None:
        if len(zeros):
            part = rows[:, zeros]
            rows = rows.copy()
            rows[:, zeros] = np.where(np.abs(part) <= _ZERO, np.nan, part)
        raw = sums(rows)
        return inverse(raw / rounds if rounds else raw)

    return run


def _fields(block: str) -> dict[str, str]:
    """The lines ``name=value``, or a name alone."""
    return {name: value for name, _, value in (line.partition("=") for line in block.splitlines())}


def _is_other(tree: dict[str, str]) -> bool:
    return tree["num_cat"] != "0" or tree.get("is_linear", "0") != "0"


def _array(tree: dict[str, str], name: str, kind: type) -> NDArray[Any]:
    return np.array(tree[name].split(), kind)


def _splits(tree: dict[str, str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Feature and type of every split; a tree of one leaf has none."""
    if tree["num_leaves"] == "1":
        return np.zeros(0, int), np.zeros(0, int)
    return _array(tree, "split_feature", int), _array(tree, "decision_type", int)


def _zeros_as_gaps(trees: list[dict[str, str]], features: int) -> NDArray[Any]:
    """Features whose zeros are missing values.

    Raises:
        NotDirect: some nodes of a feature take them for zeros.
    """
    found = np.zeros((features, 3), bool)
    for tree in trees:
        feature, kinds = _splits(tree)
        found[feature, kinds >> 2] = True
    if (found[:, _ZEROS_ARE_GAPS] & (found.sum(axis=1) > 1)).any():
        raise NotDirect("its zeros are missing to some of its nodes")
    return np.flatnonzero(found[:, _ZEROS_ARE_GAPS])


def _nodes(tree: dict[str, str], target: int) -> Nodes:
    leaves = _array(tree, "leaf_value", np.float64)
    feature, kinds = _splits(tree)
    inner, others = len(feature), np.zeros(len(leaves))

    def children(name: str) -> NDArray[Any]:
        given = _array(tree, name, int) if inner else feature
        return np.append(np.where(given < 0, inner + ~given, given), others.astype(int))

    threshold = _array(tree, "threshold", np.float64) if inner else np.zeros(0)
    missing_left = np.where(kinds >> 2 == _GAPS_ARE_ZEROS, threshold >= 0, (kinds & _DEFAULT_LEFT) > 0)
    # all numbers that are 0 to it go the way of 0
    near = np.abs(threshold) <= _ZERO
    threshold[near & (threshold >= 0)] = _ZERO
    threshold[near & (threshold < 0)] = np.nextafter(-_ZERO, -1)
    return Nodes(
        children("left_child"),
        children("right_child"),
        np.arange(inner + len(leaves)) >= inner,
        np.append(feature, others.astype(int)),
        np.append(threshold, others),
        np.append(missing_left, others > 0),
        np.append(np.zeros(inner), leaves),
        target,
    )


Inverse = Callable[[Matrix], NDArray[np.float64] | None]


def _inverse(objective: str) -> Inverse | None:
    """Sums to what ``predict`` gives; None of what is not known here."""
    kind, *words = objective.split()
    settings = dict(word.partition(":")[::2] for word in words)
    if "sqrt" in settings:
        return None
    if kind in _VALUES:
        return lambda raw: raw[:, 0]
    if kind in _POWERS:
        return lambda raw: np.exp(raw[:, 0])
    if kind == "multiclass":
        return partial(softmax_ahead, by=CLOSE)
    if kind in ("binary", "multiclassova"):
        return _sigmoid(float(settings["sigmoid"]))
    return None


def _sigmoid(slope: float) -> Inverse:
    def run(raw: Matrix) -> NDArray[np.float64] | None:
        given: Matrix = 1.0 / (1.0 + np.exp(-slope * raw))
        if raw.shape[1] == 1:
            return given[:, 0] if every(np.abs(raw) > CLOSE) else None
        return given if ahead(given, CLOSE) else None

    return run


_VALUES = frozenset(["regression", "regression_l1", "huber", "fair", "quantile", "mape"])
_POWERS = frozenset(["poisson", "gamma", "tweedie"])
"""Objectives of one value: the sum, or its exponential."""
