"""XGBoost's trees as one ensemble of ONNX Runtime: the same sums in single precision, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.model_server.scikit_learn.direct.step import NotDirect, softmax_ahead
from services.model_server.scikit_learn.direct.tree_ensemble import Matrix, Nodes, session
from services.model_server.tensors import every

CLOSE = 1e-5
"""Rows whose classes are closer than that are for the booster: its exponential may round otherwise."""
_MOST_BYTES = 4 * 2**20
"""Of a booster: read from its JSON it takes 27 times as much memory, at the start of a small container."""
_HIGHEST = np.float32(88.7)
"""Beyond it a float's exponential is infinite."""

Single = NDArray[np.float32]


class Turned(NamedTuple):
    """A booster's trees; NumPy may warn of rows that overflow.

    Args:
        given: rows of shape (rows, features) to what ``inplace_predict`` gives; None: ask the booster.
        second: of two classes, whether each row is of the second; None: ask the booster. Itself None where
            there are not two classes.
    """

    given: Callable[[Matrix], Single | None]
    second: Callable[[Matrix], NDArray[np.bool_] | None] | None


def turned(booster: Any, rounds: tuple[int, int]) -> Turned | None:
    """One function for a booster's trees; None where it is of a kind that is not known here.

    Args:
        booster: ``xgboost.Booster`` of numbers, without categories.
        rounds: the first that counts, and the one after the last; (0, 0): all.
    """
    try:
        return None if len(booster.save_raw("ubj")) > _MOST_BYTES else _turned(booster, rounds)
    except (AttributeError, KeyError, TypeError, ValueError):
        # another release of XGBoost, which writes its models otherwise
        return None


def _turned(booster: Any, rounds: tuple[int, int]) -> Turned | None:
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    link = _LINKS.get(learner["objective"]["name"])
    parameters, boosting = learner["learner_model_param"], learner["gradient_booster"]
    if link is None or boosting["name"] != "gbtree" or int(parameters.get("num_target", 1)) > 1:
        return None
    targets = max(int(parameters["num_class"]), 1)
    model = boosting["model"]
    each = targets * int(model["gbtree_model_param"]["num_parallel_tree"])
    numbered = list(zip(model["trees"], model["tree_info"], strict=True))
    begin, end = rounds[0] * each, rounds[1] * each or len(numbered)
    if any(_is_other(tree) for tree, _ in numbered):
        return None
    start = np.broadcast_to(np.asarray(json.loads(parameters["base_score"]), np.float32), targets)
    trees = [_leaf(value, target) for target, value in enumerate(link(start[None])[0])]
    trees += [_nodes(tree, target) for tree, target in numbered[begin:end]]
    try:
        sums = session(trees, int(parameters["num_feature"]), targets, np.float32)
    except NotDirect:
        return None
    inverse = _INVERSES[learner["objective"]["name"]]

    def raw(rows: Matrix) -> Single | None:
        narrow = rows.astype(np.float32)
        return None if np.count_nonzero(np.isinf(narrow)) else sums(narrow)

    def given(rows: Matrix) -> Single | None:
        made = raw(rows)
        return None if made is None else inverse(made)

    def second(rows: Matrix) -> NDArray[np.bool_] | None:
        made = raw(rows)
        margin = None if made is None else _margin(made)
        return None if margin is None else margin > 0

    return Turned(given, second if inverse is _logistic else None)


def _is_other(tree: dict[str, Any]) -> bool:
    """Whether it has sets of categories, or leaves of several values."""
    return any(tree.get("split_type", ())) or len(tree["split_conditions"]) != len(tree["left_children"])


def _nodes(tree: dict[str, Any], target: int) -> Nodes:
    left, conditions = np.array(tree["left_children"]), np.array(tree["split_conditions"], np.float32)
    return Nodes(
        left,
        np.array(tree["right_children"]),
        left == -1,
        np.array(tree["split_indices"]),
        # below a threshold is at or below the number before it
        np.nextafter(conditions, np.float32(-np.inf)),
        np.array(tree["default_left"], bool),
        conditions,
        target,
    )


def _leaf(value: np.float32, target: int) -> Nodes:
    """What the sums begin with, as XGBoost's do."""
    none, zero = np.array([-1]), np.zeros(1, np.float32)
    return Nodes(none, none, np.array([True]), np.array([0]), zero, np.zeros(1, bool), zero + value, target)


def _logit(share: Single) -> Single:
    with np.errstate(divide="ignore"):
        margin: Single = -np.log(np.float32(1) / share - np.float32(1))
    return margin


def _as_it_is(values: Single) -> Single:
    return values


def _value(sums: Single) -> Single:
    given: Single = sums[:, 0]
    return given


def _margin(sums: Single) -> Single | None:
    margin: Single = sums[:, 0]
    return margin if every(np.abs(margin) > CLOSE) else None


def _logistic(sums: Single) -> Single | None:
    margin = _margin(sums)
    if margin is None:
        return None
    given: Single = np.float32(1) / (np.float32(1) + np.exp(np.minimum(-margin, _HIGHEST)))
    return given


_LINKS: dict[str, Callable[[Single], Single]] = {
    "binary:logistic": _logit,
    "multi:softprob": _as_it_is,
    "reg:squarederror": _as_it_is,
}
"""By objective: the base score to what sums begin with."""
_INVERSES: dict[str, Callable[[Single], Single | None]] = {
    "binary:logistic": _logistic,
    "multi:softprob": partial(softmax_ahead, by=CLOSE),
    "reg:squarederror": _value,
}
"""By objective: sums to what the booster answers; None where a rounding could decide."""
