"""Models with several values per row: all are served by name, and one of them is what the gates are about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR, OneClassSVM

from contract.model_toml import read_model_toml, write_model_toml
from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.version import load_version

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(RNG.normal(size=(90, 3)), columns=["a", "b", "c"])
X = FRAME.to_numpy()
NUMBERS = np.column_stack([X[:, 0] * 2, X[:, 1] - X[:, 2]])
FLAGS = np.column_stack([X[:, 0] > 0, X[:, 1] > 0.5]).astype(int)
TEXTS = np.column_stack([np.where(FLAGS[:, 0], "yes", "no"), np.array(["s", "m", "l"])[FLAGS.sum(axis=1)]])
ALL = frozenset(["predict", "predict_0", "predict_1"])


def served(folder: Path, model: Any, output: str = "", **asked: Any) -> tuple[dict[str, Any], Any]:
    """What ``describe`` says of a model, and the version, with ``output`` as its chosen output."""
    if isinstance(model, bytes):
        (folder / "model.onnx").write_bytes(model)
    elif isinstance(model, str):
        (folder / "model.py").write_text(model, encoding="utf-8")
    elif isinstance(model, xgboost.XGBModel):
        model.save_model(folder / "model.ubj")
    else:
        joblib.dump(model, folder / "model.joblib")
    answer = describe(folder, "m", "v1", list(FRAME), X.tolist(), ("m",), **asked)
    if output:
        write_model_toml(folder, rewritten(folder, output))
    return answer, load_version(folder, ("m",))


def rewritten(folder: Path, output: str) -> Any:
    return replace(read_model_toml(folder), output=output)


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        RandomForestRegressor(3, random_state=0),
        MultiOutputRegressor(LinearSVR()),
        RegressorChain(LinearRegression()),
        make_pipeline(StandardScaler(), LinearRegression()),
        xgboost.XGBRegressor(n_estimators=3),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("output", ["", "predict_1"])
def test_a_regressor_s_values_are_all_served(tmp_path: Path, model: Any, output: str) -> None:
    expected = model.fit(X, NUMBERS).predict(X)
    answer, version = served(tmp_path, model, output)
    assert (answer["output"], answer["outputs"]) == ("predict_0", ["predict_0", "predict_1"])
    # written down, so that nobody has to guess which one the gates are about
    assert read_model_toml(tmp_path).output == (output or "predict_0")
    assert list(version.outputs) == ["predict", "predict_0", "predict_1"]
    assert {spec.shape for spec in version.outputs.values()} == {(-1,)}
    assert version.metadata()["parameters"]["output"] == (output or "predict_0")
    found = version.run(X, ALL)
    np.testing.assert_allclose(found["predict"], expected[:, 1 if output else 0], rtol=1e-12)
    for place in range(2):
        np.testing.assert_allclose(found[f"predict_{place}"], expected[:, place], rtol=1e-12)
        alone = version.run(X[:1], frozenset([f"predict_{place}"]))
        np.testing.assert_allclose(alone[f"predict_{place}"], expected[:1, place], rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        # probabilities: an array per output
        (RandomForestClassifier(3, random_state=0), FLAGS),
        (RandomForestClassifier(3, random_state=0), TEXTS),
        (MultiOutputClassifier(LogisticRegression()), TEXTS),
        (KNeighborsClassifier(), TEXTS),
        # one array: the probability that each is true
        (MLPClassifier((4,), max_iter=20, random_state=0), FLAGS),
        (ClassifierChain(LogisticRegression()), FLAGS),
        (xgboost.XGBClassifier(n_estimators=3), FLAGS),
    ],
    ids=["forest", "forest-text", "multi", "neighbours", "network", "chain", "xgboost"],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_classifier_s_labels_and_the_chosen_one_s_probabilities(
    tmp_path: Path, model: Any, labels: Any
) -> None:
    model.fit(X, labels)
    expected, probabilities = model.predict(X), model.predict_proba(X)
    for place in range(2):
        folder = tmp_path / str(place)
        folder.mkdir()
        _, version = served(folder, model, f"predict_{place}")
        found = version.run(X, ALL | {"predict_proba"})
        np.testing.assert_array_equal(found["predict"], expected[:, place])
        np.testing.assert_array_equal(found["predict_1"], expected[:, 1])
        of_it = (
            probabilities[place]
            if isinstance(probabilities, list)
            else np.column_stack([1 - probabilities[:, place], probabilities[:, place]])
        )
        np.testing.assert_allclose(found["predict_proba"], of_it, atol=1e-7)
        assert version.outputs["predict_proba"].shape == (-1, len(version.classes))
        # the classes are in the order of the probabilities
        assert set(version.classes) == set(labels[:, place].tolist())
        most = np.array(version.classes)[found["predict_proba"].argmax(axis=1)]
        assert (most == found["predict"]).mean() > 0.95


@pytest.mark.parametrize(
    "model",
    [
        IsolationForest(n_estimators=10, random_state=0),
        OneClassSVM(),
        LocalOutlierFactor(novelty=True),
        make_pipeline(StandardScaler(), IsolationForest(n_estimators=10, random_state=0)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_anomaly_detector_answers_with_its_labels_and_has_a_score(tmp_path: Path, model: Any) -> None:
    model.fit(X)
    answer, version = served(tmp_path, model)
    assert (answer["task"], version.classes) == ("classification", (-1, 1))
    found = version.run(X, frozenset(["predict", "decision_function"]))
    np.testing.assert_array_equal(found["predict"], model.predict(X))
    np.testing.assert_allclose(found["decision_function"], model.decision_function(X))
    assert set(found["predict"].tolist()) == {-1, 1}


def test_quantiles_have_their_levels_for_names(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(
        n_estimators=3, objective="reg:quantileerror", quantile_alpha=np.array([0.1, 0.9])
    ).fit(X, NUMBERS[:, 0])
    answer, version = served(tmp_path, model, "quantile_0.9")
    assert answer["outputs"] == ["quantile_0.1", "quantile_0.9"]
    found = version.run(X, frozenset(["predict"]))["predict"]
    np.testing.assert_allclose(found, model.predict(X)[:, 1], rtol=1e-6)


def test_catboost_s_uncertainty_and_quantiles(tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost", reason="the optional library catboost is not installed")
    settings = {"iterations": 4, "verbose": False, "thread_count": 1, "allow_writing_files": False}
    for loss, names in {
        "RMSEWithUncertainty": ["mean", "variance"],
        "MultiQuantile:alpha=0.1,0.9": ["quantile_0.1", "quantile_0.9"],
        "MultiRMSE": ["predict_0", "predict_1"],
    }.items():
        labels = NUMBERS if loss == "MultiRMSE" else NUMBERS[:, 0]
        model = catboost.CatBoostRegressor(loss_function=loss, **settings).fit(FRAME, labels)
        folder = tmp_path / loss.split(":")[0]
        folder.mkdir()
        model.save_model(folder / "model.cbm")
        answer = describe(folder, "m", "v1", list(FRAME), X.tolist())
        assert answer["outputs"] == names
        version = load_version(folder)
        for place, name in enumerate(names):
            found = version.run(X, frozenset([name]))[name]
            np.testing.assert_allclose(found, model.predict(FRAME)[:, place], rtol=1e-12)


def test_onnx_splits_its_first_output_where_model_toml_says_that_it_is_values(tmp_path: Path) -> None:
    model = LinearRegression().fit(X, NUMBERS)
    exported = to_onnx(model, X[:1].astype(np.float32)).SerializeToString()
    # the file does not tell scores of classes from values
    answer, _ = served(tmp_path, exported)
    assert answer["task"] == "classification"
    write_model_toml(tmp_path, replace(read_model_toml(tmp_path), task="regression", output="predict_1"))
    version = load_version(tmp_path)
    assert version.choices == ("predict_0", "predict_1")
    found = version.run(X, frozenset(["predict"]))["predict"]
    np.testing.assert_allclose(found, model.predict(X)[:, 1], rtol=1e-4, atol=1e-5)


PROGRAM = """
class Interval:
    task = "regression"

    def predict(self, frame):
        {body}
