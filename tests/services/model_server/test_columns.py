"""Named columns on the wire: what is read is what was sent, and what is wrong is named."""

from __future__ import annotations

import struct
import threading
import time
from typing import Any

import numpy as np
import orjson
import pytest

from services.model_server.columns import Columns, concatenate
from services.model_server.errors import RequestError
from services.model_server.http.batching import Batcher
from services.model_server.http.protocol import parse
from services.model_server.tensors import TensorSpec

FAR = time.monotonic() + 3600
WANTED = (
    TensorSpec("city", "BYTES", (-1,)),
    TensorSpec("age", "FP64", (-1,)),
    TensorSpec("visits", "INT64", (-1,)),
    TensorSpec("member", "BOOL", (-1,)),
)
OUTPUTS = {"predict": TensorSpec("predict", "BYTES", (-1,))}
CELLS: dict[str, list[Any]] = {
    "city": ["Köln", "", 'a "b"\n'],
    "age": [1, 2.5, -0.0],
    "visits": [0, 2**53 + 1, -(2**63)],
    "member": [True, False, True],
}


def tensors(cells: dict[str, list[Any]] = CELLS, **changes: Any) -> list[dict[str, Any]]:
    """One per column; ``city={"shape": [3, 1]}`` changes that column's."""
    datatypes = {spec.name: spec.datatype for spec in WANTED}
    return [
        {"name": name, "datatype": datatypes[name], "shape": [len(data)], "data": data}
        | changes.get(name, {})
        for name, data in cells.items()
    ]


def read(inputs: Any, binary: bytes = b"") -> dict[str, list[Any]]:
    head = orjson.dumps({"inputs": inputs})
    rows = parse(head + binary, len(head) if binary else None, WANTED, OUTPUTS).rows
    assert isinstance(rows, Columns)
    return {name: array.tolist() for name, array in rows.arrays.items()}


def raw(cells: dict[str, list[Any]]) -> tuple[list[dict[str, Any]], bytes]:
    """The columns in the binary extension, by the format's own words rather than the server's code."""
    parts = {
        "city": b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in cells["city"]),
        "age": struct.pack(f"<{len(cells['age'])}d", *cells["age"]),
        "visits": struct.pack(f"<{len(cells['visits'])}q", *cells["visits"]),
        "member": struct.pack(f"<{len(cells['member'])}?", *cells["member"]),
    }
    inputs = tensors(cells)
    for tensor in inputs:
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": len(parts[tensor["name"]])}
    return inputs, b"".join(parts[tensor["name"]] for tensor in inputs)


def test_every_cell_arrives_as_it_was_sent() -> None:
    assert read(tensors()) == CELLS
    # any order of tensors, the model's order of columns
    assert list(read(tensors()[::-1])) == list(CELLS)
    assert read(*raw(CELLS)) == CELLS
    # the shape [n, 1], flat and nested
    nested = [[text] for text in CELLS["city"]]
    assert read(tensors(city={"shape": [3, 1]}, age={"shape": [3, 1]})) == CELLS
    assert read(tensors(city={"shape": [3, 1], "data": nested})) == CELLS


def test_null_is_a_missing_cell() -> None:
    cells = {name: [data[0], None] for name, data in CELLS.items()}
    found = read(tensors(cells))
    assert (found["city"], found["member"]) == (["Köln", None], [True, None])
    # as pandas has it: an integer column with gaps is float64
    for name, first in (("age", 1.0), ("visits", 0.0)):
        assert found[name][0] == first
        assert np.isnan(found[name][1])
    # a column of nothing but gaps
    assert read(tensors({**CELLS, "city": [None] * 3}))["city"] == [None] * 3


