"""LightGBM's files: honest ones of every kind of tree pass, one number that does not fit is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from services.model_server.boosters.lightgbm_file import check_lightgbm

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame({"a": RNG.normal(size=200), "c": pd.Categorical(RNG.choice(list("abcdefgh"), 200))})
CODES = FRAME.c.cat.codes


def saved(objective: str, labels: Any, rows: pd.DataFrame = FRAME, **more: Any) -> str:
    settings = {"objective": objective, "verbose": -1, "num_threads": 1, "min_data_per_group": 5, **more}
    found: str = lightgbm.train(settings, lightgbm.Dataset(rows, labels), 3).model_to_string()
    return found


@pytest.fixture(scope="module")
def text() -> str:
    return saved("multiclass", CODES % 3, num_class=3, num_leaves=6)


@pytest.fixture(scope="module")
def linear() -> str:
    return saved("regression", FRAME.a, FRAME[["a"]], linear_tree=True, num_leaves=4)


@pytest.mark.parametrize(
    ("objective", "labels", "more"),
    [
        ("binary", CODES > 3, {}),
        ("multiclassova", CODES % 3, {"num_class": 3}),
        ("binary", CODES > 3, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}),
        ("quantile", FRAME.a, {}),
        # trees of one leaf
        ("regression", np.ones(200), {}),
        ("multiclass", CODES % 3, {"num_class": 3, "min_gain_to_split": 1e9}),
    ],
)
def test_honest_files_pass(objective: str, labels: Any, more: dict[str, Any]) -> None:
    check_lightgbm(saved(objective, labels, **more).encode())


def test_a_file_of_an_older_version_passes(text: str) -> None:
    check_lightgbm(text.replace("version=v4", "version=v2").replace("end of trees\n", "").encode())


def test_linear_trees_pass(linear: str) -> None:
    assert "leaf_features" in linear
    check_lightgbm(linear.encode())


def first(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    """Change the words of the first line of this name that has more than one, and the sizes with it."""

    def changed(text: str) -> str:
        found = re.search(rf"\n{name}=(\S+ [^\n]*)\n", text)
        assert found
        new = " ".join(change(found[1].split(" ")))
        place = text[: found.start() + 1].count("\nTree=") - 1
        text = text[: found.start(1)] + new + text[found.end(1) :]
        sizes = re.search(r"\ntree_sizes=([^\n]*)", text)
        assert sizes
        if place < 0:
            return text
        of_all = [int(size) for size in sizes[1].split()]
        of_all[place] += len(new) - len(found[1])
        return text[: sizes.start(1)] + " ".join(map(str, of_all)) + text[sizes.end(1) :]

    return changed


def begins(*words: str) -> Callable[[list[str]], list[str]]:
    return lambda of: [*words, *of[len(words) :]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # a path that never ends
        (first("left_child", begins("0")), "tree 0: left_child"),
        (first("right_child", begins("99")), "tree 0: right_child"),
        (first("right_child", begins("-99")), "tree 0: right_child"),
        # its reader takes as many numbers as there are leaves, whatever the line holds
        (first("left_child", lambda of: of[:-1]), "tree 0: left_child"),
        (first("leaf_value", lambda of: of[:-1]), "tree 0: leaf_value"),
        (first("split_feature", begins("2")), "tree 0: split_feature"),
        (first("split_feature", begins("1.5")), "tree 0: split_feature"),
        (first("cat_boundaries", begins("0", "999")), "num_cat"),
        (first("tree_sizes", lambda of: [*of[:-1], "99999"]), "tree_sizes"),
        (first("tree_sizes", lambda of: of[:-1]), "tree_sizes"),
        (first("feature_infos", lambda of: of[:-1]), "feature_infos"),
        (lambda text: text.replace("\nnum_class=3", "\nnum_class=4", 1), "num_class"),
        (lambda text: text.replace("num_class:3", "num_class:9", 1), "num_class"),
        (
            lambda text: text.replace("\nnum_tree_per_iteration=3", "\nnum_tree_per_iteration=2", 1),
            "num_class",
        ),
        (lambda text: text.replace("max_feature_idx=1", "max_feature_idx=-1", 1), "max_feature_idx"),
        # of two lines its reader takes the last
        (lambda text: text.replace("\nnum_class=3", "\nnum_class=3\nnum_class=3", 1), "twice"),
        (
            lambda text: text.replace("\nnum_leaves=", "\nnum_leaves=9", 1),
            "tree 0: num_leaves|tree 0: leaf_value",
        ),
        (lambda text: text[: len(text) // 2], "tree_sizes"),
        (lambda text: "", "the first line"),
    ],
)
def test_what_does_not_fit_is_found(text: str, change: Callable[[str], str], message: str) -> None:
    changed = change(text)
    assert changed != text
    with pytest.raises(ValueError, match=message):
        check_lightgbm(changed.encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first("leaf_coeff", lambda of: [word for word in of if word][1:]), "leaf_coeff"),
        (first("leaf_features", begins("7")), "leaf_features"),
        (first("num_features", begins("2")), "num_features"),
    ],
)
def test_what_does_not_fit_in_linear_trees_is_found(
    linear: str, change: Callable[[str], str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_lightgbm(change(linear).encode())
