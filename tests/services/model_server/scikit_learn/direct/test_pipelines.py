"""Whole pipelines on typed rows: every answer is the library's, or the library gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from services.model_server.columns import Columns
from services.model_server.examples import write_examples
from services.model_server.scikit_learn.direct.pipeline import TOLERANCE, difference
from services.model_server.scikit_learn.estimator import Estimator
from services.model_server.tensors import TensorSpec

ROWS = 400
NUMBERS, TEXTS = ["age", "income", "visits"], ["device", "city"]
SPEC = (
    TensorSpec("age", "FP64", (-1,)),
    TensorSpec("income", "FP64", (-1,)),
    TensorSpec("visits", "INT64", (-1,)),
    TensorSpec("device", "BYTES", (-1,)),
    TensorSpec("city", "BYTES", (-1,)),
)


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 12, ROWS).round(1),
            "income": rng.lognormal(10, 1, ROWS),
            "visits": rng.integers(0, 30, ROWS),
            "device": pd.Series(rng.choice(["ios", "android", "web"], ROWS), dtype=object),
            "city": pd.Series([f"c{n}" for n in rng.geometric(0.15, ROWS)], dtype=object),
        }
    )
    frame.loc[rng.random(ROWS) < 0.1, "age"] = np.nan
    frame.loc[rng.random(ROWS) < 0.1, "device"] = np.nan
    return frame


FRAME = _frame()
VALUE = FRAME["age"].fillna(40) + 3 * FRAME["visits"] + 20 * (FRAME["device"] == "ios")
TWO = np.where(VALUE.median() < VALUE, "buys", "leaves")
THREE = np.digitize(VALUE, VALUE.quantile([0.3, 0.7]))


def before(numbers: Any, texts: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", texts, TEXTS)], **options)


def filled(*steps: Any, strategy: str = "median", **options: Any) -> Pipeline:
    return make_pipeline(SimpleImputer(strategy=strategy, **options), *steps)


ONE_HOT = OneHotEncoder(handle_unknown="ignore")
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
MIXED = before(filled(StandardScaler()), filled(ONE_HOT, strategy="most_frequent"))
CODED = ColumnTransformer([("codes", ORDINAL, TEXTS)], remainder="passthrough")

CASES: dict[str, tuple[Any, Any]] = {
    # the ordinary pipeline, before every kind of last step
    "logistic": (make_pipeline(MIXED, LogisticRegression(max_iter=500)), TWO),
    "three classes": (make_pipeline(MIXED, LogisticRegression(max_iter=500)), THREE),
    "no probabilities": (make_pipeline(MIXED, RidgeClassifier()), TWO),
    "ridge": (make_pipeline(MIXED, Ridge()), VALUE),
    "forest": (make_pipeline(MIXED, RandomForestClassifier(20, random_state=0)), TWO),
    "forest of three": (make_pipeline(MIXED, ExtraTreesClassifier(10, random_state=0)), THREE),
    "tree": (make_pipeline(MIXED, DecisionTreeClassifier(max_depth=5, random_state=0)), TWO),
    "forest's values": (make_pipeline(MIXED, RandomForestRegressor(10, random_state=0)), VALUE),
    "boosting": (make_pipeline(MIXED, GradientBoostingClassifier(n_estimators=10, random_state=0)), TWO),
    "boosting of three": (make_pipeline(MIXED, GradientBoostingClassifier(n_estimators=5)), THREE),
    "boosting's values": (make_pipeline(MIXED, GradientBoostingRegressor(n_estimators=10)), VALUE),
    # gaps go through to trees that know them
    "histograms": (make_pipeline(CODED, HistGradientBoostingClassifier(max_iter=10)), TWO),
    "histograms of three": (make_pipeline(CODED, HistGradientBoostingClassifier(max_iter=5)), THREE),
    "histograms' counts": (
        make_pipeline(CODED, HistGradientBoostingRegressor(loss="poisson", max_iter=10)), VALUE
    ),
    # sets of categories, through its own encoder, on codes and on the frame
    "categories": (
        make_pipeline(CODED, HistGradientBoostingClassifier(max_iter=10, categorical_features=[0, 1])), TWO
    ),
    "categories of a frame": (HistGradientBoostingClassifier(max_iter=10, categorical_features=TEXTS), TWO),
    "forest with gaps": (make_pipeline(CODED, RandomForestClassifier(10, random_state=0)), TWO),
    # dense, so that the sums are the library's to the last bit
    "dense": (make_pipeline(before(filled(StandardScaler()), OneHotEncoder(
        handle_unknown="ignore", sparse_output=False)), LogisticRegression(max_iter=500)), TWO),
    # options of encoders and imputers
    "rare categories": (make_pipeline(before(filled(RobustScaler(), strategy="mean", add_indicator=True),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, drop="first")),
        Ridge()), VALUE),
    "unknown is refused": (make_pipeline(before(filled(MinMaxScaler(clip=True)),
        filled(OneHotEncoder(), strategy="constant", fill_value="none")), LogisticRegression()), TWO),
    "targets": (make_pipeline(before(filled(StandardScaler()), TargetEncoder(cv=3)), Ridge()), VALUE),
    "targets of three": (
        make_pipeline(before(filled(), TargetEncoder(cv=3)), RandomForestClassifier(5)), THREE
    ),
    "a gap has a code": (make_pipeline(before(filled(strategy="most_frequent"), OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)), Ridge()), VALUE),
    # steps beside each other, weighted, selected, through a ufunc
    "union": (make_pipeline(before(filled(FeatureUnion(
        [("plain", "passthrough"), ("scaled", StandardScaler())], transformer_weights={"scaled": 0.5})),
        ONE_HOT, transformer_weights={"texts": 2.0}), Ridge()), VALUE),
    "selected": (make_pipeline(MIXED, SelectKBest(k=6), LogisticRegression(max_iter=500)), TWO),
    "roots": (make_pipeline(before(filled(FunctionTransformer(np.cbrt)), "drop"), Ridge()), VALUE),
}  # fmt: skip


def columns(frame: pd.DataFrame) -> Columns:
    arrays = {name: frame[name].to_numpy() for name in NUMBERS}
    for name in TEXTS:
        arrays[name] = frame[name].astype(object).where(frame[name].notna(), None).to_numpy()
    return Columns(arrays)


def odd_frame() -> pd.DataFrame:
    """Gaps, unseen categories, huge and tiny numbers, in every row one more than in the last."""
    frame = FRAME.iloc[:12].copy().reset_index(drop=True)
    frame["income"] = frame["income"].astype(float)
    for row, (name, cell) in enumerate(
        [
            ("age", np.nan), ("age", 1e300), ("age", -1e-300), ("income", np.nan), ("income", 4e38),
            ("visits", 2**60), ("device", ""), ("device", "tv"), ("device", np.nan), ("city", "\x00"),
        ]
    ):  # fmt: skip
        frame.loc[row, name] = cell
    return frame


@pytest.fixture
def estimator(tmp_path: Path) -> Callable[..., tuple[Estimator, Any, tuple[str, str]]]:
    """The model behind the server's interface, fitted, and who runs it for which reason."""

    def made(model: Any, labels: Any, forbidden: str = "") -> tuple[Estimator, Any, tuple[str, str]]:
        model.fit(FRAME, labels)
        cells = columns(FRAME).arrays
        write_examples(
            tmp_path,
            {name: [None if c != c else c for c in array.tolist()] for name, array in cells.items()},
        )
        task = "regression" if labels is VALUE else "classification"
        server = Estimator(model, tmp_path / "model.skops", task, SPEC)
        _, runner, reason = server.fastest(SPEC, forbidden)
        return server, model, (runner, reason)

    return made


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_every_answer_is_the_library_s(case: str, estimator: Any) -> None:
    server, model, (runner, reason) = estimator(*CASES[case])
    assert (runner, reason) == ("direct", "labels equal scikit-learn's, numbers within 1e-06")
    names = ["predict", *(["predict_proba"] if server.has_proba else [])]
    answered = 0
    odd = odd_frame()
    for frame in (FRAME, FRAME[:1], odd, *(odd[n : n + 1] for n in range(10))):
        rows = columns(frame)
        try:
            with np.errstate(all="ignore"):
                wanted = {name: getattr(model, name)(frame) for name in names}
        except ValueError:
            # what the library refuses stays refused
            with pytest.raises(ValueError):
                server.run(rows, frozenset(names))
            continue
        for got in (server.run(rows, frozenset(names)), direct(server, rows, names)):
            for name in names if got else ():
                assert got[name].dtype == wanted[name].dtype
                assert_equal(got[name], wanted[name])
        answered += got is not None
    assert answered >= 2