def test_nan_is_a_missing_cell_in_the_binary_extension() -> None:
    inputs, binary = raw(CELLS | {"age": [1.0, float("nan"), 2.0]})
    assert np.isnan(read(inputs, binary)["age"]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (tensors()[:3], "inputs lack 'member'"),
        ([*tensors(), tensors()[0]], "input 'city' is there twice"),
        ([*tensors(), {"name": "more"}], "unknown input 'more'; this version takes 'city', 'age'"),
        ([*tensors()[1:], {"name": ["city"]}], "unknown input ['city']"),
        (3, "inputs must be a list with 4 tensors"),
        (tensors(city={"datatype": "FP64"}), "'city': datatype must be BYTES"),
        (tensors(age={"datatype": "FP32"}), "'age': datatype must be FP64"),
        (tensors(age={"shape": [3, 2]}), "'age': shape [3, 2] does not fit [-1]"),
        (tensors(age={"shape": [0], "data": []}), "'age': shape [0] holds no rows"),
        (tensors(age={"shape": None}), "'age': shape must be a list of integers"),
        (tensors(age={"shape": [2]}), "'age': data holds 3 values, shape [2] needs 2"),
        (tensors(age={"shape": [2], "data": [1, 2]}), "the inputs differ in their rows: {'city': 3, 'age'"),
        (tensors(age={"data": "x"}), "'age': data must be a list"),
        (tensors(city={"shape": [3, 1], "data": [["a"], ["b", "c"], ["d"]]}), "'city': nested data does"),
        # no value is turned into another type's
        (tensors(city={"data": ["a", "b", 1]}), "'city': data must hold BYTES values only: text or null"),
        (tensors(age={"data": [1, "2", 3]}), "'age': data must hold FP64 values only"),
        (tensors(age={"data": [1, True, 3]}), "'age': data must hold FP64 values only"),
        (tensors(visits={"data": [1, 2.0, 3]}), "'visits': data must hold INT64 values only"),
        (tensors(visits={"data": [1, 2, 2**63]}), "'visits': a value does not fit INT64"),
        (tensors(member={"data": [0, 1, 1]}), "'member': data must hold BOOL values only"),
        # it would be rounded: a float64 is what pandas makes of such a column
        (tensors(visits={"data": [None, 2, 2**53 + 1]}), "'visits': an integer beyond 2^53 would change"),
        (tensors(age={"parameters": 3}), "'age': parameters must be an object"),
        (tensors(age={"parameters": {"binary_data_size": 24}}), "'age': give data or binary_data_size"),
    ],
)  # fmt: skip
def test_a_wrong_request_names_the_column(inputs: Any, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(inputs)
    assert (caught.value.status, says in str(caught.value)) == (400, True), str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda inputs, binary: (inputs, binary[:-1]), "'member': binary_data_size is 3, 2 bytes are left"),
        (lambda inputs, binary: (inputs, binary + b"x"), "1 bytes follow the JSON that no input claims"),
        (lambda inputs, binary: (inputs, binary[:-1] + b"\x02"), "'member': a byte of BOOL is 0 or 1"),
        # the length of the first text: beyond the tensor, and short of it
        (
            lambda inputs, binary: (inputs, b"\xff\xff\xff\xff" + binary[4:]),
            "'city': its binary data ends within",
        ),
        (lambda inputs, binary: (inputs, b"\x00" + binary[1:]), "'city': "),
        # ö becomes half of itself
        (
            lambda inputs, binary: (inputs, binary.replace(b"\xc3\xb6", b"\xc3\xc3")),
            "'city': a text is not UTF-8",
        ),
        (
            lambda inputs, binary: (
                inputs,
                binary.replace(struct.pack("<d", 2.5), struct.pack("<d", np.inf)),
            ),
            "'age': data must be FP64 numbers or missing, without infinity",
        ),
        (
            lambda inputs, binary: (
                [i | {"shape": [2]} if i["name"] == "age" else i for i in inputs],
                binary,
            ),
            "'age': 24 bytes of binary data, shape [2] of FP64 needs 16",
        ),
    ],
)
def test_wrong_binary_data_names_the_column(change: Any, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(*change(*raw(CELLS)))
    assert (caught.value.status, says in str(caught.value)) == (400, True), str(caught.value)


def columns(**cells: list[Any]) -> Columns:
    return Columns({name: np.array(data) for name, data in cells.items()})


def test_rows_are_put_together_column_by_column() -> None:
    found = concatenate([columns(a=[1, 2], b=["x", "y"]), columns(a=[3], b=["z"])])
    assert isinstance(found, Columns)
    assert (found.arrays["a"].tolist(), found.arrays["b"].tolist(), len(found)) == (
        [1, 2, 3],
        ["x", "y", "z"],
        3,
    )
    assert len(found[1:]) == 2
    with pytest.raises(TypeError, match="'a' differs in its type"):
        concatenate([columns(a=[1]), columns(a=[1.5])])


def test_a_request_with_a_gap_does_not_change_the_type_of_anothers_cells() -> None:
    """Integers stay integers in a batch with a request whose column has a gap and is float64 for that."""
    entered, go = threading.Event(), threading.Event()
    seen: list[str] = []

    def run(rows: Any, _: frozenset[str]) -> dict[str, Any]:
        if not seen:
            entered.set()
            assert go.wait(60)
        seen.append(str(rows.arrays["a"].dtype))
        return {"predict": rows.arrays["a"]}

    batcher = Batcher(run, max_rows=100, max_queue=10)
    answers: dict[int, Any] = {}

    def submit(number: int, cells: list[Any]) -> None:
        answers[number] = batcher.submit(columns(a=cells), frozenset(["predict"]), FAR)["predict"]

    threads = [threading.Thread(target=lambda: batcher.submit(columns(a=[0]), frozenset(["predict"]), FAR))]
    threads[0].start()
    assert entered.wait(60)
    threads += [threading.Thread(target=submit, args=pair) for pair in enumerate(([1], [2.5], [3]))]
    for number, thread in enumerate(threads[1:], 1):
        thread.start()
        while batcher.depth < number:
            threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join(60)
    assert {number: answer.dtype.kind for number, answer in answers.items()} == {0: "i", 1: "f", 2: "i"}
