"""One model file, or one MLflow folder, becomes a model's folder with a version in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.model_server.errors import VersionError
from services.model_server.place import place


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        ("churn.joblib", "churn/v1/model.joblib"),
        ("Churn 2.PKL", "Churn-2/v1/model.joblib"),
        ("churn.onnx", "churn/v1/model.onnx"),
        # a name that says it already, as the suffix alone does not
        ("model.txt", "model/v1/model.txt"),
        ("churn/MLmodel", "churn/v1/MLmodel"),
    ],
)
def test_a_model_is_copied_to_where_it_is_served(tmp_path: Path, given: str, placed: str) -> None:
    path = tmp_path / given
    path.parent.mkdir(exist_ok=True)
    path.write_text("a model")
    model = path.parent if path.name == "MLmodel" else path
    models = tmp_path / "models"
    folder = place(model, models)
    assert (models / placed).read_text() == "a model"
    assert path.exists()
    # once more is no trouble
    assert place(model, models) == folder == models / Path(placed).parts[0]


@pytest.mark.parametrize("name", ["churn.bin", "notes.txt", "README"])
def test_a_file_of_which_nobody_knows_the_format_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(VersionError, match=r"its name does not say; name it \*.cbm, \*.joblib, .*\*.onnx"):
        place(tmp_path / name, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_another_model_stays_and_the_advice_works(tmp_path: Path) -> None:
    file, models = tmp_path / "churn.joblib", tmp_path / "models"
    file.write_text("one")
    place(file, models)
    file.write_text("other")
    with pytest.raises(
        VersionError, match=r"copy .*churn.joblib to .*models/churn/v2/model.joblib to compare"
    ):
        place(file, models)
    assert (models / "churn" / "v1" / "model.joblib").read_text() == "one"
