"""model.toml: what is written is what is read, and what is wrong is named by file and key."""

import tomllib
from pathlib import Path

import pytest
import tomli_w

from contract.model_toml import Columns, Input, ModelToml, ModelTomlError, read_model_toml, write_model_toml

TENSOR = {"name": "features", "datatype": "FP64", "shape": [-1, 2]}
WHOLE = {"name": "shop", "version": "v1", "task": "classification", "inputs": [TENSOR]}


def put(folder: Path, document: dict) -> Path:
    (folder / "model.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "content",
    [
        ModelToml("shop", "v1", "classification", Input("features", "FP64", (-1, 2))),
        # every key, and text that TOML must escape
        ModelToml(
            "shop", "v1.2-rc_3", "regression",
            Input("x", "INT32", (-1, 2), ("a\"b\\", "Größe\n\x7f")), "\t'", False,
        ),
        # named columns, and names that TOML must quote
        ModelToml(
            "shop", "v1", "classification",
            Columns((("city", "BYTES"), ("spend (€)", "FP64"), ('a "b".c', "INT64"), ("member", "BOOL"))),
        ),
        # cells that may not be missing
        ModelToml(
            "shop", "v1", "regression", Columns((("city", "BYTES"), ("age", "FP64")), ("city",)), output="a"
        ),
        # more than two dimensions
        ModelToml("shop", "v1", "classification", Input("pixels", "FP32", (-1, 8, 8))),
        ModelToml("shop", "v1", "regression", Input("pixels", "FP32", (-1, 8)), output='the "price" in €'),
    ],
)  # fmt: skip
def test_what_is_written_is_read(tmp_path, content):
    write_model_toml(tmp_path, content)
    assert read_model_toml(tmp_path) == content


def test_what_a_person_writes(tmp_path):
    document = WHOLE | {
        "inputs": [TENSOR | {"columns": ["age", "income"]}],
        "description": "d",
        "compile": False,
    }
    tensor = Input("features", "FP64", (-1, 2), ("age", "income"))
    assert read_model_toml(put(tmp_path, document)) == ModelToml(
        "shop", "v1", "classification", tensor, "d", compile=False
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"required": ["age"]}, "required: names columns of [columns], and there is none"),
        # one key after the other
        ({"name": "a/b"}, "name: must be letters, digits, "),
        ({"name": ""}, "name: must be letters, digits, "),
        ({"version": 1}, "version: must be text, got 1"),
        ({"task": "ranking"}, "task: must be classification or regression, got 'ranking'"),
        ({"compile": "no"}, "compile: must be true or false, got 'no'"),
        ({"extra": 1}, "extra: there is no such key"),
        # named columns
        ({"columns": {"age": "FP64"}}, "inputs: must not be there beside [columns]"),
        *(
            ({"inputs": ..., "columns": columns}, says)
            for columns, says in (
                ({}, "columns: must name at least one column"),
                (["age"], "columns: must be a table, got ['age']"),
                ({"": "FP64"}, "columns: a name must not be empty"),
                ({"age": "FP32"}, "columns.age: must be one of FP64, INT64, BOOL, BYTES, got 'FP32'"),
                ({"age": ["FP64"]}, "columns.age: must be one of FP64, INT64, BOOL, BYTES, got ['FP64']"),
            )
        ),
        # the input
        ({"inputs": []}, "inputs: must be exactly one [[inputs]] table, got 0"),
        ({"inputs": [TENSOR, TENSOR]}, "inputs: must be exactly one [[inputs]] table, got 2"),
        ({"inputs": [3]}, "inputs: must be exactly one [[inputs]] table"),
        ({"inputs": TENSOR}, "inputs: must be a list, got {'name'"),
        ({"inputs": [TENSOR | {"name": ""}]}, "inputs.name: must not be empty"),
        ({"inputs": [TENSOR | {"datatype": "BYTES"}]}, "inputs.datatype: must be one of FP64, FP32, "),
        ({"inputs": [TENSOR | {"more": 1}]}, "inputs.more: there is no such key"),
        ({"inputs": [TENSOR | {"columns": ["a"]}]}, "inputs.columns: has 1 column for 2 features"),
        ({"inputs": [TENSOR | {"columns": []}]}, "inputs.columns: has 0 columns for 2 features"),
        ({"inputs": [TENSOR | {"columns": [1, 2]}]}, "inputs.columns: must be a list of text"),
        *(
            ({"inputs": [TENSOR | {"shape": shape}]}, f"inputs.shape: must be [-1, features], got {shape}")
            # a fixed number of rows; no features; none at all; no whole numbers
            for shape in ([2, 2], [-1], [], [-1, 0], [-1, 2.0], [-1, True], ["-1", 2])
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, changes, says):
    with pytest.raises(ModelTomlError) as caught:
        # an ellipsis takes a key out
        read_model_toml(put(tmp_path, {k: v for k, v in (WHOLE | changes).items() if v is not ...}))
    assert str(caught.value).startswith(f"{tmp_path}/model.toml: {says}")
    assert str(caught.value).endswith("; correct it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["name", "version", "task", "inputs"])
def test_what_is_missing_is_named(tmp_path, key):
    with pytest.raises(ModelTomlError, match=f"model.toml: {key}: is missing"):
        read_model_toml(put(tmp_path, {k: v for k, v in WHOLE.items() if k != key}))


def test_no_folder_no_file_no_toml(tmp_path):
    with pytest.raises(ModelTomlError, match="v1: no such version folder; train"):
        read_model_toml(tmp_path / "v1")
    with pytest.raises(ModelTomlError, match=r"model\.toml: missing; a version folder needs one"):
        read_model_toml(tmp_path)
    for content in (b"= 3", b"\xff"):
        (tmp_path / "model.toml").write_bytes(content)
        with pytest.raises(ModelTomlError, match=r"model\.toml: not readable as TOML"):
            read_model_toml(tmp_path)


def test_columns_keep_their_order(tmp_path):
    names = [f"c{number}" for number in (9, 10, 1)]
    given = Columns(tuple((name, "FP64") for name in names))
    write_model_toml(tmp_path, ModelToml("m", "v1", "regression", given))
    read = read_model_toml(tmp_path).input
    assert (list(read.columns), read.features) == (names, 3)


def test_what_is_default_is_not_written(tmp_path):
    write_model_toml(tmp_path, ModelToml("m", "v1", "regression", Input("x", "FP64", (-1, 1))))
    assert set(tomllib.loads((tmp_path / "model.toml").read_text())) == {"name", "version", "task", "inputs"}
