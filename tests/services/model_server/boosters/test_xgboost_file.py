"""XGBoost's files: honest ones of every booster pass, one number that does not fit is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from services.model_server.boosters.ubjson import load_ubjson
from services.model_server.boosters.xgboost_file import check_xgboost

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame({"a": RNG.normal(size=200), "c": pd.Categorical(RNG.choice(list("abcdefgh"), 200))})
NUMBERS = FRAME[["a"]].assign(b=RNG.normal(size=200))
CODES = FRAME.c.cat.codes


def trained(labels: Any, rows: pd.DataFrame = FRAME, count: int = 3, **settings: Any) -> Any:
    matrix = xgboost.DMatrix(rows, labels, enable_categorical=True)
    return xgboost.train({"nthread": 1, "max_cat_to_onehot": 1, **settings}, matrix, count)


@pytest.fixture(scope="module")
def booster() -> Any:
    return trained(CODES % 3, objective="multi:softprob", num_class=3)


@pytest.fixture(scope="module")
def document(booster: Any) -> Any:
    return json.loads(booster.save_raw("json"))


@pytest.mark.parametrize(
    ("labels", "rows", "settings"),
    [
        (CODES > 3, FRAME, {"objective": "binary:logistic"}),
        (CODES > 3, FRAME, {"objective": "binary:logistic", "count": 0}),
        (CODES > 3, FRAME, {"objective": "binary:logistic", "num_parallel_tree": 2}),
        (CODES > 3, FRAME, {"objective": "binary:logistic", "booster": "dart"}),
        (NUMBERS.b, NUMBERS, {"booster": "gblinear", "verbosity": 0}),
        # pruned: nodes that are deleted stay in the arrays
        (NUMBERS.b, NUMBERS, {"tree_method": "exact", "gamma": 2.0}),
        (NUMBERS, NUMBERS, {}),
        (NUMBERS, NUMBERS, {"multi_strategy": "multi_output_tree"}),
        (NUMBERS.b, NUMBERS, {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]}),
    ],
)
def test_honest_files_pass(labels: Any, rows: pd.DataFrame, settings: dict[str, Any]) -> None:
    found = trained(labels, rows, **settings)
    for kind in ("json", "ubj"):
        check_xgboost(bytes(found.save_raw(kind)))


def test_both_formats_say_the_same(booster: Any, document: Any) -> None:
    found = load_ubjson(bytes(booster.save_raw("ubj")))
    tree = found["learner"]["gradient_booster"]["model"]["trees"][0]
    as_json = document["learner"]["gradient_booster"]["model"]["trees"][0]
    assert tree["left_children"].tolist() == as_json["left_children"]
    assert tree["categories"].tolist() == as_json["categories"]
    assert np.float32(tree["split_conditions"]).tolist() == np.float32(as_json["split_conditions"]).tolist()


def trees(document: Any) -> Any:
    return document["learner"]["gradient_booster"]["model"]


def first(name: str, place: int, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        trees(document)["trees"][0][name][place] = value

    return change


def shorter(name: str) -> Callable[[Any], None]:
    return lambda document: trees(document)["trees"][0][name].pop()


def of_learner(part: str, name: str, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["learner"][part][name] = value

    return change


def of_model(name: str, value: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        trees(document)[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # a path that never ends
        (first("left_children", 0, 0), "tree 0: a child"),
        (first("right_children", 0, -1), "tree 0: a child"),
        (first("left_children", 0, 10**6), "tree 0: left_children"),
        (first("right_children", 0, 10**6), "tree 0: right_children"),
        (first("left_children", 0, 1.0), "tree 0: left_children"),
        (first("left_children", 0, 2**70), "OverflowError|left_children"),
        (first("split_indices", 0, 2), "tree 0: split_indices"),
        (first("parents", 1, -5), "tree 0: parents"),
        (first("categories", 0, -1), "tree 0: categories"),
        (first("categories", 0, 2**31), "tree 0: categories"),
        (first("categories_sizes", 0, 10**6), "tree 0: categories_sizes"),
        (first("categories_segments", 0, 10**6), "tree 0: categories_segments"),
        (first("categories_nodes", 0, 10**6), "tree 0: categories_nodes"),
        (first("split_type", 0, 2), "tree 0: split_type"),
        *(
            (shorter(name), f"tree 0: {name}")
            for name in ("left_children", "split_conditions", "split_indices", "base_weights", "sum_hessian")
        ),
        (of_model("tree_info", [0, 1, 3] * 3), "tree_info"),
        (of_model("tree_info", [0, 1]), "tree_info"),
        (of_model("iteration_indptr", [0, 3, 6, 12]), "iteration_indptr"),
        (of_model("iteration_indptr", [0, 6, 3, 9]), "iteration_indptr"),
        (of_learner("learner_model_param", "num_feature", "1"), "feature_names|num_feature"),
        (of_learner("learner_model_param", "num_class", "1000000000"), "learner_model_param"),
        (of_learner("learner_model_param", "num_class", "many"), "many"),
        (of_learner("gradient_booster", "name", "gbforest"), "the booster's name"),
        (of_learner("objective", "softmax_multiclass_param", {"num_class": "7"}), "num_class"),
        (lambda document: document.pop("learner"), "learner"),
    ],
)
def test_what_does_not_fit_is_found(document: Any, change: Callable[[Any], None], message: str) -> None:
    changed = copy.deepcopy(document)
    change(changed)
    with pytest.raises(ValueError, match=message):
        check_xgboost(json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends too early"),
        # of two values each reader may take another
        (b'{"learner": {}, "learner": {}}', "twice"),
        (b"{i\x01aZi\x01aZ}", "twice"),
        (b"{" + b'"a":{' * 100_000, "nested|Expecting"),
        (b"[" * 100, "nested more than 32"),
        # a length without an end
        (b"{L\x7f\xff\xff\xff\xff\xff\xff\xff", "ends too early"),
        (b"[$D#L\x7f\xff\xff\xff\xff\xff\xff\xff", "ends too early"),
        (b"[$D#l\xff\xff\xff\xff", "the length"),
        (b"[$S#i\x01", "of no numbers"),
        (b"{i\x01a?", "begins no value"),
        (b"{}more", "4 bytes follow"),
    ],
)
def test_what_is_no_document_is_found(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_xgboost(data)
