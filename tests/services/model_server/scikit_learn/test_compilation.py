"""Compiled models answer as the original does: on random rows, at thresholds, and where two classes tie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prometheus_client import CollectorRegistry
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from services.model_server.http.app import create_app
from services.model_server.scikit_learn import compilation
from services.model_server.scikit_learn.compilation import MARGIN, TOLERANCE, CompiledEstimator, NotCompiled
from services.model_server.scikit_learn.estimator import Estimator
from services.model_server.scikit_learn.sample_rows import sample_rows
from services.model_server.tensors import TensorSpec
from services.model_server.version import load_version

RNG = np.random.default_rng(11)
ROWS = RNG.normal(size=(400, 4)) * [1, 10, 0.01, 1000]
SPEC = TensorSpec("features", "FP64", (-1, 4))
TWO = ROWS[:, 0] + ROWS[:, 1] / 10 > 0
FOUR = np.array(["a", "bb", "ccc", "Ü"])[(ROWS / ROWS.std(axis=0)).argmax(axis=1)]
NUMBER = ROWS @ [1.0, -2.0, 5.0, 0.003]
NETWORK = MLPClassifier((8,), tol=9.0, random_state=0)  # a few steps are enough


class Fitted(Mapping[str, Any]):
    """Models by name, each of which is fitted when it is first asked for."""

    def __init__(self, models: dict[str, tuple[Any, Any]]) -> None:
        self._models = models
        self._fitted: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._fitted:
            model, target = self._models[name]
            self._fitted[name] = model.fit(ROWS, target)
        return self._fitted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


COMPILED = Fitted(
    {
        "forest": (RandomForestClassifier(20, random_state=0), FOUR),
        "forest of two": (RandomForestClassifier(16, random_state=0), TWO),
        "extra trees": (ExtraTreesClassifier(20, random_state=0), FOUR),
        "tree": (DecisionTreeClassifier(random_state=0), TWO.astype(int)),
        "boosting": (GradientBoostingClassifier(n_estimators=12, random_state=0), TWO),
        "boosting of four": (GradientBoostingClassifier(n_estimators=8, random_state=0), FOUR),
        "network": (make_pipeline(StandardScaler(), NETWORK), FOUR),
        "bag": (
            make_pipeline(StandardScaler(), BaggingClassifier(NETWORK, n_estimators=3, random_state=0)),
            TWO,
        ),
    }
)
NUMERIC = Fitted(
    {
        "forest": (RandomForestRegressor(20, random_state=0), NUMBER),
        "boosting": (GradientBoostingRegressor(n_estimators=12, random_state=0), NUMBER),
        "network": (make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), tol=1e9)), NUMBER),
    }
)


def compiled(model: Any, task: str = "classification") -> tuple[Estimator, CompiledEstimator]:
    original = Estimator(model, Path("model.skops"), task, SPEC)
    return original, CompiledEstimator(model, original, lambda: sample_rows(model, SPEC))


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[Estimator, CompiledEstimator]]:
    return {name: compiled(model) for name, model in COMPILED.items()}


BOTH = frozenset(["predict", "predict_proba"])


def assert_same(pair: tuple[Estimator, CompiledEstimator], rows: Any) -> None:
    wanted, got = (runtime.run(rows, BOTH) for runtime in pair)
    np.testing.assert_array_equal(got["predict"], wanted["predict"])
    assert np.abs(got["predict_proba"] - wanted["predict_proba"]).max() <= TOLERANCE


@pytest.mark.parametrize("name", COMPILED)
def test_thousands_of_rows_at_the_thresholds(pairs: Any, name: str) -> None:
    # another draw than the one that was checked when it was compiled
    rows = sample_rows(COMPILED[name], SPEC, rows=6000)
    assert_same(pairs[name], rows)
    assert_same(pairs[name], np.nextafter(rows, np.inf))
    assert_same(pairs[name], rows.astype(np.float32).astype(float))


VALUES = st.one_of(
    st.floats(-1e4, 1e4),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-38, 1e38, -1e300, 1e300]),
    st.deferred(
        lambda: st.sampled_from(
            np.unique(np.concatenate([e.tree_.threshold for e in COMPILED["forest"].estimators_]))
        )
    ),
)


@given(rows=arrays(float, st.tuples(st.integers(1, 9), st.just(4)), elements=VALUES))
@pytest.mark.parametrize("name", [name for name in COMPILED if name not in ("network", "bag")])
def test_any_rows(pairs: Any, name: str, rows: Any) -> None:
    assert_same(pairs[name], rows)


@pytest.mark.parametrize("name", NUMERIC)
def test_values_of_a_regression(name: str) -> None:
    original, fast = compiled(NUMERIC[name], "regression")
    rows = sample_rows(NUMERIC[name], SPEC, rows=4000)
    wanted, got = (runtime.run(rows, frozenset(["predict"]))["predict"] for runtime in (original, fast))
    assert (np.abs(got - wanted) <= TOLERANCE * np.maximum(1, np.abs(wanted))).all()


def test_a_row_that_is_close_gets_the_originals_answer(pairs: Any) -> None:
    """An even forest ties exactly, and rounding would decide."""
    original, fast = pairs["forest of two"]
    rows = sample_rows(original.model, SPEC, rows=20_000)
    wanted = original.run(rows, BOTH)
    close = np.abs(np.diff(wanted["predict_proba"])[:, 0]) < MARGIN / 2
    assert close.sum() > 20
    got = fast.run(rows, BOTH)
    np.testing.assert_array_equal(got["predict_proba"][close], wanted["predict_proba"][close])
    np.testing.assert_array_equal(got["predict"], wanted["predict"])


def test_a_row_gets_the_same_answer_alone_and_with_others(pairs: Any) -> None:
    rows = sample_rows(COMPILED["forest"], SPEC, rows=200)
    together = pairs["forest"][1].run(rows, BOTH)
    for at in range(200):
        alone = pairs["forest"][1].run(rows[at : at + 1], BOTH)
        assert alone["predict"][0] == together["predict"][at]
        assert np.abs(alone["predict_proba"][0] - together["predict_proba"][at]).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        # its thresholds are compared in double precision
        (HistGradientBoostingClassifier(max_iter=3), "HistGradientBoostingClassifier is not among the kinds"),
        # the scaler's rounding decides at thresholds
        (
            make_pipeline(StandardScaler(), RandomForestClassifier(3)),
            "pipeline of StandardScaler, Ra",
        ),
        (BaggingClassifier(DecisionTreeClassifier(), n_estimators=2), "BaggingClassifier is not among"),
        (AdaBoostClassifier(n_estimators=2), "AdaBoostClassifier is not among"),
        (GaussianNB(), "GaussianNB is not among"),
        (
            GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()),
            "starts from a model of its",
        ),
    ],
    ids=lambda part: type(part).__name__,
)
def test_other_kinds_are_not_compiled(model: Any, reason: str) -> None:
    with pytest.raises(NotCompiled, match=reason):
        compiled(model.fit(ROWS, TWO))


def test_a_large_ensemble_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "MAX_NODES", 10)
    with pytest.raises(NotCompiled, match="nodes are more than the 10 that are converted"):
        compiled(COMPILED["forest"])


def test_one_that_disagrees_is_not_used() -> None:
    """The original's numbers are those of another model: the check must see it."""
    model = RandomForestClassifier(5, random_state=0).fit(ROWS, TWO)
    original = Estimator(model, Path("model.skops"), "classification", SPEC)
    forest = RandomForestClassifier(5, random_state=1).fit(ROWS, TWO)
    other = Estimator(forest, Path("x"), "classification", SPEC)
    original.run = other.run  # type: ignore[method-assign]
    with pytest.raises(NotCompiled, match=r"other labels|off by"):
        CompiledEstimator(model, original, lambda: sample_rows(model, SPEC))


