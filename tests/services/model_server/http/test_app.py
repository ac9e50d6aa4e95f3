"""The protocol, request by request, through Flask's test client."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.model_server.categories import Categories
from services.model_server.http.app import create_app

INFER = "/v2/models/shop/infer"
JSON = {"content-type": "application/json"}


def tensor(**changes: Any) -> dict[str, Any]:
    given = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [0.5, 1, -2, 3.25]}
    return {key: value for key, value in (given | changes).items() if value is not ...}


def body(**changes: Any) -> dict[str, Any]:
    return {"inputs": [tensor()]} | changes


def post(client: Any, document: Any, headers: dict[str, str] | None = None, path: str = INFER) -> Any:
    data = document if isinstance(document, bytes) else orjson.dumps(document)
    return client.post(path, data=data, headers=JSON | (headers or {}))


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        # server metadata, with and without the slash
        ("/v2", {"name": "loadproof-model-server", "version": "0.1.0", "extensions": ["binary_tensor_data"]}),
        (
            "/v2/",
            {"name": "loadproof-model-server", "version": "0.1.0", "extensions": ["binary_tensor_data"]},
        ),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/shop/ready", {"name": "shop", "ready": True}),
        ("/v2/models/shop/versions/v1/ready", {"name": "shop", "ready": True}),
    ],
)
def test_gets(client: Any, path: str, answer: dict[str, Any]) -> None:
    response = client.get(path)
    assert (response.status_code, response.json) == (200, answer)


@pytest.mark.parametrize(
    ("categories", "document"),
    [
        (
            Categories({2: ["a", 7]}, "missing"),
            {"columns": None, "known": [[2, ["a", 7]]], "unknown": "missing"},
        ),
        (None, None),
    ],
)
def test_categories(versions: Any, categories: Any, document: Any) -> None:
    app = create_app(replace(versions["text"], categories=categories), CollectorRegistry())
    assert app.test_client().get("/categories").json == document


@pytest.mark.parametrize("path", ["/v2/models/shop", "/v2/models/shop/versions/v1"])
def test_metadata(client: Any, path: str) -> None:
    assert client.get(path).json == {
        "name": "shop",
        "versions": ["v1"],
        "platform": "sklearn",
        "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [
            {"name": "predict", "datatype": "BYTES", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "ranking", "datatype": "BYTES", "shape": [-1, -1]},
        ],
        "parameters": {
            "task": "classification",
            "description": "",
            "runner": "numpy",
            "reason": "a linear model gains nothing from ONNX",
            "classes": ["hat", "shoe", "Übergröße"],
        },
    }


@pytest.mark.parametrize(
    ("kind", "datatype"), [("text", "BYTES"), ("int", "INT64"), ("bool", "BOOL"), ("regression", "FP64")]
)
@pytest.mark.parametrize("nested", [False, True])
def test_predictions_are_the_models(
    kind: str, datatype: str, nested: bool, versions: Any, models: Any, rows: np.ndarray
) -> None:
    client = create_app(versions[kind], CollectorRegistry()).test_client()
    chosen = rows[:7]
    data = chosen.tolist() if nested else chosen.ravel().tolist()
    answer = post(client, {"inputs": [tensor(shape=[7, 4], data=data)]}).json
    assert answer["outputs"] == [
        {"name": "predict", "datatype": datatype, "shape": [7], "data": answer["outputs"][0]["data"]}
    ]
    assert answer["outputs"][0]["data"] == models[kind].predict(chosen).tolist()
    assert (answer["model_name"], answer["model_version"]) == ("shop", "v1")


def test_outputs_come_as_asked(client: Any, models: Any, rows: np.ndarray) -> None:
    outputs = [{"name": "predict_proba"}, {"name": "predict"}]
    answer = post(client, {"inputs": [tensor(shape=[2, 4], data=rows[:2].tolist())], "outputs": outputs}).json
    assert [output["name"] for output in answer["outputs"]] == ["predict_proba", "predict"]
    proba = np.reshape(answer["outputs"][0]["data"], answer["outputs"][0]["shape"])
    np.testing.assert_array_equal(proba, models["text"].predict_proba(rows[:2]))


@pytest.mark.parametrize(
    ("given", "header", "answer_id", "answer_header"),
    [
        # the body's id is the answer's; the header keeps its own
        ("a", "b", "a", "b"),
        # without an id in the body the header's counts
        (None, "b", "b", "b"),
        ("", "b", "b", "b"),
        # a header too long to keep is replaced
        ("a", "b" * 257, "a", None),
        ("a", None, "a", None),
        (None, None, None, None),
    ],
)
def test_ids(
    client: Any, given: str | None, header: str | None, answer_id: str | None, answer_header: str | None
) -> None:
    document = body() if given is None else body(id=given)
    response = post(client, document, {"x-request-id": header} if header else {})
    made = response.headers["x-request-id"]
    assert made == answer_header if answer_header else len(made) == 32
    assert response.json["id"] == (answer_id or made)


BINARY = {"binary_data_size": 32}
RAW = struct.pack("<4d", 0.5, 1, -2, 3.25)


def test_a_malformed_body_gets_its_reason(client: Any) -> None:
    response = post(client, {"inputs": [tensor(shape=[2, 4])]})
    assert (response.status_code, response.json) == (
        400,
        {"error": "input 'features': data holds 4 values, shape [2, 4] needs 8"},
    )


def test_an_answer_that_json_cannot_carry_is_the_inputs_fault(client: Any) -> None:
    huge = tensor(data=[1e308, 1e308, -1e308, 1e308])
    response = post(client, body(inputs=[huge], outputs=[{"name": "predict_proba"}]))
    assert response.status_code == 400
    assert "output 'predict_proba' is not finite" in response.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "message"),
    [
        # unknown things
        ("POST", "/v2/models/other/infer", {}, 404, "unknown model 'other'; this server has 'shop'"),
        ("POST", "/v2/models/shop/versions/v9/infer", {}, 404, "unknown version 'v9'"),
        ("GET", "/v2/models/other", {}, 404, "unknown model"),
        ("GET", "/v2/models/shop/versions/2/ready", {}, 404, "unknown version"),
        ("POST", "/v2/models/other/feedback", {}, 404, "unknown model"),
        ("GET", "/v3", {}, 404, "not found"),
        # wrong methods
        ("GET", INFER, {}, 405, "not allowed"),
        ("POST", "/v2/models/shop", {}, 405, "not allowed"),
        ("DELETE", "/v2/health/ready", {}, 405, "not allowed"),
        # bodies that are not understood
        ("POST", INFER, {"content-type": "text/csv"}, 415, "content type 'text/csv' is not supported"),
        ("POST", INFER, {"content-type": "application/octet-stream"}, 415, "Inference-Header-Content-Length"),
        ("POST", INFER, {"content-encoding": "gzip"}, 415, "compressed"),
        ("POST", INFER, {"inference-header-content-length": "x"}, 400, "must be a number of bytes"),
        ("POST", INFER, {"inference-header-content-length": "9" * 30}, 400, "must be a number of bytes"),
        ("POST", INFER, {"inference-header-content-length": "99999"}, 400, "the body has"),
        ("POST", INFER, {"inference-header-content-length": "5"}, 400, "not JSON"),
    ],
)
def test_other_refusals(
    client: Any, method: str, path: str, headers: dict[str, str], status: int, message: str
) -> None:
    response = client.open(path, method=method, data=orjson.dumps(body()), headers=JSON | headers)
    assert response.status_code == status
    assert message in response.json["error"]


def test_405_names_the_method(client: Any) -> None:
    assert "POST" in client.get(INFER).headers["allow"]


def test_too_large_bodies_get_413(client: Any) -> None:
    rows = [[1.0, 2.0, 3.0, 4.0]] * 2000
    response = post(client, {"inputs": [tensor(shape=[2000, 4], data=rows)]})
    assert response.status_code == 413
    assert response.json["error"] == "the body is larger than 20000 bytes; send fewer rows at a time"


def test_no_content_type_is_json(client: Any) -> None:
    assert client.post(INFER, data=orjson.dumps(body())).status_code == 200


@pytest.mark.parametrize("whole", [False, True], ids=["per output", "for the whole request"])
def test_binary_extension(client: Any, models: Any, whole: bool) -> None:
    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    document = body(inputs=[tensor(data=..., parameters=BINARY)], outputs=outputs)
    if whole:
        document["parameters"] = {"binary_data_output": True}
    else:
        outputs[0]["parameters"] = {"binary_data": True}  # type: ignore[assignment]
    head = orjson.dumps(document)
    response = post(
        client,
        head + RAW,
        {
            "inference-header-content-length": str(len(head)),
            "content-type": "application/octet-stream",
        },
    )
    size = int(response.headers["inference-header-content-length"])
    answer, raw = orjson.loads(response.data[:size]), response.data[size:]
    row = np.frombuffer(RAW, "<f8").reshape(1, 4)
    label = models["text"].predict(row)[0].encode()
    assert raw[: 4 + len(label)] == struct.pack("<I", len(label)) + label
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 4 + len(label)}
    rest = raw[4 + len(label) :]
    proba = np.frombuffer(rest, "<f8") if whole else answer["outputs"][1]["data"]
    np.testing.assert_array_equal(proba, models["text"].predict_proba(row)[0])


def test_not_ready_while_stopping(versions: Any, registry: CollectorRegistry) -> None:
    client = create_app(versions["text"], registry, is_ready=lambda: False).test_client()
    for path in ("/v2/health/ready", "/v2/models/shop/ready"):
        response = client.get(path)
        assert (response.status_code, response.json["ready"]) == (503, False)
    # what still comes is answered
    assert client.get("/v2/health/live").status_code == 200
    assert post(client, body()).status_code == 200


def test_a_failing_model_is_a_500_without_its_traceback(
    versions: Any, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(rows: Any, outputs: Any) -> Any:
        raise RuntimeError("a secret path")

    client = create_app(replace(versions["text"], run=fail), registry).test_client()
    response = post(client, body(), {"x-request-id": "r1"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "r1")
    assert "secret" not in response.text
    assert "r1" in caplog.text
    assert "secret" in caplog.text
