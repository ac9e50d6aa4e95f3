"""Steps on numbers, and models made of models, on scikit-learn's data sets: every answer is the library's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifierCV,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from services.model_server.columns import Columns
from services.model_server.examples import write_examples
from services.model_server.scikit_learn.estimator import Estimator
from services.model_server.tensors import TensorSpec
from tests.services.model_server.scikit_learn.direct.agreement import answers_are_the_library_s

CANCER, WINE, DIABETES = (
    load(as_frame=True, return_X_y=True) for load in (load_breast_cancer, load_wine, load_diabetes)
)
SCALE = StandardScaler()
FOREST, LINEAR = RandomForestClassifier(8, random_state=0), LogisticRegression(max_iter=300)
VALUES = RandomForestRegressor(8, random_state=0)
GRADED = GradientBoostingClassifier(n_estimators=5, random_state=0)


def after(*steps: Any) -> Any:
    return make_pipeline(SCALE, *steps)


CASES: dict[str, tuple[Any, Any]] = {
    # numbers to numbers, before linear models and before trees, which a rounding could send another way
    "normalized": (make_pipeline(Normalizer(), LINEAR), WINE),
    "normalized by sums": (make_pipeline(Normalizer("l1"), FOREST), WINE),
    "bins": (make_pipeline(KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), LINEAR), WINE),
    "coded bins": (make_pipeline(KBinsDiscretizer(
        4, encode="ordinal", quantile_method="averaged_inverted_cdf"), FOREST), WINE),
    "products": (after(PolynomialFeatures(3, include_bias=False), Ridge()), DIABETES),
    "interactions": (after(PolynomialFeatures((2, 3), interaction_only=True), FOREST), WINE),
    "components": (after(PCA(4), LINEAR), WINE),
    "whitened components": (after(PCA(4, whiten=True), Ridge()), DIABETES),
    "projected": (after(TruncatedSVD(4, random_state=0), LINEAR), WINE),
    "quantiles": (make_pipeline(QuantileTransformer(n_quantiles=50), FOREST), WINE),
    "normal quantiles": (make_pipeline(
        QuantileTransformer(n_quantiles=50, output_distribution="normal"), LINEAR), WINE),
    "powers": (make_pipeline(PowerTransformer(), FOREST), WINE),
    "powers of what is positive": (make_pipeline(MinMaxScaler((1, 2)), PowerTransformer(
        "box-cox", standardize=False), Ridge()), DIABETES),
    # last steps
    "ridge, chosen": (after(RidgeClassifierCV()), WINE),
    "gamma": (after(GammaRegressor()), DIABETES),
    "tweedie": (after(TweedieRegressor(power=1.5, link="log")), DIABETES),
    "one against the rest": (after(SGDClassifier(loss="log_loss", random_state=0)), WINE),
    "naive": (GaussianNB(), WINE),
    "vectors": (after(SVC()), CANCER),
    "vectors' values": (after(SVR(kernel="poly", degree=2)), DIABETES),
    "linear vectors": (after(SVC(kernel="linear")), CANCER),
    # models of models: members with steps of their own, every way to combine them
    "votes": (after(VotingClassifier([("a", FOREST), ("b", LINEAR), ("c", LinearSVC())])), WINE),
    "weighted probabilities": (VotingClassifier(
        [("a", after(LINEAR)), ("b", FOREST), ("c", GRADED), ("d", "drop")], voting="soft",
        weights=[1, 2, 3, 1]), CANCER),
    "mean value": (VotingRegressor([("a", VALUES), ("b", after(SVR()))], weights=[0.3, 0.7]), DIABETES),
    "stack": (StackingClassifier([("a", FOREST), ("b", after(LinearSVC())), ("c", GRADED)]), CANCER),
    "stack of three": (after(StackingClassifier([("a", FOREST), ("b", LINEAR)], passthrough=True)), WINE),
    "stacked values": (StackingRegressor([("a", VALUES), ("b", after(Ridge()))], VALUES), DIABETES),
    "calibrated": (after(CalibratedClassifierCV(LinearSVC(), cv=3)), CANCER),
    "calibrated steps": (CalibratedClassifierCV(FOREST, method="isotonic", cv=3), WINE),
    "calibrated boosting": (CalibratedClassifierCV(
        HistGradientBoostingClassifier(max_iter=5), cv=3, ensemble=False), CANCER),
    "logarithm of the target": (TransformedTargetRegressor(
        after(Ridge()), func=np.log, inverse_func=np.exp), DIABETES),
    "scaled target": (TransformedTargetRegressor(VALUES, transformer=StandardScaler()), DIABETES),
    # the boosting libraries: two and three classes, values, a sparse matrix, whose zeros are gaps to XGBoost
    "xgboost": (after(XGBClassifier(n_estimators=10)), CANCER),
    "xgboost of three": (XGBClassifier(n_estimators=5), WINE),
    "xgboost's values": (after(XGBRegressor(n_estimators=10)), DIABETES),
    "xgboost on bins": (make_pipeline(KBinsDiscretizer(
        4, quantile_method="averaged_inverted_cdf"), XGBRFClassifier(n_estimators=5)), CANCER),
    "lightgbm": (after(LGBMClassifier(n_estimators=10, verbose=-1)), CANCER),
    "lightgbm of three": (make_pipeline(SCALE, LGBMClassifier(n_estimators=5, verbose=-1)), WINE),
    "lightgbm's values": (make_pipeline(KBinsDiscretizer(
        4, quantile_method="averaged_inverted_cdf"), LGBMRegressor(n_estimators=10, verbose=-1)), DIABETES),
    # what hands its rows on
    "searched": (GridSearchCV(after(LINEAR), {"logisticregression__C": [0.1, 1]}, cv=2), WINE),
}  # fmt: skip


def _columns(frame: pd.DataFrame) -> Columns:
    return Columns({name: frame[name].to_numpy() for name in frame.columns})


def _served(tmp_path: Path, model: Any, data: Any) -> tuple[Estimator, tuple[str, str]]:
    frame, labels = data
    spec = tuple(TensorSpec(name, "FP64", (-1,)) for name in frame.columns)
    # few: the start tries each, and here the rows themselves are compared
    write_examples(tmp_path, {name: cells.tolist() for name, cells in _columns(frame[:10]).arrays.items()})
    task = "regression" if data is DIABETES else "classification"
    server = Estimator(clone(model).fit(frame, labels), tmp_path / "model.skops", task, spec)
    _, runner, reason = server.fastest(spec, "")
    return server, (runner, reason)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings(
    "ignore::FutureWarning:sklearn", "ignore:X does not have valid feature names", "ignore:Bins whose width"
)
def test_every_answer_is_the_library_s(case: str, tmp_path: Path) -> None:
    model, data = CASES[case]
    server, told = _served(tmp_path, model, data)
    assert told == ("direct", "labels equal scikit-learn's, numbers within 1e-06")
    frame = data[0]
    answers_are_the_library_s(server, frame, _columns(frame))


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        # a member is named by its kind
        (VotingClassifier([("a", FOREST), ("b", KNeighborsClassifier())]), WINE,
         "the KNeighborsClassifier stays with scikit-learn: there is no direct way for it"),
        # three classes are pairs of two, which libsvm counts
        (after(SVC()), WINE, "the SVC stays with scikit-learn: it has more than two classes"),
        (CalibratedClassifierCV(after(LINEAR), method="temperature", cv=2), WINE,
         "the CalibratedClassifierCV stays with scikit-learn: its calibration is temperature"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_what_is_not_known_stays_with_the_library(model: Any, data: Any, reason: str, tmp_path: Path) -> None:
    _, told = _served(tmp_path, model, data)
    assert told == ("scikit-learn", reason)


def test_a_frozen_model_is_the_one_in_it(tmp_path: Path) -> None:
    frozen = FrozenEstimator(clone(after(LINEAR)).fit(*WINE))
    assert _served(tmp_path, frozen, WINE)[1][0] == "direct"


def test_members_take_texts(tmp_path: Path) -> None:
    cells = [f"good {n % 7} day" if n % 3 else f"bad {n % 5} night" for n in range(120)]
    texts = pd.Series(cells, dtype=object)
    members = [(kind, make_pipeline(TfidfVectorizer(analyzer=kind), FOREST)) for kind in ("word", "char")]
    model = StackingClassifier(members, clone(LINEAR), cv=2).fit(texts, np.arange(120) % 3 > 0)
    write_examples(tmp_path, {"text": cells})
    spec = (TensorSpec("text", "BYTES", (-1,)),)
    server = Estimator(model, tmp_path / "model.skops", "classification", spec)
    assert server.fastest(spec, "")[1] == "direct"
