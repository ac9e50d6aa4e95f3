"""Where the files of a version lie: in its folder, or in the one MLflow folder in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.version_folder import model_folder, requirements_file, version_folder


def made(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("files", "model", "requirements"),
    [
        (["model.skops"], "", "requirements.txt"),
        (["MLmodel", "requirements.txt"], "", "requirements.txt"),
        (["model/MLmodel", "model/requirements.txt"], "model", "model/requirements.txt"),
        # its own packages come first
        (["model/MLmodel", "model/requirements.txt", "requirements.txt"], "model", "requirements.txt"),
        # nobody knows which
        (["a/MLmodel", "b/MLmodel"], "", "requirements.txt"),
    ],
)
def test_where_files_lie(tmp_path: Path, files: list[str], model: str, requirements: str) -> None:
    made(tmp_path, *files)
    assert model_folder(tmp_path) == tmp_path / model
    assert requirements_file(tmp_path) == tmp_path / requirements


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (["model.toml"], "model.skops"),
        (["model.toml", "MLmodel"], "model.pkl"),
        (["model.toml", "model/MLmodel"], "model/model.pkl"),
        # model.toml is still to be written
        ([], "model.skops"),
    ],
)
def test_the_version_of_a_file(tmp_path: Path, files: list[str], path: str) -> None:
    assert version_folder(made(tmp_path / "v1", *files) / path) == tmp_path / "v1"
