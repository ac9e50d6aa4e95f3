"""A model is tried on rows that exist: made-up ones may be rows that it cannot take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer

from services.model_server.columns import Columns
from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.examples import EXAMPLES, ROWS, read_examples, write_examples
from services.model_server.tensors import TensorSpec
from services.model_server.version import load_version

CODES = np.random.default_rng(1).integers(1, 6, size=(200, 2)).astype(float)
LABELS = CODES[:, 0] > 2
CELLS: dict[str, list[Any]] = {
    "city": ["Köln", None, ""],
    "age": [1.5, None, -2.0],
    "visits": [2**53 + 1, 0, -1],
    "member": [True, None, False],
    "nothing": [None, None, None],
}
INPUT = tuple(
    TensorSpec(name, datatype, (-1,))
    for name, datatype in zip(CELLS, ("BYTES", "FP64", "INT64", "BOOL", "FP64"), strict=True)
)
MATRIX = TensorSpec("features", "FP64", (-1, 2))


@pytest.mark.parametrize(
    "step",
    [OneHotEncoder(categories=[[1, 2, 3, 4, 5]] * 2), PowerTransformer(method="box-cox")],
    ids=["codes", "box-cox"],
)
def test_a_model_that_takes_no_zeros(tmp_path: Path, step: Any) -> None:
    model = make_pipeline(step, LogisticRegression()).fit(CODES, LABELS)
    skops.io.dump(model, tmp_path / "model.skops")
    answer = describe(tmp_path, "m", "v1", ["a", "b"], CODES.tolist())
    assert answer["predictions"] == model.predict(CODES).tolist()
    example = load_version(tmp_path).example
    assert example.tolist() == CODES[:1].tolist()
    # the way out that the refusal names: what is deleted is written anew
    (tmp_path / EXAMPLES).unlink()
    if isinstance(step, OneHotEncoder):
        with pytest.raises(VersionError, match=r"fails on a row of zeros .*let `loadproof init"):
            load_version(tmp_path)
    assert describe(tmp_path, "m", "v1", ["a", "b"], CODES.tolist())["wrote"] is False
    assert load_version(tmp_path).example.tolist() == CODES[:1].tolist()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_examples(tmp_path, CELLS)
    found = read_examples(tmp_path, INPUT, None)
    assert isinstance(found, Columns)
    for name, cells in CELLS.items():
        given = [None if value != value else value for value in found.arrays[name].tolist()]
        assert given == cells, name


def test_a_few_rows_are_kept_and_a_person_s_own_stay(tmp_path: Path) -> None:
    write_examples(tmp_path, {"a": [1.0] * 500, "b": [2] * 500})
    assert read_examples(tmp_path, MATRIX, ("b", "a")).tolist() == [[2.0, 1.0]] * ROWS
    before = (tmp_path / EXAMPLES).read_bytes()
    skops.io.dump(LogisticRegression().fit(CODES, LABELS), tmp_path / "model.skops")
    describe(tmp_path, "m", "v1", ["a", "b"], CODES.tolist())
    assert (tmp_path / EXAMPLES).read_bytes() == before


@pytest.mark.parametrize(
    ("cells", "given", "names", "says"),
    [
        (None, INPUT, None, "missing; named columns are tried on rows that exist"),
        ({"a": [], "b": []}, MATRIX, None, "holds no rows"),
        ({"a": [1.0]}, MATRIX, None, "has 1 column, the model takes 2 features"),
        ({"a": [1.0], "b": [1.0]}, MATRIX, ("a", "c"), "has no column 'c'"),
        ({"a": [1.0], "b": ["x"]}, MATRIX, None, "a matrix holds numbers only"),
        ({"a": [1.0], "b": [None]}, MATRIX, None, "a matrix has no missing cells"),
        ({"city": [1]}, INPUT[:1], None, "column 'city' holds 1, model.toml says BYTES"),
        ({"member": [1]}, INPUT[3:4], None, "column 'member' holds 1, model.toml says BOOL"),
        ({"visits": [True]}, INPUT[2:3], None, "column 'visits' holds True, model.toml says INT64"),
    ],
)
def test_examples_that_do_not_fit(tmp_path: Path, cells: Any, given: Any, names: Any, says: str) -> None:
    if cells is not None:
        write_examples(tmp_path, cells)
    with pytest.raises(VersionError) as caught:
        read_examples(tmp_path, given, names)
    assert str(caught.value).startswith(f"{tmp_path / EXAMPLES}: ")
    assert says in str(caught.value)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / EXAMPLES).write_bytes(b"PAR1 no")
    with pytest.raises(VersionError, match="not readable as Parquet"):
        read_examples(tmp_path, MATRIX, None)
