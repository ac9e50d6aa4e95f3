"""skops files of scikit-learn's own parts are served; what could run code is refused with a way out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import joblib
import numpy as np
import pytest
import skops.io
from scipy.stats import loguniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, TweedieRegressor
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, SplineTransformer
from sklearn.tree import ExtraTreeRegressor

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.runtimes import model_file
from services.model_server.trial import HarmfulFileError, in_child

RNG = np.random.default_rng(2)
ROWS = np.abs(RNG.normal(size=(90, 3))) + 0.1
CODED = np.column_stack([np.arange(90) % 4, ROWS[:, 1:]])
TWO = (ROWS[:, 0] > 0.8).astype(int)
VALUES = ROWS @ [1.0, 2.0, 3.0]
LOGISTIC = LogisticRegression()


@pytest.mark.parametrize(
    "model",
    [
        CalibratedClassifierCV(LOGISTIC, cv=2),
        CalibratedClassifierCV(LOGISTIC, cv=2, method="isotonic"),
        GaussianProcessClassifier(RBF(), optimizer=None),
        KNeighborsClassifier(3),
        KNeighborsClassifier(3, algorithm="ball_tree", metric="minkowski", p=3),
        KNeighborsClassifier(3, metric="manhattan", weights="distance"),
        RadiusNeighborsClassifier(5.0, metric="chebyshev"),
        MLPClassifier((3,), max_iter=3),
        MLPClassifier((3,), max_iter=3, solver="sgd"),
        OutputCodeClassifier(LOGISTIC, random_state=0),
        TunedThresholdClassifierCV(LOGISTIC, cv=2),
        GridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=ShuffleSplit(2, random_state=0), scoring="f1"),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]),
        # experimental: among scikit-learn's estimators only for those who ask for them after skops
        HalvingGridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=2),
        HalvingRandomSearchCV(LOGISTIC, {"C": [0.1, 1.0, 9.0]}, n_candidates=3, cv=2, random_state=0),
        *(
            make_pipeline(step, LogisticRegression())
            for step in (
                SimpleImputer(), KNNImputer(), IterativeImputer(ExtraTreeRegressor(max_depth=2)),
                KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"),
                SelectKBest(f_classif, k=2), SelectKBest(mutual_info_classif, k=2), SplineTransformer(),
                FunctionTransformer(np.log1p),
            )
        ),
    ],
    ids=lambda model: re.sub(r"\s+", "", repr(model))[:70],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_classifier_of_scikit_learn_s_own_parts(tmp_path: Path, model: Any) -> None:
    model.fit(CODED, TWO)
    skops.io.dump(model, tmp_path / "model.skops")
    answer = describe(tmp_path, "m", "v1", ["a", "b", "c"], CODED.tolist())
    assert answer["predictions"] == model.predict(CODED).tolist()


@pytest.mark.parametrize(
    "model",
    [
        GaussianProcessRegressor(Matern() + WhiteKernel(), optimizer=None),
        KNeighborsRegressor(3, algorithm="kd_tree", leaf_size=5),
        MLPRegressor(hidden_layer_sizes=(3,), max_iter=3),
        TweedieRegressor(power=0),
        TweedieRegressor(power=1.5),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_regressor_of_scikit_learn_s_own_parts(tmp_path: Path, model: Any) -> None:
    model.fit(ROWS, VALUES)
    skops.io.dump(model, tmp_path / "model.skops")
    answer = describe(tmp_path, "m", "v1", ["a", "b", "c"], ROWS.tolist())
    np.testing.assert_allclose(answer["predictions"], model.predict(ROWS), rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        # a function that runs code
        (os.system, "posix.system"),
        (np.testing.rundocs, "rundocs"),
        (partial(os.system, "true"), "posix.system"),
        # harmless by itself, but no part of scikit-learn keeps its arguments
        (partial(np.mean, axis=1), "it holds a function with bound arguments"),
    ],
)
def test_what_could_run_code_is_refused(tmp_path: Path, function: Any, says: str) -> None:
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(ROWS, TWO)
    # as it would stand in a forged file: it was never called here
    model.steps.insert(1, ("forged", FunctionTransformer(function)))
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(VersionError, match=says):
        describe(tmp_path, "m", "v1", ["a", "b", "c"], ROWS.tolist())


class _Own(LogisticRegression):
    pass


def test_a_search_over_distributions_is_refused_and_its_best_estimator_is_not(tmp_path: Path) -> None:
    search = RandomizedSearchCV(LOGISTIC, {"C": loguniform(0.1, 9)}, n_iter=2, cv=2, random_state=0)
    skops.io.dump(search.fit(ROWS, TWO), tmp_path / "model.skops")
    with pytest.raises(VersionError, match=r"scipy\.stats\..*; save the best_estimator_ of the search alone"):
        describe(tmp_path, "m", "v1", ["a", "b", "c"], ROWS.tolist())
    skops.io.dump(search.best_estimator_, tmp_path / "model.skops")
    answer = describe(tmp_path, "m", "v1", ["a", "b", "c"], ROWS.tolist())
    assert answer["predictions"] == search.predict(ROWS).tolist()


def test_the_advice_of_a_refusal_works(tmp_path: Path) -> None:
    model = _Own().fit(ROWS, TWO)
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(
        VersionError, match=r"not known to be safe .*_Own.* joblib as model\.joblib.*ALLOW_PICKLE"
    ):
        describe(tmp_path, "m", "v1", ["a", "b", "c"], ROWS.tolist())
    (tmp_path / "model.skops").unlink()
    joblib.dump(model, tmp_path / "model.joblib")
    answer = describe(tmp_path, "m", "v1", ["a", "b", "c"], ROWS.tolist(), ["m"])
    assert answer["predictions"] == model.predict(ROWS).tolist()


@pytest.mark.parametrize(
    ("algorithm", "written"),
    [
        ("ball_tree", str.encode),
        ("kd_tree", str.encode),
        # JSON has other ways to write a name
        ("kd_tree", lambda schema: re.sub("_(dist_m|kd)", r"\\u005f\1", schema).encode()),
        ("kd_tree", lambda schema: schema.encode("utf-16")),
    ],
)  # fmt: skip
def test_a_distance_whose_state_is_cut_short_ends_the_child_that_tries_it(
    tmp_path: Path, algorithm: str, written: Callable[[str], bytes]
) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump(KNeighborsClassifier(3, algorithm=algorithm).fit(ROWS, TWO), file)
    with ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"], object_hook=_cut_short)
    with ZipFile(file, "w") as archive:
        for name, content in (parts | {"schema.json": written(json.dumps(schema))}).items():
            archive.writestr(name, content)
    kind, path = model_file(tmp_path)
    # as the server and init do before they load it themselves
    with pytest.raises(HarmfulFileError, match=r"model\.skops: damaged, or made to do harm"):
        in_child(path, kind, partial(kind.describe, path))


def _cut_short(part: dict[str, Any]) -> dict[str, Any]:
    """A distance metric keeps three things; this one has none, and its C code looks for them all the same."""
    if part.get("__class__") == "EuclideanDistance64":
        part["content"]["content"] = []
    return part
