"""The short way over a request's columns reads what the long way reads, or leaves the request to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model_server.columns import Columns, concatenate, read_columns
from services.model_server.errors import RequestError
from services.model_server.plain_columns import plain_columns
from services.model_server.tensors import TensorSpec

WANTED = (
    TensorSpec("city", "BYTES", (-1,)),
    TensorSpec("age", "FP64", (-1,)),
    TensorSpec("visits", "INT64", (-1,)),
    TensorSpec("member", "BOOL", (-1,)),
)

ROW = st.tuples(
    st.none() | st.text(max_size=3),
    st.none() | st.floats(allow_nan=False) | st.integers(-(2**64), 2**64),
    st.none() | st.integers(-(2**63) - 1, 2**63),
    st.none() | st.booleans(),
)


def tensors(rows: list[Any], **changes: Any) -> list[dict[str, Any]]:
    cells = [list(column) for column in zip(*rows, strict=True)]
    return [
        {"name": spec.name, "datatype": spec.datatype, "shape": [len(data)], "data": data}
        | changes.get(spec.name, {})
        for spec, data in zip(WANTED, cells, strict=True)
    ]


def assert_same(one: Columns, other: Columns) -> None:
    assert list(one.arrays) == list(other.arrays)
    assert len(one) == len(other)
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype
        # by their text, so that -0.0 and NaN are compared too
        assert list(map(repr, array.tolist())) == list(map(repr, other.arrays[name].tolist()))


@given(st.lists(ROW, min_size=1, max_size=3))
def test_both_ways_read_the_same(rows: list[Any]) -> None:
    given_tensors = tensors(rows)
    plain = plain_columns(given_tensors, WANTED)
    if plain is not None:
        assert_same(plain, read_columns(given_tensors, WANTED, memoryview(b"")))


PLAIN = [("Köln", 1, -(2**63), True), (None, None, 2**63 - 1, False)]


def test_an_ordinary_request_goes_the_short_way() -> None:
    found = plain_columns(tensors(PLAIN, age={"shape": [2, 1]}), WANTED)
    assert found is not None
    assert_same(found, read_columns(tensors(PLAIN), WANTED, memoryview(b"")))
    assert [array.dtype.kind for array in found.arrays.values()] == ["O", "f", "i", "b"]


@pytest.mark.parametrize(
    "changes",
    [
        # wrong, or special: the long way says which
        {"city": {"name": "town"}},
        {"city": {"datatype": "FP64"}},
        {"city": {"data": "Kö"}},
        {"city": {"parameters": {"binary_data_size": 3}}},
        {"age": {"data": [1.0]}},
        {"age": {"data": [[1.0], [2.0]], "shape": [2, 1]}},
        {"age": {"data": [1.0, "2"]}},
        {"age": {"data": [1.0, True]}},
        {"age": {"data": [1.0, math.inf]}},
        {"age": {"data": [1.0, -math.inf]}},
        {"age": {"shape": [2, 2]}},
        {"age": {"shape": [3]}},
        {"age": {"shape": [2.0]}},
        {"age": {"shape": 2}},
        {"visits": {"data": [1, 2**63]}},
        {"visits": {"data": [1, -(2**63) - 1]}},
        {"visits": {"data": [1, None]}},
        {"member": {"data": [1, 0]}},
        {"member": {"data": [], "shape": [0]}},
    ],
)
def test_anything_else_goes_the_long_way(changes: Any) -> None:
    assert plain_columns(tensors(PLAIN, **changes), WANTED) is None


def test_true_is_no_number_of_rows() -> None:
    inputs = tensors(PLAIN[:1], age={"shape": [True]})
    assert plain_columns(inputs, WANTED) is None
    with pytest.raises(RequestError, match="shape must be a list of integers"):
        read_columns(inputs, WANTED, memoryview(b""))


def test_rows_are_put_together_and_taken_apart_whichever_way_they_came() -> None:
    long = read_columns(tensors(PLAIN), WANTED, memoryview(b""))
    short = plain_columns(tensors(PLAIN), WANTED)
    assert short is not None
    for parts in ([short, short], [short, long], [long, short]):
        joined = concatenate(parts)
        assert isinstance(joined, Columns)
        assert_same(joined, concatenate([long, long]))
        assert_same(joined[1:3], concatenate([long[1:], long[:1]]))
        assert list(map(repr, joined.cells[1])) == ["1.0", "nan", "1.0", "nan"]
    assert np.isnan(short.arrays["age"][1])