@pytest.mark.parametrize(
    ("model", "manifest", "allowed", "runner", "reason"),
    [
        ("int", {}, True, "onnxruntime", "labels equal scikit-learn's, numbers within 1e-06"),
        # switched off, by whoever starts the server or by whoever made the version
        ("int", {}, False, "numpy", "compilation is switched off"),
        ("int", {"compile": False}, True, "numpy", "compilation is switched off"),
        ("text", {}, True, "numpy", "a linear model gains nothing from ONNX"),
        (
            "bool",
            {},
            True,
            "scikit-learn",
            "a HistGradientBoostingClassifier is not among the kinds",
        ),
    ],
)
def test_what_runs_a_version_is_told(
    tmp_path: Path, models: Any, save: Any, model: str, manifest: Any, allowed: bool, runner: str, reason: str
) -> None:
    version = load_version(save(tmp_path, models[model], **manifest), compilation=allowed)
    assert (version.runner, version.platform) == (runner, "sklearn")
    assert version.reason.startswith(reason)
    registry = CollectorRegistry()
    client = create_app(version, registry).test_client()
    told = client.get("/v2/models/shop").json["parameters"]
    assert (told["runner"], told["reason"]) == (runner, version.reason)
    labels = {"version": "v1", "runner": runner, "reason": version.reason}
    assert registry.get_sample_value("loadproof_model_compiled", labels) == (runner == "onnxruntime")


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64", "INT32"])
def test_sample_rows_are_of_the_inputs_type_and_always_the_same(datatype: str) -> None:
    spec = TensorSpec("features", datatype, (-1, 4))
    rows = sample_rows(COMPILED["forest"], spec)
    assert (rows.dtype, rows.shape) == (spec.dtype, (512, 4))
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(rows, sample_rows(COMPILED["forest"], spec))


def test_sample_rows_lie_at_the_thresholds() -> None:
    rows = sample_rows(COMPILED["forest"], SPEC)
    for feature in range(4):
        at = [e.tree_.threshold[e.tree_.feature == feature] for e in COMPILED["forest"].estimators_]
        assert np.isin(rows[:, feature], np.concatenate(at)).sum() > 20
