"""ONNX models as exporters write them: several inputs, text, pictures, maps, scores, other outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import IsolationForest, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from services.model_server.columns import Columns
from services.model_server.describe import describe
from services.model_server.errors import RequestError, VersionError
from services.model_server.version import load_version

RNG = np.random.default_rng(3)
ROWS = 90
FRAME = pd.DataFrame(
    {
        "age": RNG.normal(40, 9, ROWS).astype(np.float32).astype(float),
        "visits": RNG.integers(0, 9, ROWS),
        "city": pd.Series(RNG.choice(["Rome", "Bern", "Übach"], ROWS), dtype=object),
    }
)
NUMBERS = FRAME[["age", "visits"]].to_numpy(np.float32)
LABELS = np.where((FRAME.visits > 4) ^ (FRAME.city == "Rome"), "buys", "leaves")


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    return [[None if pd.isna(c) else c for c in row] for row in frame.astype(object).to_numpy().tolist()]


def served(folder: Path, model: Any, frame: pd.DataFrame) -> tuple[dict[str, Any], Any]:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return describe(folder, "m", "v1", list(frame), cells(frame)), load_version(folder)


def mixed() -> tuple[Any, Any]:
    steps = make_column_transformer((StandardScaler(), ["age", "visits"]), (OneHotEncoder(), ["city"]))
    pipeline = make_pipeline(steps, LogisticRegression()).fit(FRAME, LABELS)
    types = [
        ("age", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])),
        ("city", StringTensorType([None, 1])),
    ]
    return pipeline, types


@pytest.mark.parametrize("zipmap", [False, True, "columns"], ids=["tensor", "maps", "columns"])
def test_a_pipeline_over_mixed_columns(tmp_path: Path, zipmap: Any) -> None:
    pipeline, types = mixed()
    model = to_onnx(pipeline, initial_types=types, options={id(pipeline): {"zipmap": zipmap}})
    # its columns are found by name
    answer, version = served(tmp_path, model, FRAME[["city", "age", "visits"]])
    assert answer["columns"] == ["age", "visits", "city"]
    assert answer["predictions"] == pipeline.predict(FRAME).tolist()
    assert [spec.datatype for spec in version.input] == ["FP64", "INT64", "BYTES"]
    if zipmap == "columns":
        # an output for each class
        assert [name[-4:] for name in version.outputs] == ["dict", "buys", "aves"]
    else:
        assert list(version.outputs) == ["predict", "predict_proba"]
        found = version.run(version.example, frozenset(["predict_proba"]))["predict_proba"]
        np.testing.assert_allclose(found, pipeline.predict_proba(FRAME[:1]), atol=1e-6)
    # maps name the classes, which a tensor does not
    assert version.classes == (("buys", "leaves") if zipmap is True else None)


def test_two_blocks_of_columns_are_taken_in_their_order(tmp_path: Path) -> None:
    steps = make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(), [2]))
    pipeline = make_pipeline(steps, LogisticRegression()).fit(FRAME.to_numpy(), LABELS)
    types = [("numbers", FloatTensorType([None, 2])), ("texts", StringTensorType([None, 1]))]
    model = to_onnx(pipeline, initial_types=types, options={"zipmap": False})
    answer, _ = served(tmp_path, model, FRAME)
    assert answer["predictions"] == pipeline.predict(FRAME.to_numpy()).tolist()


def test_gaps_are_nan_in_a_matrix_of_floats(tmp_path: Path) -> None:
    gaps = FRAME[["age", "visits"]].assign(age=FRAME.age.where(FRAME.age > 35))
    imputed = make_pipeline(SimpleImputer(), LogisticRegression()).fit(gaps.to_numpy(np.float32), LABELS)
    model = to_onnx(imputed, NUMBERS[:1], options={"zipmap": False})
    answer, _ = served(tmp_path, model, gaps)
    assert answer["predictions"] == imputed.predict(gaps.to_numpy(np.float32)).tolist()


def graph(inputs: list[Any], outputs: list[Any], *nodes: Any, constants: tuple[Any, ...] = ()) -> Any:
    made = helper.make_graph(list(nodes), "g", inputs, outputs, list(constants))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tensor(name: str, sizes: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, sizes)


def picture_net() -> tuple[Any, np.ndarray]:
    weights = RNG.normal(size=(3, 1, 2, 2)).astype(np.float32)
    return graph(
        [tensor("picture", ["n", 1, 2, 2])],
        [tensor("scores", ["n", 3])],
        helper.make_node("Conv", ["picture", "w"], ["maps"]),
        helper.make_node("Flatten", ["maps"], ["scores"]),
        constants=(helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel()),),
    ), weights.reshape(3, 4)


@pytest.mark.parametrize("shape", [[-1, 4], [-1, 1, 2, 2]])
def test_a_picture_is_a_row_of_features_and_the_highest_score_is_the_label(
    tmp_path: Path, shape: list[int]
) -> None:
    model, weights = picture_net()
    pictures = pd.DataFrame(RNG.normal(size=(9, 4)).astype(np.float32).astype(float), columns=list("abcd"))
    answer, version = served(tmp_path, model, pictures)
    scores = pictures.to_numpy() @ weights.T
    assert answer["predictions"] == scores.argmax(axis=1).tolist()
    assert any("predict is the place, from 0, of the highest of 'scores'" in note for note in answer["notes"])
    toml = tmp_path / "model.toml"
    toml.write_text(toml.read_text().replace("[-1, 4]", str(shape)), encoding="utf-8")
    version = load_version(tmp_path)
    results = version.run(pictures.to_numpy().reshape(-1, *shape[1:]), frozenset(["scores", "predict_proba"]))
    for name in ("scores", "predict_proba"):
        np.testing.assert_allclose(results[name], scores, atol=1e-5)
        assert version.outputs[name].shape == (-1, 3)
    assert version.classes == (0, 1, 2)


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (["0.5", "1.25"], "regression"),
        # counts, of which there are more than scores
        (["0", "1", "17"], "regression"),
        (["0", "2"], "classification"),
        # names of classes
        (["cat", "dog"], "classification"),
        # a set without labels
        ([], "classification"),
    ],
)
def test_the_labels_tell_values_from_scores_of_classes(tmp_path: Path, labels: list[str], task: str) -> None:
    model, weights = picture_net()
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    rows = RNG.normal(size=(5, 4)).astype(np.float32).astype(float)
    answer = describe(tmp_path, "m", "v1", list("abcd"), rows.tolist(), labels=labels)
    assert answer["task"] == task
    if task == "regression":
        assert answer["outputs"] == ["predict_0", "predict_1", "predict_2"]
        np.testing.assert_allclose(answer["predictions"], (rows @ weights.T)[:, 0], atol=1e-5)


def test_a_line_of_rows_is_one_feature(tmp_path: Path) -> None:
    model = graph([tensor("x", ["n"])], [tensor("y", ["n"])], helper.make_node("Add", ["x", "x"], ["y"]))
    answer, _ = served(tmp_path, model, pd.DataFrame({"a": [1.5, 2.0]}))
    assert (answer["task"], answer["predictions"]) == ("regression", [3.0, 4.0])


def test_anomaly_labels_and_their_scores(tmp_path: Path) -> None:
    forest = IsolationForest(n_estimators=10, random_state=0).fit(NUMBERS)
    model = to_onnx(forest, NUMBERS[:1], target_opset={"": 15, "ai.onnx.ml": 3})
    answer, version = served(tmp_path, model, FRAME[["age", "visits"]])
    assert answer["predictions"] == forest.predict(NUMBERS).tolist()
    assert set(answer["predictions"]) == {-1, 1}
    assert list(version.outputs) == ["predict", "scores"]
    found = version.run(NUMBERS.astype(float), frozenset(["scores"]))["scores"]
    np.testing.assert_allclose(found[:, 0], forest.decision_function(NUMBERS), atol=1e-5)


def test_whole_numbers_are_not_made_of_fractions(tmp_path: Path) -> None:
    """Case 11 of the issue's: the exporter saw whole numbers, the data has fractions."""
    forest = RandomForestRegressor(3, random_state=0).fit(NUMBERS, FRAME.visits)
    model = to_onnx(forest, initial_types=[("x", Int64TensorType([None, 2]))])
    whole = pd.DataFrame({"age": [41.0, 17.0], "visits": [3, 4]})
    answer, _ = served(tmp_path, model, whole)
    np.testing.assert_allclose(answer["predictions"], forest.predict(whole.to_numpy()), rtol=1e-6)
    (tmp_path / "model.toml").unlink()
    with pytest.raises(VersionError, match=r"takes INT64, and 'age' has 41\.5; export it with an input of"):
        served(tmp_path, model, whole.assign(age=[41.0, 41.5]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"age": [41.0], "visits": [1.5], "city": ["Rome"]},
            "'visits' is int64, the column 'visits' is FP64",
        ),
        ({"age": [41.0], "visits": [1], "city": [3]}, "'city' is text, the column 'city' is INT64"),
        ({"age": [41.0], "visits": [1]}, "the evaluation set has no column city"),
        (
            {"age": [41.0, 2.0], "visits": [1, 2], "city": ["Rome", None]},
            "takes no missing cell in 'city', .* row 2",
        ),
    ],
)
def test_columns_that_the_inputs_cannot_hold(tmp_path: Path, changes: Any, message: str) -> None:
    pipeline, types = mixed()
    model = to_onnx(pipeline, initial_types=types, options={"zipmap": False})
    with pytest.raises(VersionError, match=message):
        served(tmp_path, model, pd.DataFrame(changes))


def test_a_missing_text_is_the_client_s_error(tmp_path: Path) -> None:
    pipeline, types = mixed()
    _, version = served(tmp_path, to_onnx(pipeline, initial_types=types), FRAME)
    rows = {"age": np.array([1.0]), "visits": np.array([2]), "city": np.array([None])}
    with pytest.raises(RequestError, match="input 'city': a cell is missing") as caught:
        version.run(Columns(rows), frozenset(["predict"]))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("x", [])], r"'x' is a tensor\(float\) of shape \[\]; export it with tensors"),
        ([tensor("x", [1, 3])], "'x' takes exactly 1 row"),
        (
            [tensor("x", ["n", "k"]), tensor("z", ["n", 1])],
            "how wide is not in the file; export it with fixed",
        ),
    ],
)
def test_inputs_without_rows_or_sizes(tmp_path: Path, inputs: list[Any], message: str) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model = graph(inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], node)
    with pytest.raises(VersionError, match=message):
        served(tmp_path, model, FRAME[["age"]])
