"""Codes that are text to a model and numbers to a reader of CSV: found out by trying, and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.text_codes import check_codes, check_unused

CELLS = {"store": [205, None, 33], "member": [True, False, True], "visits": [1, 2, 3], "age": [1.5, 2.5, 3.5]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # what the model was fitted on as text, and what is said
        ({"store"}, "takes text in store, .* such as 205; .*dtype={'store': 'string'}"),
        ({"store", "member"}, "takes text in store, member, .*dtype={'store': 'string', 'member': 'string'}"),
        # numbers with decimals are no codes: the model fails for another reason
        ({"age"}, None),
        ({"store", "age"}, None),
    ],
)
def test_columns_that_must_be_text(text: set[str], says: str | None) -> None:
    def attempt(cells: Mapping[str, list[Any]]) -> None:
        assert cells["age"] == CELLS["age"]
        if not all(all(cell is None or isinstance(cell, str) for cell in cells[name]) for name in text):
            raise VersionError("fails")

    if says is None:
        check_codes(Path("model.skops"), CELLS, attempt)
    else:
        with pytest.raises(VersionError, match=says):
            check_codes(Path("model.skops"), CELLS, attempt)


def codes_of(count: int) -> dict[str, list[Any]]:
    return {f"code{place:03}": [205, 33, 901] for place in range(count)}


@pytest.mark.parametrize(
    ("count", "text", "says"),
    [
        # of many columns those that need not be text are not blamed
        (20, {"code003"}, "takes text in code003, "),
        (200, {"code150"}, "takes text in code150, "),
        (20, {"code003", "code017"}, "takes text in code003, code017, "),
        # more than can be told apart by trying
        (200, {f"code{place:03}" for place in range(0, 200, 9)}, "takes text in some of code000, "),
    ],
    ids=["one of 20", "one of 200", "two of 20", "too many"],
)
def test_no_more_columns_are_blamed_than_must_be_text(count: int, text: set[str], says: str) -> None:
    loads = []

    def attempt(cells: Mapping[str, list[Any]]) -> None:
        loads.append(cells)
        if not all(isinstance(cells[name][0], str) for name in text):
            raise VersionError("fails")

    with pytest.raises(VersionError, match=says):
        check_codes(Path("model.skops"), codes_of(count), attempt)
    assert len(loads) <= 24


def test_columns_too_many_to_try_are_named() -> None:
    def attempt(cells: Mapping[str, list[Any]]) -> None:
        raise VersionError("fails")

    untried = check_codes(Path("model.skops"), codes_of(30), attempt)
    assert untried == [f"code{place:03}" for place in range(23, 30)]

    def unused(cells: Mapping[str, list[Any]]) -> dict[str, Any]:
        return {"predict": np.array([0.5] * 3)}

    cells = codes_of(66)
    with pytest.warns(UserWarning, match=r"whether text is meant: code064, code065$"):
        check_unused(Path("model.skops"), cells, unused(cells), unused, unused)


@pytest.mark.parametrize(
    ("store", "others", "known", "refused"),
    [
        # stores that an encoder learnt as text: it gives the mean to a number, whichever it is
        ([205, 33, 33], 1, {"205": 0.9, "33": 0.1}, True),
        # and as numbers
        ([205, 33, 33], 1, {205: 0.9, 33: 0.1}, False),
        # a column that the model does not use at all
        ([205, 33, 33], 1, {}, False),
        # a column on which no answer to these rows depends, and all text is unknown to the model
        ([3, 4, 5], 0, {3: 0.2, 4: 0.2, 5: 0.2}, False),
        ([3, 4, 5], 9, {3: 0.2, 4: 0.2, 5: 0.2}, False),
        # sorted text, of which a row further changes little
        ([3] * 9 + [4] * 9, 0, {"3": 0.9, "4": 0.1}, True),
        # behind many others
        ([3, 4, 5], 20, {"3": 0.9}, True),
    ],
)
def test_text_is_meant_only_where_it_matters_which(
    store: list[int], others: int, known: dict[Any, float], refused: bool
) -> None:
    cells = {f"other{place}": [*range(len(store))] for place in range(others)} | {"store": store}
    tried = []

    def run(given: Mapping[str, list[Any]]) -> dict[str, Any]:
        tried.append(given["store"])
        return {"predict": np.array([known.get(store, 0.5) for store in given["store"]])}

    def check() -> None:
        check_unused(Path("model.joblib"), cells, run(cells), run, run)

    if refused:
        with pytest.raises(VersionError, match=rf"takes text in store, .* such as {store[0]}; "):
            check()
    else:
        check()
        # the version is left as it was found, or was never touched
        assert sorted(tried[-1]) == sorted(store)


FRAME = pd.DataFrame({"store": ["205", "33", "901", "33"] * 15, "visits": [1, 2, 3, 4] * 15})
LABELS = (FRAME.store == "33").astype(int)
CATEGORIES = FRAME.assign(store=FRAME.store.astype("category"))


def pipeline(folder: Path) -> str:
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    skops.io.dump(model.fit(FRAME[["store"]], LABELS), folder / "model.skops")
    return "model.skops"


def lightgbm_s(folder: Path) -> str:
    model = lightgbm.LGBMClassifier(
        n_estimators=3, n_jobs=1, min_child_samples=1, min_data_per_group=1, verbose=-1
    )
    joblib.dump(model.fit(CATEGORIES, LABELS), folder / "model.joblib")
    return "model.joblib"


def xgboost_s(folder: Path) -> str:
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, enable_categorical=True)
    model.fit(CATEGORIES, LABELS).save_model(folder / "model.ubj")
    return "model.ubj"


@pytest.mark.parametrize("saved", [pipeline, lightgbm_s, xgboost_s])
def test_the_remedy_works(tmp_path: Path, saved: Callable[[Path], str]) -> None:
    file, frame, labels = saved(tmp_path), FRAME, LABELS
    numbers = [[int(store), visits] for store, visits in frame.to_numpy().tolist()]
    with pytest.raises(
        VersionError, match=r"(takes text in|categories of) store\b.*write Parquet: pandas\.read_csv"
    ):
        describe(tmp_path, "m", "v1", ["store", "visits"], numbers, ["m"])
    assert [path.name for path in tmp_path.iterdir()] == [file]
    answer = describe(tmp_path, "m", "v1", ["store", "visits"], frame.to_numpy().tolist(), ["m"])
    assert answer["predictions"] == labels.tolist()
