"""The short way gives what Flask's own route gives: status, headers and body, whatever is asked."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from werkzeug.test import Client

from services.model_server.http.app import create_app, in_front_of
from services.model_server.http.inference import Settings

INFER = "/v2/models/shop/infer"
ID = {"x-request-id": "one"}
BINARY = {"content-type": "application/octet-stream", "inference-header-content-length": "135"}


def body(**changes: Any) -> bytes:
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [0.5, 1, -2, 3.25]} | changes
    return orjson.dumps({"inputs": [tensor]})


@pytest.fixture(scope="module")
def both(versions: Any) -> tuple[Client, Client, list[CollectorRegistry]]:
    """A client of the short way, one of Flask alone, and their registries."""
    registries = [CollectorRegistry(), CollectorRegistry()]
    apps = [create_app(versions["text"], registry, Settings(max_body=20_000)) for registry in registries]
    return (
        Client(in_front_of(apps[0], apps[0].extensions["inference"], versions["text"])),
        Client(apps[1]),
        registries,
    )


def ask(client: Client, method: str, path: str, data: bytes, headers: dict[str, str]) -> Any:
    answer = client.open(path, method=method, data=data, headers=headers)
    return answer.status_code, sorted((key.lower(), value) for key, value in answer.headers), answer.data


CASES = [
    # what the short way is for
    ("POST", INFER, body(), ID),
    ("POST", INFER, body(), ID | {"content-type": "application/json; charset=utf-8"}),
    ("POST", "/v2/models/shop/versions/v1/infer", body(shape=[2, 4], data=[1, 2, 3, 4, 5, 6, 7, 8]), ID),
    ("POST", INFER + "?trace=1", body(), ID),
    ("POST", INFER, orjson.dumps({"id": "mine", "inputs": [orjson.loads(body())["inputs"][0]]}), ID),
    # other spellings of the address
    ("POST", INFER + "/", body(), ID),
    ("POST", "//v2/models/shop/infer", body(), ID),
    ("POST", "/v2/models/sho%70/infer", body(), ID),
    ("POST", "/v2/models/Shop/infer", body(), ID),
    ("POST", "/v2/models/shop/versions/v2/infer", body(), ID),
    ("POST", "/v2/models/other/infer", body(), ID),
    ("POST", "/v2/models//infer", body(), ID),
    # other methods
    *((method, INFER, b"", ID) for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH")),
    # bodies that are wrong
    ("POST", INFER, b"", ID),
    ("POST", INFER, b"{", ID),
    ("POST", INFER, b"[]", ID),
    ("POST", INFER, b"\xff\xfe", ID),
    ("POST", INFER, b"x" * 30_000, ID),
    ("POST", INFER, body(datatype="FP32"), ID),
    ("POST", INFER, body(shape=[1, 3]), ID),
    ("POST", INFER, body(data=[1, 2, 3]), ID),
    ("POST", INFER, body(data=[1, 2, 3, "4"]), ID),
    ("POST", INFER, body().replace(b"3.25", b"1e999"), ID),
    # headers that are wrong
    ("POST", INFER, body(), ID | {"content-type": "text/plain"}),
    ("POST", INFER, body(), ID | {"content-encoding": "gzip"}),
    ("POST", INFER, body(), ID | BINARY | {"inference-header-content-length": "-1"}),
    ("POST", INFER, body(), ID | BINARY | {"inference-header-content-length": "99999"}),
    ("POST", INFER, body(), ID | {"x-envoy-expected-rq-timeout-ms": "never"}),
    # everything that is not an infer request
    *(("GET", path, b"", {}) for path in ("/v2", "/v2/models/shop", "/v2/health/ready", "/nothing")),
    ("POST", "/v2/models/shop/feedback", b'{"id": "none", "label": 1}', {}),
]


@pytest.mark.parametrize(("method", "path", "data", "headers"), CASES)
def test_the_same_answer_either_way(
    both: Any, method: str, path: str, data: bytes, headers: dict[str, str]
) -> None:
    assert ask(both[0], method, path, data, headers) == ask(both[1], method, path, data, headers)


@given(
    cut=st.integers(0, 120),
    patch=st.binary(max_size=3),
    content_type=st.sampled_from(["application/json", "", "application/octet-stream", "a/b"]),
    length=st.sampled_from([None, "0", "64", "x"]),
)
def test_the_same_answer_to_broken_bytes(
    both: Any, cut: int, patch: bytes, content_type: str, length: str | None
) -> None:
    data = body()[:cut] + patch + body()[cut + len(patch) :]
    headers = ID | {"content-type": content_type}
    if length is not None:
        headers["inference-header-content-length"] = length
    assert ask(both[0], "POST", INFER, data, headers) == ask(both[1], "POST", INFER, data, headers)


def test_both_ways_count_alike(both: Any) -> None:
    def counts(registry: CollectorRegistry) -> dict[Any, float]:
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name in ("loadproof_requests_total", "loadproof_predictions_total")
            or sample.name.endswith(("duration_seconds_count", "in_flight"))
        }

    for case in CASES:
        ask(both[0], *case)
        ask(both[1], *case)
    assert counts(both[2][0]) == counts(both[2][1])


def test_an_id_is_made_where_there_is_none(both: Any) -> None:
    answer = both[0].post(INFER, data=body())
    assert len(answer.headers["x-request-id"]) == 32
    assert orjson.loads(answer.data)["id"] == answer.headers["x-request-id"]