def direct(server: Estimator, rows: Columns, names: list[str]) -> Any:
    """The direct way's own answer; None: it leaves the rows to the library."""
    try:
        with np.errstate(all="ignore"):
            return server._columns_direct.run(rows, frozenset(names))
    except Exception:
        return None


def assert_equal(got: Any, wanted: Any) -> None:
    if wanted.dtype.kind == "f":
        assert (np.abs(got - wanted) <= TOLERANCE * np.maximum(1, np.abs(wanted))).all()
    else:
        assert got.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        # a step that is not known is named, wherever it is
        (make_pipeline(before(filled(SplineTransformer()), ONE_HOT), Ridge()),
         "the step 'splinetransformer' is a SplineTransformer, for which there is no direct way"),
        # a function of the user's own
        (make_pipeline(before(filled(FunctionTransformer(np.nan_to_num)), ONE_HOT), Ridge()),
         "the step 'functiontransformer' calls a function that is not one of NumPy's for one number"),
        # a step that the library gives a sparse matrix
        (make_pipeline(MIXED, PolynomialFeatures(), Ridge()),
         "the step 'polynomialfeatures' takes a sparse matrix"),
        # single precision
        (make_pipeline(before(filled(), OneHotEncoder(dtype=np.float32)), Ridge()),
         "the step 'texts' gives float32"),
        # frames between the steps
        (make_pipeline(before(filled(), OneHotEncoder(sparse_output=False)).set_output(transform="pandas"),
                       Ridge()),
         "the step 'columntransformer' gives frames of its own (set_output)"),
    ],
)  # fmt: skip
def test_what_is_not_known_stays_with_the_library(model: Any, reason: str, estimator: Any) -> None:
    server, model, told = estimator(model, VALUE)
    assert told == ("scikit-learn", reason)
    got = server.run(columns(FRAME), frozenset(["predict"]))
    assert got["predict"].tolist() == model.predict(FRAME).tolist()


