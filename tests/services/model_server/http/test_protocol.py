"""Infer bodies that are wrong, each with the reason that its sender reads."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest

from services.model_server.errors import RequestError
from services.model_server.http.protocol import MOST_LISTS, parse
from services.model_server.tensors import TensorSpec

INPUT = TensorSpec("features", "FP64", (-1, 4))
OUTPUTS = {
    "predict": TensorSpec("predict", "BYTES", (-1,)),
    "predict_proba": TensorSpec("predict_proba", "FP64", (-1, 3)),
}
BINARY = {"binary_data_size": 32}
RAW = struct.pack("<4d", 0.5, 1, -2, 3.25)


def tensor(**changes: Any) -> dict[str, Any]:
    given = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [0.5, 1, -2, 3.25]}
    return {key: value for key, value in (given | changes).items() if value is not ...}


def body(**changes: Any) -> dict[str, Any]:
    return {"inputs": [tensor()]} | changes


BAD_BODIES = [
    # not JSON, or not an object
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b"[" * 10_000, "not JSON"),
    (b'{"inputs": [{"name": "features", "shape": [1, 4], "data": [NaN, 1, 2, 3]}]}', "not JSON"),
    ([], "must be a JSON object"),
    (None, "must be a JSON object"),
    # ids
    (body(id=7), "id must be a string"),
    (body(id="x" * 257), "id must be a string"),
    # inputs
    ({}, "inputs must be a list"),
    ({"inputs": {}}, "inputs must be a list"),
    ({"inputs": []}, "inputs must be exactly ['features']"),
    ({"inputs": [1]}, "inputs must be a list"),
    ({"inputs": [tensor(name="x")]}, "inputs must be exactly ['features'], got ['x']"),
    ({"inputs": [tensor(name=...)]}, "inputs must be exactly"),
    ({"inputs": [tensor(), tensor()]}, "inputs must be exactly"),
    # datatype
    ({"inputs": [tensor(datatype="FP32")]}, "datatype must be FP64, got 'FP32'"),
    ({"inputs": [tensor(datatype=...)]}, "datatype must be FP64, got None"),
    ({"inputs": [tensor(datatype=[])]}, "datatype must be FP64"),
    # shape
    ({"inputs": [tensor(shape=...)]}, "shape must be a list of integers such as [-1, 4]"),
    ({"inputs": [tensor(shape=[1.0, 4])]}, "shape must be a list of integers"),
    ({"inputs": [tensor(shape=[True, 4])]}, "shape must be a list of integers"),
    ({"inputs": [tensor(shape=[4])]}, "shape [4] does not fit [-1, 4]"),
    ({"inputs": [tensor(shape=[1, 3], data=[1, 2, 3])]}, "does not fit"),
    ({"inputs": [tensor(shape=[1, 1, 4])]}, "does not fit"),
    ({"inputs": [tensor(shape=[0, 4], data=[])]}, "holds no rows"),
    ({"inputs": [tensor(shape=[-1, 4])]}, "holds no rows"),
    ({"inputs": [tensor(shape=[2, 4])]}, "data holds 4 values, shape [2, 4] needs 8"),
    ({"inputs": [tensor(shape=[10**15, 4])]}, "data holds 4 values"),
    # data
    ({"inputs": [tensor(data=...)]}, "data must be a list"),
    ({"inputs": [tensor(data="abcd")]}, "data must be a list"),
    ({"inputs": [tensor(data=[])]}, "data holds 0 values"),
    ({"inputs": [tensor(data=[1, 2, None, 3])]}, "data must hold FP64 numbers only"),
    ({"inputs": [tensor(data=[1, 2, "3", 3])]}, "data must hold FP64 numbers only"),
    ({"inputs": [tensor(data=[1, 2, True, 3])]}, "data must hold FP64 numbers only"),
    ({"inputs": [tensor(data=[1, 2, [3], 3])]}, "data must hold FP64 numbers only"),
    ({"inputs": [tensor(data=[1, 2, {}, 3])]}, "data must hold FP64 numbers only"),
    ({"inputs": [tensor(data=[[1, 2], [3, 4]])]}, "nested data does not have shape [1, 4]"),
    ({"inputs": [tensor(shape=[2, 4], data=[[1, 2, 3, 4], [1, 2, 3]])]}, "nested data does not have shape"),
    ({"inputs": [tensor(data=[[[1], 2, 3, 4]])]}, "data must hold FP64 numbers only"),
    # outputs
    (body(outputs={}), "outputs must be a list"),
    (body(outputs=["predict"]), "outputs must be a list"),
    (body(outputs=[{}]), "unknown output None; this version has predict, predict_proba"),
    (body(outputs=[{"name": ["predict"]}]), "unknown output ['predict']"),
    (body(outputs=[{"name": "logits"}]), "unknown output 'logits'"),
    (body(outputs=[{"name": "predict"}, {"name": "predict"}]), "asked for twice"),
    (body(outputs=[{"name": "predict", "parameters": {"binary_data": 1}}]), "binary_data must be true or"),
    # parameters
    (body(parameters=3), "parameters must be an object"),
    ({"inputs": [tensor(parameters=[])]}, "parameters must be an object"),
    # the binary extension without its bytes
    ({"inputs": [tensor(data=..., parameters=BINARY)]}, "binary_data_size is 32, 0 bytes follow"),
    ({"inputs": [tensor(parameters=BINARY)]}, "give data or binary_data_size, not both"),
]


@pytest.mark.parametrize(("document", "message"), BAD_BODIES)
def test_malformed_bodies(document: Any, message: str) -> None:
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    with pytest.raises(RequestError) as caught:
        parse(raw, None, INPUT, OUTPUTS)
    assert caught.value.status == 400
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "data", "message"),
    [
        ("INT64", [1, 2.5, 3, 4], "must hold INT64 numbers only"),
        ("INT64", [1, 2, 3, 2**63], "a value does not fit INT64"),
        ("INT32", [1, 2, 3, 2**31], "a value does not fit INT32"),
        ("FP32", [1, 2, 3, 1e39], "must be finite FP32 numbers"),
    ],
)
def test_values_that_do_not_fit_their_datatype(datatype: str, data: list[float], message: str) -> None:
    document = {"inputs": [tensor(datatype=datatype, data=data)]}
    with pytest.raises(RequestError) as caught:
        parse(orjson.dumps(document), None, TensorSpec("features", datatype, (-1, 4)), OUTPUTS)
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6, 7, 8], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]])
def test_flat_and_nested_data_are_the_same(data: Any) -> None:
    document = {"inputs": [tensor(shape=[2, 2, 2], data=data)]}
    rows = parse(orjson.dumps(document), None, TensorSpec("features", "FP64", (-1, 2, 2)), OUTPUTS).rows
    np.testing.assert_array_equal(rows, np.arange(1.0, 9).reshape(2, 2, 2))


@pytest.mark.parametrize(
    ("raw", "size", "message"),
    [
        # the size does not say what follows
        (RAW, 31, "binary_data_size is 31, 32 bytes follow"),
        (RAW, "32", "binary_data_size is '32', 32 bytes follow"),
        # the size does not fit the shape
        (RAW[:24], 24, "24 bytes of binary data, shape [1, 4] of FP64 needs 32"),
        (struct.pack("<4d", 1, 2, float("nan"), 4), 32, "must be finite"),
        # bytes that belong to nobody
        (RAW, ..., "32 bytes follow the JSON that no input claims"),
    ],
)
def test_malformed_binary_bodies(raw: bytes, size: Any, message: str) -> None:
    part = tensor() if size is ... else tensor(data=..., parameters={"binary_data_size": size})
    head = orjson.dumps({"inputs": [part]})
    with pytest.raises(RequestError) as caught:
        parse(head + raw, len(head), INPUT, OUTPUTS)
    assert caught.value.status == 400
    assert message in str(caught.value)


# an empty list is three bytes of a body, and 90 of the memory; a header says how much of it is JSON
@pytest.mark.parametrize("length", [None, 3 * MOST_LISTS + 12])
def test_a_body_of_nothing_but_lists_is_not_parsed(length: int | None) -> None:
    raw = b'{"inputs":[' + b",".join([b"[]"] * MOST_LISTS) + b"]}"
    with pytest.raises(RequestError, match="more than 262144 lists and objects") as caught:
        parse(raw, length, INPUT, OUTPUTS)
    assert caught.value.status == 413


def test_brackets_in_tensors_are_no_lists() -> None:
    rows = MOST_LISTS // 16
    given = {"inputs": [tensor(data=..., shape=[rows, 4], parameters={"binary_data_size": 32 * rows})]}
    head = orjson.dumps(given)
    # 0x5b5b...: a number like any other
    found = parse(head + b"[" * 32 * rows, len(head), INPUT, OUTPUTS)
    assert len(found.rows) == rows