"""


@pytest.mark.parametrize(
    "body",
    [
        "return frame.assign(lower=frame.a - 1, price=frame.a, upper=frame.a + 1).iloc[:, 3:]",
        "return {'lower': frame.a - 1, 'price': frame.a, 'upper': frame.a + 1}",
    ],
    ids=["frame", "dict"],
)
def test_a_program_names_its_values_and_the_label_s_name_is_chosen(tmp_path: Path, body: str) -> None:
    answer, version = served(tmp_path, PROGRAM.format(body=body), label="price")
    assert (answer["output"], answer["outputs"]) == ("price", ["lower", "price", "upper"])
    assert list(version.outputs) == ["predict", "lower", "price", "upper"]
    np.testing.assert_allclose(answer["predictions"], FRAME.a)


@pytest.mark.parametrize(
    ("body", "output", "refusal"),
    [
        ("return frame[['a', 'b']]", "c", "output 'c' is no output of the model; choose a or b"),
        ("return frame.a", "c", "output 'c' is no output of the model; delete the key"),
        ("import numpy; return numpy.zeros((len(frame), 2, 2))", "", "one value, or one list of values"),
        ("return frame.assign(predict=frame.a)[['predict', 'b']]", "b", "names one of its values predict"),
        ("return frame.assign(d='x')[['a', 'd']].assign(e=[{}] * len(frame))", "", "type object"),
    ],
    ids=["unknown", "single", "cube", "taken", "objects"],
)
def test_what_is_no_output_is_refused_in_one_line(
    tmp_path: Path, body: str, output: str, refusal: str
) -> None:
    with pytest.raises(VersionError) as caught:
        served(tmp_path, PROGRAM.format(body=body), output)
    assert refusal in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_metadata_is_json(tmp_path: Path) -> None:
    _, version = served(tmp_path, MultiOutputClassifier(LogisticRegression()).fit(X, TEXTS))
    outputs = json.loads(json.dumps(version.metadata()))["outputs"]
    assert [(one["name"], one["datatype"]) for one in outputs] == [
        ("predict", "BYTES"),
        ("predict_proba", "FP64"),
        ("predict_0", "BYTES"),
        ("predict_1", "BYTES"),
    ]
