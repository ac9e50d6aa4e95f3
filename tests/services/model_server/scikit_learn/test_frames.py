"""A model gets what it was fitted on, and a server of it answers what the library itself does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from prometheus_client import CollectorRegistry
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.http.app import create_app
from services.model_server.scikit_learn.frames import for_model
from services.model_server.version import load_version

RNG = np.random.default_rng(11)
ROWS = 200
FRAME = pd.DataFrame(
    {
        "city": pd.Series(RNG.choice(np.array(["Basel", "Köln", "", None], object), ROWS), dtype=object),
        "age": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(40, 10, ROWS).round(1)),
        "visits": RNG.integers(0, 9, ROWS),
        "member": RNG.random(ROWS) < 0.4,
        "store": RNG.choice([101, 205, 333], ROWS),
    }
)
FRAME["city"] = FRAME["city"].where(FRAME["city"].notna(), np.nan)
LABELS = np.where((FRAME.visits > 4) ^ (FRAME.store == 205) ^ (FRAME.city == "Köln"), "buys", "leaves")
VALUES = FRAME.visits * 2.0 + FRAME.age.fillna(30)


def pipeline(model: Any, columns: Any = ("city",)) -> Any:
    text = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    )
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    parts = [
        ("text", text, columns if callable(columns) else list(columns)),
        ("numbers", numbers, ["age", "visits"]),
    ]
    return make_pipeline(ColumnTransformer(parts, remainder="passthrough"), model)


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    return [
        [None if pd.isna(cell) else cell for cell in row] for row in frame.astype(object).to_numpy().tolist()
    ]


def served(folder: Path, frame: pd.DataFrame) -> tuple[Any, Any]:
    """The version that ``describe`` makes of a model file, and a client of it."""
    answer = describe(folder, "m", "v1", list(frame), cells(frame), ["m"])
    version = load_version(folder, ["m"])
    return answer, create_app(version, CollectorRegistry()).test_client()


def ask(client: Any, frame: pd.DataFrame) -> dict[str, Any]:
    said = client.get("/v2/models/m").json
    inputs = [
        {**tensor, "shape": [len(frame)], "data": [row[0] for row in cells(frame[[tensor["name"]]])]}
        for tensor in said["inputs"]
    ]
    document = {"inputs": inputs, "outputs": [{"name": output["name"]} for output in said["outputs"]]}
    answer = client.post("/v2/models/m/infer", json=document)
    assert answer.status_code == 200, answer.json
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in answer.json["outputs"]}


MODELS = {
    "logistic": pipeline(LogisticRegression(max_iter=500)),
    # columns that were selected by their type when it was fitted
    "by-type": pipeline(LogisticRegression(max_iter=500), make_column_selector(dtype_include=object)),
    "regression": pipeline(RandomForestRegressor(5, random_state=0)),
    # categories that scikit-learn codes itself
    "categories": make_pipeline(
        ColumnTransformer([("codes", OrdinalEncoder(), ["city", "store"])], remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=5, categorical_features=[0, 1]),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_pipeline_over_mixed_columns(tmp_path: Path, name: str) -> None:
    model = MODELS[name].fit(FRAME, VALUES if name == "regression" else LABELS)
    skops.io.dump(model, tmp_path / "model.skops")
    answer, client = served(tmp_path, FRAME)
    assert answer["columns"] == list(FRAME)
    assert answer["predictions"] == model.predict(FRAME).tolist()
    assert [(one["name"], one["datatype"]) for one in client.get("/v2/models/m").json["inputs"]] == [
        ("city", "BYTES"), ("age", "FP64"), ("visits", "INT64"), ("member", "BOOL"), ("store", "INT64"),
    ]  # fmt: skip
    for part in (FRAME, FRAME[:1], FRAME[7:8]):
        found = ask(client, part)
        for output, values in found.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(values, getattr(model, output)(part), atol=1e-6)
            else:
                assert values.tolist() == getattr(model, output)(part).tolist()


def test_a_text_model_gets_the_texts_and_not_the_names_of_columns(tmp_path: Path) -> None:
    texts = pd.DataFrame(
        {"text": RNG.choice(['a "quoted"\nbook', "naïve — café", "a shoe", "book, shoe"], 60)}
    )
    labels = texts.text.str.contains("shoe").to_numpy()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts.text, labels)
    skops.io.dump(model, tmp_path / "model.skops")
    _, client = served(tmp_path, texts)
    found = ask(client, texts)
    assert found["predict"].tolist() == model.predict(texts.text).tolist()
    np.testing.assert_allclose(found["predict_proba"], model.predict_proba(texts.text), atol=1e-6)


def test_numbers_without_gaps_stay_a_matrix_where_the_answers_are_the_same(tmp_path: Path) -> None:
    numbers = FRAME[["visits", "store"]]
    skops.io.dump(LogisticRegression().fit(numbers, LABELS), tmp_path / "model.skops")
    _, client = served(tmp_path, numbers)
    assert client.get("/v2/models/m").json["inputs"] == [
        {"name": "features", "datatype": "FP64", "shape": [-1, 2]}
    ]


def test_the_matrix_is_not_taken_where_the_model_wants_names(tmp_path: Path) -> None:
    numbers = FRAME[["visits", "store"]]
    by_name = ColumnTransformer([("one", OneHotEncoder(), ["store"])], remainder="passthrough")
    model = make_pipeline(by_name, LogisticRegression(max_iter=500)).fit(numbers, LABELS)
    skops.io.dump(model, tmp_path / "model.skops")
    _, client = served(tmp_path, numbers)
    assert ask(client, numbers)["predict"].tolist() == model.predict(numbers).tolist()


LIGHTGBM = lightgbm.LGBMClassifier(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1)
XGBOOST = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True, n_jobs=1)


@pytest.mark.parametrize("columns", [["store", "visits", "city"], ["store", "visits"]], ids=["text", "codes"])
@pytest.mark.parametrize(
    "model",
    [
        Pipeline([("model", XGBOOST)]),
        Pipeline([("nothing", "passthrough"), ("model", LIGHTGBM)]),
        GridSearchCV(LIGHTGBM, {"num_leaves": [5]}, cv=2),
        FixedThresholdClassifier(Pipeline([("model", LIGHTGBM)]), threshold=0.4),
    ],
    ids=["pipeline", "passthrough", "search", "threshold"],
)
def test_a_booster_that_is_wrapped_gets_them_too(tmp_path: Path, model: Any, columns: list[str]) -> None:
    frame = FRAME[columns].astype(dict.fromkeys({"store", "city"} & set(columns), "category"))
    model = clone(model).fit(frame, (LABELS == "buys").astype(int))
    joblib.dump(model, tmp_path / "model.joblib")
    answer, _ = served(tmp_path, FRAME[columns])
    assert answer["predictions"] == model.predict(frame).tolist()
    assert dict(answer["categories"]["known"])[0] == [101, 205, 333]


def test_lightgbm_gets_the_categories_that_it_learnt_from(tmp_path: Path) -> None:
    """Given the bare numbers, it takes 205 for the 205th category: answers are wrong, none fails."""
    frame = FRAME[["store", "visits", "city"]].astype({"store": "category", "city": "category"})
    model = clone(LIGHTGBM).fit(frame, LABELS)
    joblib.dump(model, tmp_path / "model.joblib")
    answer, client = served(tmp_path, FRAME[["store", "visits", "city"]])
    assert answer["predictions"] == model.predict(frame).tolist()
    # one row alone has one category, and an unknown one is missing, as in pandas
    unknown = FRAME[["store", "visits", "city"]][:3].assign(store=[205, 999, 101])
    same = unknown.assign(
        store=pd.Categorical([205, None, 101], [101, 205, 333]),
        city=unknown.city.astype(frame.city.dtype),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.predict_proba(same)
    np.testing.assert_allclose(ask(client, unknown)["predict_proba"], expected, atol=1e-6)
    with pytest.raises(VersionError, match="'store' that are numbers such as 101, and the column holds text"):
        for_model(model, ["store", "visits", "city"], ["BYTES", "INT64", "BYTES"])


@pytest.mark.parametrize("missing", [None, np.nan], ids=["none", "nan"])
def test_a_missing_text_is_what_the_model_was_fitted_on(missing: Any) -> None:
    """An empty cell of CSV is NaN to pandas, a null of Parquet may be None; an encoder tells them apart."""
    frame = pd.DataFrame({"city": pd.Series(["Basel", missing, "Köln", missing] * 5, dtype=object)})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, frame.city.isna())
    given = for_model(model, ["city"], ["BYTES"])
    from services.model_server.columns import Columns, column

    rows = Columns({"city": column([None, "Köln"], "BYTES")})
    assert model.predict(given(rows)).tolist() == [True, False]


def test_a_model_that_was_fitted_on_an_array_gets_one() -> None:
    numbers = FRAME[["age", "visits"]].to_numpy()
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(numbers, LABELS)
    given = for_model(model, ["age", "visits"], ["FP64", "INT64"])
    from services.model_server.columns import Columns, column

    rows = Columns({"age": column([None, 3.5], "FP64"), "visits": column([1, 2], "INT64")})
    np.testing.assert_array_equal(given(rows), [[np.nan, 1], [3.5, 2]])