def test_compilation_that_is_switched_off_leaves_numpy_s_ways(estimator: Any) -> None:
    forest, _, told = estimator(*CASES["forest"], forbidden="compilation is switched off")
    assert told[0] == "direct"
    assert forest.run(columns(FRAME), frozenset(["predict"]))["predict"].tolist() == TWO.tolist()
    *_, told = estimator(*CASES["boosting"], forbidden="compilation is switched off")
    assert told == (
        "scikit-learn",
        "the GradientBoostingClassifier stays with scikit-learn: compilation is switched off",
    )


class Altered(Ridge):
    """What gives other answers than its weights."""


def test_a_kind_of_one_s_own_is_not_taken_for_its_base(estimator: Any) -> None:
    *_, told = estimator(make_pipeline(MIXED, Altered()), VALUE)
    assert told == (
        "scikit-learn",
        "the Altered stays with scikit-learn: there is no direct way for it",
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # both overflow
        (np.inf, np.inf, True),
        (np.inf, -np.inf, False),
        (np.inf, 1.0, False),
        (1.0, np.inf, False),
        (1.0, np.nan, False),
        (1e9, 1e9 + 1, True),
    ],
)
def test_what_differs(one: float, other: float, same: bool) -> None:
    with np.errstate(invalid="ignore"):
        found = difference({"predict": np.array([one])}, {"predict": np.array([other])}, ["predict"])
    assert (found == "") == same


def test_a_model_whose_answers_differ_is_left_to_the_library(estimator: Any) -> None:
    model = make_pipeline(MIXED, Ridge())
    model[-1].predict = lambda rows: np.zeros(rows.shape[0])
    *_, (runner, reason) = estimator(model, VALUE)
    assert runner == "scikit-learn"
    assert reason.startswith("its direct way is off by ")


def test_rows_that_are_left_to_the_library_do_not_take_their_neighbours_along(estimator: Any) -> None:
    server, *_ = estimator(*CASES["forest"])
    frame = FRAME[:5].reset_index(drop=True)
    # no number of single precision
    frame.loc[[1, 3], "income"] = 1e300
    asked: list[list[Any]] = []

    def original(rows: Columns, _: Any) -> dict[str, Any]:
        asked.append(rows.arrays["income"].tolist())
        return {"predict": np.array(["theirs"] * len(rows))}

    got = server._columns_direct.run_with(columns(frame), frozenset(["predict"]), original)
    assert got["predict"].tolist() == [TWO[0], "theirs", TWO[2], "theirs", TWO[4]]
    assert asked == [[1e300, 1e300]]
