"""Files of XGBoost and LightGBM on rows of numbers: the library's answers without the library, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from services.model_server.boosters.on_numbers import MOST_ROWS, OnNumbers
from services.model_server.columns import Columns, column
from services.model_server.describe import describe
from services.model_server.version import load_version

lightgbm = pytest.importorskip("lightgbm", reason="the optional library lightgbm is not installed")

RNG = np.random.default_rng(7)
ROWS = 200
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 9, ROWS), "visits": RNG.integers(0, 9, ROWS), "member": RNG.random(ROWS) < 0.5}
)
GAPS = FRAME.assign(age=FRAME.age.where(RNG.random(ROWS) < 0.7))
TWO, THREE = (FRAME.visits > 4).astype(int), pd.cut(FRAME.age, 3, labels=False)
KIND = pd.Categorical(RNG.choice(["hat", "shoe"], ROWS))
XGB: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1}
LGBM: dict[str, Any] = {"n_estimators": 5, "min_child_samples": 5, "n_jobs": 1, "verbose": -1}


def as_columns(frame: pd.DataFrame, datatypes: dict[str, str]) -> Columns:
    cells = {name: [None if pd.isna(cell) else cell for cell in frame[name].tolist()] for name in frame}
    return Columns({name: column(cells[name], kind) for name, kind in datatypes.items()})


def served(folder: Path, model: Any, frame: pd.DataFrame) -> Any:
    if hasattr(model, "booster_"):
        model.booster_.save_model(folder / "model.txt")
    else:
        model.save_model(folder / "model.ubj")
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    describe(folder, "m", "v1", list(frame), rows)
    return load_version(folder)


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        (xgboost.XGBClassifier(**XGB), TWO),
        (xgboost.XGBClassifier(**XGB), THREE),
        (xgboost.XGBRegressor(**XGB), FRAME.age),
        # of another objective than the trees alone know: its booster is asked
        (xgboost.XGBRegressor(objective="count:poisson", **XGB), FRAME.visits),
        (lightgbm.LGBMClassifier(**LGBM), TWO),
        (lightgbm.LGBMClassifier(boosting_type="rf", subsample=0.5, subsample_freq=1, **LGBM), THREE),
        (lightgbm.LGBMRegressor(zero_as_missing=True, **LGBM), FRAME.age),
    ],
    ids=["two", "three", "values", "poisson", "lgbm-two", "lgbm-forest", "lgbm-values"],
)
def test_each_row_alone_and_all_of_them(tmp_path: Path, model: Any, labels: Any) -> None:
    model.fit(GAPS, labels)
    version = served(tmp_path, model, GAPS)
    assert version.runner == "direct"
    rows = as_columns(GAPS, {"age": "FP64", "visits": "INT64", "member": "BOOL"})
    names = frozenset(["predict", "predict_proba"] if hasattr(model, "classes_") else ["predict"])
    alone = [version.run(rows[place : place + 1], names) for place in range(ROWS)]
    together = version.run(rows, names)
    for name in names:
        wanted = getattr(model, name)(GAPS)
        for found in (together[name], np.concatenate([each[name] for each in alone])):
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
            assert found.dtype.kind == np.asarray(wanted).dtype.kind


@pytest.mark.parametrize(
    ("model", "frame", "labels", "reason"),
    [
        (xgboost.XGBRegressor(booster="gblinear", **XGB), FRAME, FRAME.age, "a booster"),
        (xgboost.XGBRanker(**XGB), FRAME, TWO, "no direct way for a XGBRanker"),
        (lightgbm.LGBMClassifier(**LGBM), GAPS.assign(kind=KIND), TWO, "takes text"),
    ],
    ids=["linear", "ranker", "categories"],
)  # fmt: skip
def test_the_library_serves_what_is_not_known(
    tmp_path: Path, model: Any, frame: pd.DataFrame, labels: Any, reason: str
) -> None:
    more = {"group": [ROWS]} if "Ranker" in type(model).__name__ else {}
    model.fit(frame, labels, **more)
    version = served(tmp_path, model, frame)
    assert version.runner == version.platform
    assert reason in version.reason


def test_what_is_not_sure_is_the_librarys() -> None:
    asked: list[int] = []

    def head(matrix: Any, outputs: frozenset[str]) -> dict[str, Any]:
        return dict.fromkeys(outputs, matrix[:, 0])

    def library(rows: Any, outputs: frozenset[str]) -> dict[str, Any]:
        asked.append(len(rows))
        return {name: np.full(len(rows), -1.0) for name in outputs}

    on_numbers, names = OnNumbers(head, library), frozenset(["predict"])
    given = {"member": column([True, None], "BOOL")}
    assert on_numbers.run(np.ones((2, 1)), names)["predict"].tolist() == [1, 1]
    # a truth value is missing; more rows than are worth it
    assert on_numbers.run(Columns(given), names)["predict"].tolist() == [-1, -1]
    on_numbers.run(np.ones((MOST_ROWS + 1, 1)), names)
    assert asked == [2, MOST_ROWS + 1]
