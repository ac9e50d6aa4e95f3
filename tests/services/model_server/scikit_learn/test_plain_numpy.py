"""The short way through a model gives scikit-learn's own answers, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from services.model_server.scikit_learn.plain_numpy import direct

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(300, 6)) * 3
TWO, FOUR = ROWS[:, 0] > 0, np.array(["a", "b", "c", "d"])[ROWS[:, :4].argmax(axis=1)]
NUMBER = ROWS @ [1.0, -2.0, 0.5, 3.0, 0.0, 0.1]
SCALER = StandardScaler(with_mean=False)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (LogisticRegression(), TWO),
        (LogisticRegression(), FOUR),
        (LogisticRegression(fit_intercept=False), TWO),
        (RidgeClassifier(), TWO),
        (RidgeClassifier(), FOUR),
        *((model, NUMBER) for model in (LinearRegression(), Ridge(), Lasso(), ElasticNet())),
        (RandomForestClassifier(12, random_state=0), FOUR),
        (RandomForestClassifier(12, random_state=0, class_weight="balanced"), TWO),
        (ExtraTreesClassifier(12, random_state=0), TWO),
        (RandomForestRegressor(12, random_state=0), NUMBER),
        (ExtraTreesRegressor(12, random_state=0), NUMBER),
        (make_pipeline(StandardScaler(), LogisticRegression()), FOUR),
        (make_pipeline(StandardScaler(with_std=False), Ridge()), NUMBER),
        (make_pipeline(SCALER, RandomForestClassifier(5, random_state=0)), TWO),
    ],
    ids=lambda part: str(part)[:50] if hasattr(part, "fit") else "",
)
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_answers_are_equal_bit_by_bit(model: Any, target: Any, dtype: Any) -> None:
    model.fit(ROWS, target)
    outputs = frozenset(["predict", "predict_proba"] if hasattr(model, "predict_proba") else ["predict"])
    short = direct(model)
    assert short is not None
    # boundaries of trees too: every value is one of the training rows'
    for size in (1, 2, 3, 17, 300):
        rows = RNG.permuted(ROWS, axis=0)[:size].astype(dtype)
        given = rows.copy()
        results = short(rows, outputs)
        np.testing.assert_array_equal(rows, given)
        for name in outputs:
            wanted = getattr(model, name)(rows)
            assert results[name].dtype == wanted.dtype
            np.testing.assert_array_equal(results[name], wanted)


@pytest.mark.parametrize(
    "model",
    [
        # not listed: each has something of its own
        GradientBoostingClassifier(n_estimators=3),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_other_models_take_the_long_way(model: Any) -> None:
    assert direct(model.fit(ROWS, TWO)) is None


def test_several_targets_take_the_long_way() -> None:
    assert direct(RandomForestRegressor(2).fit(ROWS, ROWS[:, :2])) is None
    assert direct(Ridge().fit(ROWS, ROWS[:, :2])) is None
