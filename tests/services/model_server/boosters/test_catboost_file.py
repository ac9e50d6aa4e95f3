"""CatBoost's files: honest ones of every kind of tree pass, one number that does not fit is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.model_server.boosters.catboost_file import check_catboost
from services.model_server.boosters.flatbuffer import Table

catboost = pytest.importorskip("catboost", reason="the optional library catboost is not installed")

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=200),
        "c": RNG.choice(list("abcdefgh"), 200),
        "b": RNG.normal(size=200),
        "d": RNG.choice([f"s{n}" for n in range(40)], 200),
    }
)
NUMBERS = FRAME[["a", "b"]]
LABELS = np.arange(200) % 3
CORE = 8
"""Where the first part begins."""


def saved(path: Any, rows: pd.DataFrame, labels: Any, *, regressor: bool = False, **more: Any) -> bytes:
    kind = catboost.CatBoostRegressor if regressor else catboost.CatBoostClassifier
    settings = {"iterations": 3, "depth": 3, "verbose": False, "allow_writing_files": False} | more
    names = [name for name in "cd" if name in rows]
    texts = ["t"] if "t" in rows else None
    model = kind(thread_count=1, **settings).fit(rows, labels, cat_features=names, text_features=texts)
    model.save_model(str(path / "model.cbm"))
    data: bytes = (path / "model.cbm").read_bytes()
    return data


@pytest.fixture(scope="module")
def plain(tmp_path_factory: Any) -> bytes:
    return saved(tmp_path_factory.mktemp("plain"), NUMBERS, LABELS)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: Any) -> bytes:
    return saved(tmp_path_factory.mktemp("deep"), NUMBERS, LABELS, grow_policy="Depthwise")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: Any) -> bytes:
    kinds = ["Borders", "Buckets", "BinarizedTargetMeanValue", "Counter"]
    folder = tmp_path_factory.mktemp("tables")
    return saved(folder, FRAME, LABELS, simple_ctr=kinds, combinations_ctr=kinds)


@pytest.mark.parametrize(
    ("rows", "labels", "more"),
    [
        (NUMBERS, LABELS == 1, {}),
        (NUMBERS, FRAME.a, {"regressor": True, "border_count": 1000}),
        (NUMBERS, FRAME.a, {"regressor": True, "loss_function": "RMSEWithUncertainty"}),
        (NUMBERS, FRAME.a, {"regressor": True, "grow_policy": "Lossguide"}),
        (FRAME, LABELS == 1, {"one_hot_max_size": 255}),
        (FRAME, LABELS, {"max_ctr_complexity": 3}),
        (FRAME, LABELS == 1, {"ignored_features": [0, 1]}),
        (FRAME.assign(t=FRAME.c + " " + FRAME.d), LABELS == 1, {}),
    ],
)
def test_honest_files_pass(tmp_path: Any, rows: Any, labels: Any, more: dict[str, Any]) -> None:
    check_catboost(saved(tmp_path, rows, labels, **more))


def put(data: bytes, part: slice, numbers: Any, index: int, value: Any) -> bytes:
    """The file with one number of a vector changed; the vector is a view into ``data[part]``."""
    base = numbers
    while isinstance(base, np.ndarray):
        base = base.base
    begin = np.frombuffer(base, np.uint8).ctypes.data
    at = numbers.ctypes.data - begin + part.start + index % len(numbers) * numbers.itemsize
    changed = bytearray(data)
    changed[at : at + numbers.itemsize] = np.array(value, numbers.dtype).tobytes()
    return bytes(changed)


@pytest.mark.parametrize(
    ("model", "field", "kind", "index", "value", "message"),
    [
        # a condition that no feature has
        ("plain", 1, "<i4", 0, 10**6, "a split"),
        ("plain", 1, "<i4", 0, -1, "a split"),
        ("plain", 2, "<i4", 0, 4, "the trees' starts"),
        ("plain", 2, "<i4", 0, -1, "the trees' sizes"),
        ("plain", 3, "<i4", 1, 2**30, "the trees' starts"),
        ("plain", 17, "<u4", 0, 0xFFFF, "a packed split"),
        # a child beyond its tree, a leaf beyond the values, between two leaves
        ("deep", 10, "<u4", 0, 0xFFFF, "a child"),
        ("deep", 10, "<u4", -1, 1, "a child"),
        ("deep", 11, "<u4", -1, 2**31, "a leaf"),
        ("deep", 11, "<u4", -1, 1, "a leaf"),
        ("deep", 1, "<i4", 0, 10**6, "a split"),
    ],
)
def test_what_does_not_fit_in_trees_is_found(
    request: pytest.FixtureRequest, model: str, field: int, kind: str, index: int, value: int, message: str
) -> None:
    data = request.getfixturevalue(model)
    trees = Table.root(data[CORE:]).table(1)
    assert trees is not None
    changed = put(data, slice(CORE, None), trees.numbers(field, kind), index, value)
    assert changed != data
    with pytest.raises(ValueError, match=message):
        check_catboost(changed)


@pytest.mark.parametrize(
    ("places", "index", "message"),
    [
        # the row of statistics of a category, beyond all of them
        (1, 2**31, "a table's bucket"),
        # no bucket is free: a search never ends
        (None, 0, "a table's buckets"),
    ],
)
def test_what_does_not_fit_in_tables_is_found(
    tables: bytes, places: int | None, index: int, message: str
) -> None:
    begin = CORE + int.from_bytes(tables[4:8], "little") + 8
    buckets = Table.root(tables[begin:]).numbers(1, "u1").view([("hash", "<u8"), ("index", "<u4")])
    changed = tables
    for place in range(places or len(buckets)):
        changed = put(changed, slice(begin, None), buckets, place, (place, index))
    with pytest.raises(ValueError, match=message):
        check_catboost(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "the first word"),
        (lambda data: data[:6], "error"),
        (lambda data: data[: len(data) // 3], "the length of the first part"),
        # a table of trees that lies before the file, or after it
        (lambda data: data[:CORE] + b"\xff\xff\xff\xff" + data[CORE + 4 :], "an offset"),
        (lambda data: data[:-100], "the length of a table"),
        # a name that is no text
        (lambda data: data.replace(b"catboost_version_info", b"catboost_version_inf\xff"), "utf-8"),
    ],
)
def test_what_ends_too_early_is_found(tables: bytes, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_catboost(change(tables))
