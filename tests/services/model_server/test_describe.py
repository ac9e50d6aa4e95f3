"""A model file becomes a version folder, or is refused in one line."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from skops.io import dump

from contract.model_toml import read_model_toml
from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.features import have_fractions

ROWS = np.arange(24.0).reshape(8, 3)
LABELS = np.array(["cat", "dog"] * 4)
COLUMNS = ["a", "b", "c"]


def classifier():
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)


def with_names():
    model = classifier()
    # what fitting on a data frame leaves behind
    model[0].feature_names_in_ = np.array(["c", "a", "b"], dtype=object)
    return model


def regressor():
    return LinearRegression().fit(ROWS, ROWS[:, 0] * 2)


def as_skops(model):
    return lambda folder: dump(model, folder / "model.skops")


def as_onnx(model, initial=None, rows=None, **options):
    initial = initial or [("x", FloatTensorType([rows, 3]))]
    graph = to_onnx(model, initial_types=initial, options=options or None)
    return lambda folder: (folder / "model.onnx").write_bytes(graph.SerializeToString())


def two_tensors():
    encoder = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(LABELS.reshape(-1, 1), LABELS)
    return as_onnx(encoder, [("kind", StringTensorType([None, 1]))])


def described(folder: Path, save, **given):
    save(folder)
    columns = given.get("columns", COLUMNS)
    rows = np.resize(ROWS.T, (len(columns), len(ROWS))).T.tolist()
    asked = {"name": "mine", "version": "v1", "columns": columns, "rows": rows} | given
    return describe(folder, **asked)


@pytest.mark.parametrize(
    ("save", "task", "datatype"),
    [
        (as_skops(classifier()), "classification", "FP64"),
        (as_skops(regressor()), "regression", "FP64"),
        # skl2onnx's default: probabilities as a sequence of maps
        (as_onnx(classifier()), "classification", "FP32"),
        (as_onnx(classifier(), zipmap=False), "classification", "FP32"),
        (as_onnx(regressor()), "regression", "FP32"),
    ],
    ids=["skops", "skops-regression", "zipmap", "no-zipmap", "onnx-regression"],
)
def test_a_model_that_says_enough_of_itself(tmp_path, save, task, datatype):
    answer = described(tmp_path, save)
    assert (answer["wrote"], answer["task"], answer["columns"]) == (True, task, COLUMNS)
    if task == "classification":
        assert set(answer["predictions"]) <= {"cat", "dog"}
    else:
        assert answer["predictions"] == pytest.approx(ROWS[:, 0] * 2, abs=1e-4)
    written = read_model_toml(tmp_path)
    assert (written.name, written.version, written.task) == ("mine", "v1", task)
    assert (written.input.datatype, written.input.shape) == (datatype, (-1, 3))
    # what a person changed stays
    assert described(tmp_path, lambda _: None)["wrote"] is False


@pytest.mark.parametrize(
    ("save", "classes"),
    [
        (as_skops(classifier()), ["cat", "dog"]),
        # an ONNX file names them, or its labels show in which order they stand
        (as_onnx(classifier()), ["cat", "dog"]),
        (as_onnx(classifier(), zipmap=False), ["cat", "dog"]),
        # margins of a hyperplane are no probabilities
        (as_skops(LinearSVC().fit(ROWS, classifier().predict(ROWS))), []),
    ],
)
def test_the_classes_of_what_are_probabilities(tmp_path, save, classes):
    assert described(tmp_path, save)["classes"] == classes


def test_features_go_by_the_models_own_names_and_others_are_left_out(tmp_path):
    columns = ["id", *COLUMNS]
    rows = np.column_stack([np.full(8, 99.0), ROWS])
    answer = described(tmp_path, as_skops(with_names()), columns=columns, rows=rows.tolist())
    assert answer["columns"] == ["c", "a", "b"]
    expected = classifier().predict(ROWS[:, [2, 0, 1]])
    assert answer["predictions"] == expected.tolist()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0", "1"], False),
        # classes may be written as numbers with a point
        (["0.0", "1.0"], False),
        (["0.5", "1"], True),
        (np.array([1.0, 2.25]), True),
        # a missing answer tells nothing
        ([float("nan"), 1.0], False),
        # a word makes them classes, wherever it stands
        (["yes", "0.5"], False),
        (["0.5", "yes"], False),
        ([None, 1.5], True),
        ([None, [1.5]], False),
    ],
)
def test_numbers_with_fractions_are_no_classes(cells, values):
    assert have_fractions(cells) is values


@pytest.mark.parametrize(
    ("save", "given", "says"),
    [
        (
            lambda _: None,
            {},
            "needs exactly one of .*model.joblib, MLmodel, model.py; there is none",
        ),
        (lambda f: (f / "model.skops").write_bytes(b"no"), {}, "model.skops: not readable by skops"),
        (lambda f: (f / "model.onnx").write_bytes(b"no"), {}, "model.onnx: not readable by ONNX Runtime"),
        (lambda f: joblib.dump(classifier(), f / "model.joblib"), {}, "ALLOW_PICKLE=mine in the environment"),
        (
            as_skops(KMeans(2, n_init=1).fit(ROWS)),
            {},
            "a KMeans is no classifier, regressor or anomaly detector",
        ),
        (as_skops(classifier()), {"columns": [*COLUMNS, "id"]}, "takes 3 features, .* 4 .*with --ignore"),
        (as_skops(with_names()), {"columns": ["a", "b"]}, "the evaluation set has no column c"),
        # exported for one row at a time, as PyTorch does unless it is told
        (as_onnx(regressor(), rows=1), {}, "takes exactly 1 row"),
        (two_tensors(), {}, "takes 1 feature, the evaluation set has 3 columns"),
    ],
    ids=["none", "no-skops", "no-onnx", "pickle", "clusters", "more", "fewer", "one-row", "text"],
)
def test_what_cannot_be_served_is_one_line_and_leaves_no_file(tmp_path, save, given, says):
    with pytest.raises(VersionError, match=says) as caught:
        described(tmp_path, save, **given)
    assert "\n" not in str(caught.value)
    assert not {"model.toml", "examples.parquet"} & {path.name for path in tmp_path.iterdir()}


def test_a_pickle_that_is_allowed(tmp_path):
    answer = described(
        tmp_path, lambda f: joblib.dump(classifier(), f / "model.joblib"), allow_pickle=["mine"]
    )
    assert answer["wrote"]
