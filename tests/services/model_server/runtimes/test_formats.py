"""The registry of formats: one module each, found by itself, and light until a model is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.model_server import runtimes
from services.model_server.errors import VersionError
from services.model_server.runtimes import find_versions, formats, model_file


def test_every_module_is_a_format_and_those_that_run_code_come_last() -> None:
    modules = [path for path in Path(runtimes.__path__[0]).glob("*.py") if path.stem != "__init__"]
    assert len(formats()) >= len(modules) > 0
    assert len({one.file for one in formats()}) == len(formats())
    assert [one.runs_code for one in formats()] == sorted(one.runs_code for one in formats())
    # a file that people have becomes a model of exactly one format
    suffixes = [suffix for one in formats() for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_the_registry_imports_no_format_s_library() -> None:
    heavy = (
        "{'sklearn', 'skops', 'joblib', 'onnxruntime', 'onnx', 'scipy', 'pandas', 'fastparquet', 'xgboost', "
        "'lightgbm', 'catboost', 'mlflow', 'yaml'}"
    )
    program = (
        f"import sys; from services.model_server.runtimes import formats; formats(); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_versions_are_folders_with_a_model_file(tmp_path: Path) -> None:
    folder = touched(
        tmp_path, "v2/model.onnx", "v1/model.skops", "v3/model.joblib", "v3/notes.txt", "data/x.csv"
    )
    assert find_versions(folder) == ["v1", "v2", "v3"]


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (["notes.txt"], "for example {}/v1/model.skops"),
        (["best.onnx"], "{}/best.onnx must become {}/v1/model.onnx"),
        (["v1/best.pkl"], "{}/v1/best.pkl must become {}/v1/model.joblib"),
        (["v1/best.pickle", "v2/best.skops"], "{}/v1/best.pickle must become {}/v1/model.joblib"),
    ],
)
def test_a_folder_without_versions_says_what_to_rename(tmp_path: Path, files: list[str], hint: str) -> None:
    with pytest.raises(VersionError) as caught:
        find_versions(touched(tmp_path, *files))
    assert hint.replace("{}", str(tmp_path)) in str(caught.value)
    assert "one of model.cbm, model.txt, model.onnx, model.skops, model.ubj, model.json, model.joblib" in str(
        caught.value
    )


@pytest.mark.parametrize("file", sorted(one.file for one in formats() if one.file != "MLmodel"))
@pytest.mark.parametrize(
    ("content", "says"),
    [
        # a clone without git-lfs
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS.*: git lfs pull"),
        # a store that asks to sign in
        (b"\n<!DOCTYPE html><html>", "is a web page"),
    ],
    ids=["pointer", "page"],
)
def test_what_lies_in_the_place_of_a_model_is_named(
    tmp_path: Path, file: str, content: bytes, says: str
) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(VersionError, match=f"{file}: .*{says}"):
        model_file(tmp_path)
