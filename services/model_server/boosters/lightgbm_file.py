"""LightGBM's file: its reader counts on so many numbers in each line, and its predictor follows them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.model_server.boosters.arrays import MOST_VALUES, Integers, check_segments, check_within, require

_CATEGORICAL = 1


def check_lightgbm(data: bytes) -> None:
    """Check one file: children follow their parents, indices are within their arrays, lengths agree.

    Raises:
        ValueError: one does not; ``str(error)`` says which.
    """
    # it may hold names in any encoding
    text = data.decode("latin-1")
    head, first, _ = text.partition("\nTree=0\n")
    require(head.startswith("tree\n"), "the first line")
    said = _fields(head.split("\n", 1)[1] + "\n")
    groups, per_round = _count(said, "num_class"), _count(said, "num_tree_per_iteration")
    features = _count(said, "max_feature_idx", least=0) + 1
    require(per_round <= MOST_VALUES, "num_tree_per_iteration")
    for name in ("feature_names", "feature_infos"):
        require(len(said.get(name, "").split(" ")) == features, name)
    _check_objective(said.get("objective", ""), groups, per_round)
    require(not first or "tree_sizes" in said, "tree_sizes")
    blocks = _blocks(text, len(head) + 1, said["tree_sizes"]) if first else []
    require(first or not said.get("tree_sizes", "").strip(), "tree_sizes")
    require(len(blocks) % per_round == 0, "num_tree_per_iteration")
    for number, block in enumerate(blocks):
        require(block.startswith(f"Tree={number}\n"), "tree_sizes")
        try:
            _check_tree(_fields(block), features)
        except ValueError as error:
            raise ValueError(f"tree {number}: {error}") from None


def _fields(block: str) -> dict[str, str]:
    """The lines ``name=value``, or a name alone."""
    found: dict[str, str] = {}
    for line in block.split("\n"):
        name, _, value = line.partition("=")
        # of two, its reader takes the last
        require(not line or name not in found, "a line that is in it twice")
        found[name] = value
    return found


def _blocks(text: str, start: int, sizes: str) -> list[str]:
    """The text of each tree, as its reader cuts it: by the sizes alone."""
    found = []
    for size in _integers(sizes, "tree_sizes"):
        require(0 < size <= len(text) - start, "tree_sizes")
        found.append(text[start : start + size])
        start += int(size)
    # what follows is not read; older ones do not write "end of trees"
    require("\nTree=" not in text[start - 1 :], "tree_sizes")
    return found


def _check_objective(objective: str, groups: int, per_round: int) -> None:
    kind, _, settings = objective.partition(" ")
    said = re.search(r"(?:^| )num_class:(\S+)", settings)
    if kind.startswith("multiclass"):
        require(said and said[1] == str(groups) and groups == per_round, "num_class")
    elif kind:
        require(groups == per_round == 1, "num_class")


def _check_tree(said: Mapping[str, str], features: int) -> None:
    leaves, sets = _count(said, "num_leaves"), _count(said, "num_cat", least=0)
    require(leaves <= max(len(said.get("leaf_value", "")), 1), "num_leaves")
    inner = leaves - 1
    _numbers(said, "leaf_value", leaves)
    linear = said.get("is_linear", "0").strip() not in ("", "0")
    if linear:
        _check_linear(said, leaves, features)
    for name in ("leaf_weight", "leaf_count"):
        # a tree of one leaf keeps neither
        if said.get(name, "").strip():
            _numbers(said, name, leaves)
    if not inner:
        return
    for name in ("split_gain", "internal_value", "internal_weight", "internal_count"):
        if said.get(name, "").strip():
            _numbers(said, name, inner)
    places = np.arange(inner)
    for name in ("left_child", "right_child"):
        child = _integers(said[name], name, inner)
        check_within(child, -leaves, inner, name)
        # a leaf is ~child; a split after its parent: no path is endless
        require(((child < 0) | (child > places)).all(), name)
    check_within(_integers(said["split_feature"], "split_feature", inner), 0, features, "split_feature")
    thresholds = _numbers(said, "threshold", inner)
    kinds = _integers(said["decision_type"], "decision_type", inner)
    check_within(kinds, -128, 128, "decision_type")
    categorical = thresholds[(kinds & _CATEGORICAL) != 0]
    require(((categorical >= 0) & (categorical < sets)).all(), "threshold")
    if sets:
        words = _integers(said["cat_threshold"], "cat_threshold")
        check_segments(_integers(said["cat_boundaries"], "cat_boundaries", sets + 1), len(words), "num_cat")


def _check_linear(said: Mapping[str, str], leaves: int, features: int) -> None:
    _numbers(said, "leaf_const", leaves)
    counts = _integers(said["num_features"], "num_features", leaves)
    require((counts >= 0).all() and counts.max(initial=0) <= features, "num_features")
    total = int(counts.sum())
    check_within(_integers(said["leaf_features"], "leaf_features", total), 0, features, "leaf_features")
    _numbers(said, "leaf_coeff", total)


def _count(said: Mapping[str, str], name: str, least: int = 1) -> int:
    found = said.get(name, "")
    require(re.fullmatch(r"\d{1,9}", found) and int(found) >= least, name)
    return int(found)


def _integers(text: str, what: str, length: int | None = None) -> Integers:
    words = text.split()
    require(length is None or len(words) == length, what)
    require(all(re.fullmatch(r"-?\d{1,18}", word) for word in words), what)
    return np.array(words, np.int64) if words else np.zeros(0, np.int64)


def _numbers(said: Mapping[str, str], name: str, length: int) -> NDArray[np.float64]:
    words = said.get(name, "").split()
    require(len(words) == length, name)
    try:
        return np.array(words, np.float64)
    except ValueError:
        raise ValueError(f"{name} holds what is no number") from None
