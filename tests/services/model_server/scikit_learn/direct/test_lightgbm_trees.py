"""LightGBM's trees give what the booster gives, and what is not known stays with the booster."""

from __future__ import annotations

import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_server.scikit_learn.direct.lightgbm_trees import turned

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(400, 4)) * 10.0 ** RNG.integers(-3, 4, 4)
ROWS[:, 3] = RNG.integers(-2, 3, 400)
GAPPED = np.where(RNG.random(ROWS.shape) < 0.1, np.nan, ROWS)
HIGH = (ROWS[:, 0] * ROWS[:, 3] > 0).astype(int)
THREE = np.digitize(ROWS[:, 0] + ROWS[:, 3], [-0.5, 0.5])
VALUES = np.abs(ROWS[:, 0] * 1e6) + ROWS[:, 3] ** 2 + 1
ZERO = float(np.float32(1e-35))
SPECIAL = [np.nan, 0.0, -0.0, ZERO, -ZERO, np.nextafter(ZERO, 1), np.nextafter(-ZERO, -1), 5e-324, -1e-36]
SPECIAL += [np.inf, -np.inf, 1e308, -1e308]
FOREST = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}


def trained(labels: Any, objective: str, rows: Any = ROWS, **parameters: Any) -> Any:
    settings = {"verbose": -1, "num_threads": 1, "num_leaves": 7, "min_data_in_leaf": 5, "seed": 0}
    categories = parameters.pop("categorical_feature", "auto")
    data = lightgbm.Dataset(rows, labels, categorical_feature=categories)
    return lightgbm.train({"objective": objective} | settings | parameters, data, 8)


def edges(booster: Any) -> Any:
    """Rows at the thresholds, beside them, and of numbers that are special to LightGBM."""
    splits = booster.trees_to_dataframe().dropna(subset="threshold")
    made = []
    for name, threshold in zip(splits["split_feature"], splits["threshold"].astype(float), strict=True):
        for value in (threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf), *SPECIAL):
            row = ROWS[len(made) % 400].copy()
            row[booster.feature_name().index(name)] = value
            made.append(row)
    return np.array(made or [ROWS[0]])


KINDS = {
    "two classes": (HIGH, "binary", {}),
    "gaps": (HIGH, "binary", {"rows": GAPPED}),
    # a zero goes where a gap goes
    "zeros are gaps": (HIGH, "binary", {"rows": GAPPED, "zero_as_missing": True}),
    # a gap goes where a zero goes
    "gaps are zeros": (HIGH, "binary", {"rows": GAPPED, "use_missing": False}),
    "slope": (HIGH, "binary", {"sigmoid": 2.5}),
    "dart": (HIGH, "binary", {"boosting": "dart", "drop_rate": 0.5}),
    "forest": (HIGH, "binary", FOREST),
    "three classes": (THREE, "multiclass", {"num_class": 3}),
    "three, each against the others": (THREE, "multiclassova", {"num_class": 3}),
    "three in a forest": (THREE, "multiclass", {"num_class": 3} | FOREST),
    "values": (VALUES, "regression", {}),
    "median": (VALUES, "regression_l1", {}),
    "counts": (VALUES, "poisson", {}),
    "shares of the mean": (VALUES, "gamma", {}),
    # trees that are one leaf
    "no split": (VALUES, "regression", {"min_gain_to_split": 1e300}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_they_give_what_the_booster_gives(kind: str) -> None:
    labels, objective, options = KINDS[kind]
    booster = trained(labels, objective, **options)
    own = turned(booster)
    assert own is not None
    for rows in (ROWS, GAPPED, edges(booster), ROWS[:1]):
        made, theirs = own(rows), booster.predict(rows, num_threads=1)
        assert made is not None
        assert (made.shape, made.dtype) == (theirs.shape, theirs.dtype)
        # the sums are equal; NumPy's exponential may round otherwise than the C library's
        np.testing.assert_allclose(made, theirs, rtol=0 if objective.startswith("regression") else 1e-14)


BOOSTERS = [trained(VALUES, "regression", **options) for _, _, options in (KINDS["gaps"], KINDS["values"])]
BOOSTERS.append(trained(VALUES, "regression", rows=GAPPED, zero_as_missing=True))
OWN = [turned(booster) for booster in BOOSTERS]
NUMBERS = st.floats() | st.sampled_from([*SPECIAL, *edges(BOOSTERS[1])[:, 0].tolist()])


@given(st.integers(0, len(BOOSTERS) - 1), st.lists(NUMBERS, min_size=4, max_size=4))
def test_any_numbers_go_the_same_way(which: int, row: list[float]) -> None:
    own = OWN[which]
    assert own is not None
    assert np.array_equal(own(np.array([row])), BOOSTERS[which].predict([row], num_threads=1))


@pytest.mark.parametrize("threshold", ["1e-36", "-1e-36", "0", "-5e-324"])
def test_a_threshold_within_what_is_zero(threshold: str) -> None:
    text = trained(VALUES, "regression").model_to_string()
    # its trees are cut by these sizes, or without them as they come
    text = re.sub(r"\ntree_sizes=.*", "", text)
    moved = lightgbm.Booster(model_str=re.sub(r"\nthreshold=\S+", f"\nthreshold={threshold}", text))
    own, rows = turned(moved), edges(moved)
    assert own is not None
    assert np.array_equal(own(rows), moved.predict(rows, num_threads=1))


def test_only_as_many_rounds_as_were_best() -> None:
    booster = trained(HIGH, "binary")
    # as early stopping leaves it
    booster.best_iteration = 3
    own = turned(booster)
    assert own is not None
    np.testing.assert_allclose(own(ROWS), booster.predict(ROWS, num_threads=1), rtol=1e-14)


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        # sets of categories
        ("binary", {"categorical_feature": [3], "min_data_per_group": 1, "cat_smooth": 0}),
        ("regression", {"linear_tree": True}),
        ("regression", {"reg_sqrt": True}),
        ("cross_entropy", {}),
    ],
)
def test_what_is_not_known_is_for_the_booster(objective: str, options: dict[str, Any]) -> None:
    assert turned(trained(HIGH, objective, **options)) is None


def test_rows_that_a_rounding_could_decide_are_for_the_booster() -> None:
    halves = np.arange(400) % 2
    own = turned(trained(halves, "binary", min_gain_to_split=1e300))
    assert own is not None
    assert own(ROWS[:3]) is None
    own = turned(trained(THREE * 0 + np.arange(400) % 4, "multiclass", num_class=4, min_gain_to_split=1e300))
    assert own is not None
    assert own(ROWS[:3]) is None


def test_another_release_s_text_is_for_the_booster() -> None:
    class Other:
        def model_to_string(self) -> str:
            return "tree\nobjective=regression\n\nTree=0\nnum_leaves=1\n"

    assert turned(Other()) is None
