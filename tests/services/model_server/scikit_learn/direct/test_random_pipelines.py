"""Random pipelines over random rows: the direct way agrees with the library, or it declines."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from services.model_server.columns import Columns, column
from services.model_server.scikit_learn.direct.pipeline import DirectPipeline, difference
from services.model_server.scikit_learn.direct.step import NotDirect

SEEN = ["", "a", "b", "Übergröße", "1"]
DATATYPES = {"x": "FP64", "n": "INT64", "t": "BYTES", "u": "BYTES"}

numbers = (
    st.none()
    | st.sampled_from([0.0, -0.0, 1.0, 5e-324, -1e-300, 1e16, 1e38, 1e39, 1e300])
    | st.floats(-100, 100)
)
texts = st.none() | st.sampled_from(SEEN) | st.text(max_size=3)
rows = st.lists(
    st.fixed_dictionaries({"x": numbers, "n": st.integers(-(2**62), 2**62), "t": texts, "u": texts}),
    min_size=1,
    max_size=4,
)

IMPUTERS = [
    SimpleImputer(strategy="mean", add_indicator=True),
    SimpleImputer(strategy="median", keep_empty_features=True),
    SimpleImputer(strategy="most_frequent"),
    SimpleImputer(strategy="constant", fill_value=-1),
    "passthrough",
]
SCALERS = [
    StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler(), MinMaxScaler((-1, 2), clip=True),
    MaxAbsScaler(), RobustScaler(), Binarizer(threshold=1.5), "passthrough",
]  # fmt: skip
ENCODERS = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(sparse_output=False),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=12, sparse_output=False),
    OneHotEncoder(drop="if_binary", handle_unknown="ignore"),
    OrdinalEncoder(),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
]
MODELS = [
    LogisticRegression(max_iter=50),
    Ridge(),
    RandomForestClassifier(4, random_state=0),
    GradientBoostingRegressor(n_estimators=4, random_state=0),
    HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5),
]


GAPS = [np.nan, None]
"""A missing text as pandas reads it from CSV, and from Parquet or a database."""


def _frame(cells: list[dict[str, Any]], gap: float | None = np.nan) -> pd.DataFrame:
    made = pd.DataFrame({"x": [np.nan if row["x"] is None else row["x"] for row in cells]}, dtype=float)
    made["n"] = np.array([row["n"] for row in cells], np.int64)
    for name in ("t", "u"):
        made[name] = pd.Series([gap if row[name] is None else row[name] for row in cells], dtype=object)
    return made


def _taught() -> tuple[list[pd.DataFrame], Any]:
    rng = np.random.default_rng(5)
    cells = [
        {
            "x": None if rng.random() < 0.1 else float(rng.normal()),
            "n": int(rng.integers(9)),
            "t": None if rng.random() < 0.2 else SEEN[rng.integers(5)],
            "u": SEEN[rng.integers(3)],
        }
        for _ in range(80)
    ]
    frame = _frame(cells)
    return [_frame(cells, gap) for gap in GAPS], (frame["n"] + (frame["t"] == "a") > 4).to_numpy()


TAUGHT, LABELS = _taught()
EXAMPLES = Columns(
    {name: column([None if c != c else c for c in TAUGHT[0][name]], kind) for name, kind in DATATYPES.items()}
)


@settings(suppress_health_check=list(HealthCheck))
@given(
    rows,
    st.sampled_from(IMPUTERS),
    st.sampled_from(SCALERS),
    st.sampled_from(ENCODERS),
    st.booleans(),
    st.sampled_from(MODELS),
    st.sampled_from([0, 1]),
)
def test_answers_agree(
    cells: Any, imputer: Any, scaler: Any, encoder: Any, filled: bool, last: Any, gaps: int
) -> None:
    encode = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder) if filled else encoder
    before = ColumnTransformer(
        [("numbers", make_pipeline(imputer, scaler), ["x", "n"]), ("texts", encode, ["t", "u"])]
    )
    model = clone(make_pipeline(before, last))
    names = frozenset(["predict", *(["predict_proba"] if hasattr(last, "predict_proba") else [])])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.fit(TAUGHT[gaps], LABELS)
            made = DirectPipeline(model, EXAMPLES, onnx=True)
        except (ValueError, NotDirect) as reason:
            # gaps that this model does not take, or boosting on a sparse matrix
            event(type(reason).__name__)
            return
        given_rows = Columns(
            {name: column([row[name] for row in cells], kind) for name, kind in DATATYPES.items()}
        )
        try:
            got = made.run(given_rows, names)
        except Exception as reason:
            event(f"declined: {type(reason).__name__}")
            return
        # it may answer nothing that the library refuses: that would raise here
        wanted = {name: np.asarray(getattr(model, name)(_frame(cells, GAPS[gaps]))) for name in names}
    event("compared")
    assert difference(got, wanted, names) == ""


@pytest.mark.parametrize("gaps", [0, 1])
def test_most_of_what_is_ordinary_is_answered(gaps: int) -> None:
    for encoder in (ENCODERS[0], ENCODERS[6]):
        for last in MODELS[:4]:
            before = ColumnTransformer(
                [
                    ("numbers", make_pipeline(IMPUTERS[0], SCALERS[0]), ["x", "n"]),
                    ("texts", encoder, ["t", "u"]),
                ]
            )
            model = clone(make_pipeline(before, last)).fit(TAUGHT[gaps], LABELS)
            got = DirectPipeline(model, EXAMPLES, onnx=True).run(EXAMPLES, frozenset(["predict"]))
            wanted = {"predict": np.asarray(model.predict(TAUGHT[gaps]))}
            assert difference(got, wanted, ["predict"]) == ""
