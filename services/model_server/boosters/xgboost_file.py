"""XGBoost's files, JSON or UBJSON: its reader and its predictor follow what stands in them unchecked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from services.model_server.boosters.arrays import MOST_VALUES, check_segments, check_within, integers, require
from services.model_server.boosters.ubjson import load_ubjson

_CATEGORIES = 2**24
"""More categories than a float32 tells apart."""


def check_xgboost(data: bytes) -> None:
    """Check one file: children follow their parents, indices are within their arrays, lengths agree.

    Raises:
        ValueError: one does not; ``str(error)`` says which.
    """
    try:
        # UBJSON writes a length after the brace, JSON a quotation mark or a blank
        is_json = data[:1] == b"{" and data[1:2] in (b'"', b" ", b"\n", b"\r", b"\t")
        document = json.loads(data, object_pairs_hook=_no_key_twice) if is_json else load_ubjson(data)
        learner = document["learner"]
        parameters = learner["learner_model_param"]
        features = _number(parameters, "num_feature", 0)
        groups = max(_number(parameters, "num_class", 0), _number(parameters, "num_target", 1), 1)
        require(features >= 0 and groups <= MOST_VALUES, "learner_model_param")
        _check_objective(learner["objective"], groups)
        for names in ("feature_names", "feature_types"):
            require(len(learner.get(names, ())) in (0, features), names)
        booster = learner["gradient_booster"]
        if booster["name"] == "gblinear":
            weights = np.asarray(booster["model"]["weights"])
            require(weights.shape == ((features + 1) * groups,), "the weights of gblinear")
            return
        require(booster["name"] in ("gbtree", "dart"), "the booster's name")
        model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
        _check_trees(model, features, groups)
        if booster["name"] == "dart":
            require(len(booster["weight_drop"]) == len(model["trees"]), "weight_drop")
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except (AttributeError, LookupError, TypeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values XGBoost and Python may take another."""
    found = dict(pairs)
    require(len(found) == len(pairs), "a key that is in it twice")
    return found


def _number(of: Mapping[str, Any], name: str, default: int) -> int:
    return int(of.get(name, default))


def _check_objective(objective: Mapping[str, Any], groups: int) -> None:
    said = objective.get("softmax_multiclass_param", {})
    require(_number(said, "num_class", groups) in (0, groups), "the objective's num_class")


def _check_trees(model: Mapping[str, Any], features: int, groups: int) -> None:
    trees = model["trees"]
    said = model["gbtree_model_param"]
    require(_number(said, "num_trees", len(trees)) == len(trees), "num_trees")
    require(_number(said, "num_parallel_tree", 1) >= 0, "num_parallel_tree")
    check_within(integers(model["tree_info"], "tree_info", len(trees)), 0, groups, "tree_info")
    if len(rounds := model.get("iteration_indptr", ())):
        check_segments(integers(rounds, "iteration_indptr"), len(trees), "iteration_indptr")
    for number, tree in enumerate(trees):
        try:
            _check_tree(tree, features, groups)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from None
    if model.get("cats"):
        _check_names_of_categories(model["cats"], features)


def _check_tree(tree: Mapping[str, Any], features: int, groups: int) -> None:
    said = tree["tree_param"]
    nodes, width = _number(said, "num_nodes", 0), _number(said, "size_leaf_vector", 1)
    require(nodes >= 1 and _number(said, "num_deleted", 0) >= 0 and width in (0, 1, groups), "tree_param")
    require(_number(said, "num_feature", features) in (0, features), "num_feature")
    left = integers(tree["left_children"], "left_children", nodes)
    right = integers(tree["right_children"], "right_children", nodes)
    parents = integers(tree["parents"], "parents", nodes)
    check_within(parents[1:], 0, nodes, "parents")
    inner = np.flatnonzero(left != -1)
    # a child after its parent: no path is endless; the predictor also takes the one after the left child
    require((left[inner] > inner).all() and (right[inner] > inner).all(), "a child")
    check_within(left[inner] + 1, 1, nodes, "left_children")
    check_within(right[inner], 1, nodes, "right_children")
    indices = integers(tree["split_indices"], "split_indices", nodes)
    check_within(indices[inner], 0, features, "split_indices")
    for name in ("split_conditions", "default_left", "loss_changes", "sum_hessian", "split_type"):
        if len(of := tree.get(name, ())):
            # nodes of several values keep no gains
            require(len(of) == nodes, name)
    require(len(tree["split_conditions"]) == nodes, "split_conditions")
    if width <= 1:
        require(len(tree["base_weights"]) == nodes, "base_weights")
    elif "leaf_weights" not in tree:
        require(len(tree["base_weights"]) == nodes * width, "base_weights")
    _check_categories(tree, nodes)


def _check_categories(tree: Mapping[str, Any], nodes: int) -> None:
    places = integers(tree.get("categories_nodes", ()), "categories_nodes")
    starts = integers(tree.get("categories_segments", ()), "categories_segments", len(places))
    sizes = integers(tree.get("categories_sizes", ()), "categories_sizes", len(places))
    categories = integers(tree.get("categories", ()), "categories")
    check_within(places, 0, nodes, "categories_nodes")
    require((np.diff(places) > 0).all(), "categories_nodes")
    require((starts >= 0).all() and (sizes > 0).all(), "categories_sizes")
    check_within(starts, 0, len(categories) + 1, "categories_segments")
    check_within(sizes, 0, len(categories) + 1, "categories_sizes")
    require((starts + sizes <= len(categories)).all(), "categories_segments")
    check_within(categories, 0, _CATEGORIES, "categories")
    kinds = integers(tree.get("split_type", ()), "split_type")
    check_within(kinds, 0, 2, "split_type")
    require(np.array_equal(np.flatnonzero(kinds == 1), places), "split_type")


def _check_names_of_categories(cats: Mapping[str, Any], features: int) -> None:
    segments = integers(cats["feature_segments"], "feature_segments")
    order = integers(cats["sorted_idx"], "sorted_idx")
    if not len(segments):
        require(not len(order), "sorted_idx")
        return
    require(len(segments) == features + 1 and len(cats["enc"]) == features, "feature_segments")
    check_segments(segments, len(order), "feature_segments")
    for place, names in enumerate(cats["enc"]):
        size = int(segments[place + 1] - segments[place])
        check_within(order[segments[place] : segments[place + 1]], 0, size, "sorted_idx")
        if "offsets" in names:
            offsets = integers(names["offsets"], "offsets", size + 1 if size else None)
            if len(offsets):
                check_segments(offsets, len(names["values"]), "offsets")
        else:
            require(len(names["values"]) == size, "the names of categories")
