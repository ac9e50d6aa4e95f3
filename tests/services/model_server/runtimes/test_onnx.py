"""ONNX versions. Their models, of one linear node, are written field by field: no exporter is needed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.model_server.errors import VersionError
from services.model_server.version import load_version

FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def _attribute(name: str, values: list[float] | list[str] | int) -> bytes:
    # AttributeProto: name 1, i 3, floats 7, strings 9, type 20
    if isinstance(values, int):
        content = _number(3, values) + _number(20, 2)
    elif values and isinstance(values[0], str):
        content = b"".join(_block(9, str(value)) for value in values) + _number(20, 8)
    else:
        floats = b"".join(struct.pack("<f", value) for value in values)
        content = _block(7, floats) + _number(20, 6)
    return _block(5, _block(1, name) + content)


def _value(name: str, kind: int, sizes: list[int | None]) -> bytes:
    # ValueInfoProto: name 1, type 2 > tensor_type 1 > (elem_type 1, shape 2 > dim 1 > dim_value 1)
    dims = b"".join(_block(1, _number(1, size) if size else _block(2, "n")) for size in sizes)
    return _block(1, name) + _block(2, _block(1, _number(1, kind) + _block(2, dims)))


def _model(
    operator: str, attributes: bytes, outputs: list[tuple[str, int, list[int | None]]], n: int
) -> bytes:
    node = _block(1, "x") + b"".join(_block(2, name) for name, _, _ in outputs) + _block(4, operator)
    graph = _block(1, node + attributes + _block(7, "ai.onnx.ml")) + _block(2, "g")
    graph += _block(11, _value("x", FLOAT, [None, n]))
    graph += b"".join(_block(12, _value(*output)) for output in outputs)
    opsets = _block(8, _block(1, "") + _number(2, 15)) + _block(8, _block(1, "ai.onnx.ml") + _number(2, 1))
    return _number(1, 8) + _block(7, graph) + opsets


def linear_classifier(coefficients: list[list[float]], intercepts: list[float], labels: list[str]) -> bytes:
    """Labels and probabilities (softmax) of a linear model with text labels; takes FP32."""
    attributes = (
        _attribute("coefficients", [value for row in coefficients for value in row])
        + _attribute("intercepts", intercepts)
        + _attribute("classlabels_strings", labels)
        + _block(5, _block(1, "post_transform") + _block(4, "SOFTMAX") + _number(20, 3))
    )
    outputs: list[tuple[str, int, list[int | None]]] = [
        ("label", STRING, [None]),
        ("probabilities", FLOAT, [None, len(labels)]),
    ]
    return _model("LinearClassifier", attributes, outputs, len(coefficients[0]))


def linear_regressor(coefficients: list[float], intercept: float) -> bytes:
    """The value of a linear model; takes FP32."""
    attributes = (
        _attribute("coefficients", coefficients)
        + _attribute("intercepts", [intercept])
        + _attribute("targets", 1)
    )
    return _model("LinearRegressor", attributes, [("variable", FLOAT, [None, 1])], len(coefficients))


def onnx_of(model: Any) -> bytes:
    return linear_classifier(model.coef_.tolist(), model.intercept_.tolist(), model.classes_.tolist())


def test_a_classifier_answers_as_the_original(
    tmp_path: Path, models: Any, rows: np.ndarray, save: Any
) -> None:
    version = load_version(save(tmp_path, onnx_of(models["text"]), file="model.onnx"))
    assert version.platform == "onnxruntime_onnx"
    assert [(o.name, o.datatype, o.shape) for o in version.outputs.values()] == [
        ("predict", "BYTES", (-1,)),
        ("predict_proba", "FP64", (-1, 3)),
    ]
    results = version.run(rows, frozenset(["predict", "predict_proba"]))
    assert results["predict"].tolist() == models["text"].predict(rows).tolist()
    np.testing.assert_allclose(results["predict_proba"], models["text"].predict_proba(rows), atol=1e-6)
    assert results["predict_proba"].dtype == np.float64


def test_a_regressor_answers_as_the_original(
    tmp_path: Path, models: Any, rows: np.ndarray, save: Any
) -> None:
    model = models["regression"]
    raw = linear_regressor(model.coef_.tolist(), float(model.intercept_))
    version = load_version(save(tmp_path, raw, file="model.onnx", task="regression"))
    predicted = version.run(rows, frozenset(["predict"]))["predict"]
    assert (predicted.shape, predicted.dtype) == ((len(rows),), np.float64)
    np.testing.assert_allclose(predicted, model.predict(rows), atol=1e-5)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        # a label where a value is needed
        (
            "regression",
            {},
            "first output 'label' is a tensor(string); a regression needs one of tensor(float)",
        ),
        # another number of features
        (
            "classification",
            {"inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 5]}]},
            "shape says 5 features, the model takes 4",
        ),
        # integers where the model takes floats
        (
            "classification",
            {"inputs": [{"name": "features", "datatype": "INT64", "shape": [-1, 4]}]},
            "takes tensor(float), model.toml says INT64",
        ),
    ],
)
def test_what_does_not_fit_model_toml(
    tmp_path: Path, models: Any, save: Any, task: str, changes: dict[str, Any], message: str
) -> None:
    folder = save(tmp_path, onnx_of(models["text"]), file="model.onnx", task=task, **changes)
    with pytest.raises(VersionError) as caught:
        load_version(folder)
    assert message in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path, save: Any) -> None:
    with pytest.raises(VersionError, match=r"model\.onnx: not readable by ONNX Runtime .*export it again"):
        load_version(save(tmp_path, b"not onnx", file="model.onnx"))
