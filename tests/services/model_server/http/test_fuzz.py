"""Malformed infer bodies by the hundred: an answer or a 4xx with a reason, never a 5xx."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.model_server.http.app import create_app

VALID = {
    "id": "a",
    "parameters": {"binary_data_output": False},
    "inputs": [
        {"name": "features", "datatype": "FP64", "shape": [2, 4], "data": [[1, 2, 3, 4], [5.5, 6, 7, 8]]}
    ],
    "outputs": [{"name": "predict_proba", "parameters": {"binary_data": False}}, {"name": "predict"}],
}
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["features", "predict", "predict_proba", "FP64", "FP32", "BYTES", 1e308, -1])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def paths(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(found for key, value in items for found in paths(value, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The valid request with one to three of its places replaced, removed or doubled."""
    document: Any = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(document)))
        if not path:
            document = draw(VALUES)
            continue
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "remove", "double"]))
        if change == "replace":
            parent[path[-1]] = draw(VALUES)
        elif change == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
    return document


@pytest.fixture(scope="module")
def client(versions: Any) -> Any:
    return create_app(versions["text"], CollectorRegistry()).test_client()


def check(response: Any) -> None:
    if response.status_code == 200:
        return
    assert 400 <= response.status_code < 500
    assert list(response.json) == ["error"]
    assert "Traceback" not in response.text
    assert "\n" not in response.json["error"]


@given(document=mutated())
def test_mutated_requests(client: Any, document: Any) -> None:
    check(client.post("/v2/models/shop/infer", json=None, data=orjson.dumps(document)))


@given(
    raw=st.binary(max_size=200),
    cut=st.integers(0, 300),
    length=st.none() | st.integers(-5, 400).map(str) | st.text("0123456789 x-²", max_size=6),
    kind=st.sampled_from(["application/json", "application/octet-stream", "text/plain", ""]),
)
def test_mutated_bytes_and_headers(client: Any, raw: bytes, cut: int, length: str | None, kind: str) -> None:
    headers = {"content-type": kind}
    if length is not None:
        headers["inference-header-content-length"] = length
    data = orjson.dumps(VALID)[:cut] + raw
    check(client.post("/v2/models/shop/infer", data=data, headers=headers))


@given(document=VALUES | st.fixed_dictionaries({"id": st.just("a") | LEAVES, "label": VALUES}))
def test_feedback(client: Any, document: Any) -> None:
    assert client.post("/v2/models/shop/infer", data=orjson.dumps(VALID | {"outputs": []})).status_code == 200
    check(client.post("/v2/models/shop/feedback", data=orjson.dumps(document)))
