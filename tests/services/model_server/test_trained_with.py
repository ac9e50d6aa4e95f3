"""Another version of a library than the one that trained a model is reported by name and number."""

from __future__ import annotations

import json
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.trained_with import AnotherVersion, compare_requirements, compare_version
from services.model_server.version import load_version

RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(RNG.normal(size=(40, 2)), columns=["a", "b"])
LABELS = (FRAME.a > 0).astype(int)
NUMPY, HERE = metadata.version("numpy"), xgboost.__version__


def said(call: Any, *given: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*given)
    assert all(isinstance(one.message, AnotherVersion) for one in caught)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(
    ("library", "saved", "expected"),
    [
        ("numpy", NUMPY, []),
        ("numpy", "1.2.3", [f"saved by numpy 1.2.3, served by {NUMPY}: its answers may differ"]),
        # the file does not say
        ("numpy", None, []),
        # one of the packages that hold it
        ("xgboost", HERE, []),
        ("xgboost", "1.0.0", [f"saved by xgboost 1.0.0, served by {HERE}: its answers may differ"]),
        # its loader says that it is missing
        ("no-such-library", "1.0", []),
    ],
)
def test_a_file_s_library(library: str, saved: str | None, expected: list[str]) -> None:
    assert said(compare_version, library, saved) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (f"numpy=={NUMPY}\n", []),
        # no version is named, or a range
        ("numpy\npandas>=1\n# numpy==1.0\n", []),
        ("numpy==1.0 \\\n    --hash=sha256:00\n", [f"numpy 1.0 (here {NUMPY})"]),
        (f"nothing-like-it == 2.0; python_version > '3'\nnumpy=={NUMPY}", ["nothing-like-it 2.0 (not here)"]),
        ("\ufeffnumpy==1.0", [f"numpy 1.0 (here {NUMPY})"]),
        ("".join(f"none-{at}==1\n" for at in range(7)), ["none-4 1 (not here) and 2 more"]),
        (None, []),
        (b"\xff\xfe\x00", []),
    ],
    ids=["same", "open", "hash", "missing", "mark", "many", "none", "binary"],
)
def test_a_folder_s_packages(tmp_path: Path, lines: Any, expected: list[str]) -> None:
    if lines is not None:
        content = lines if isinstance(lines, bytes) else lines.encode()
        (tmp_path / "requirements.txt").write_bytes(content)
    found = said(compare_requirements, tmp_path)
    assert len(found) == len(expected)
    for one, part in zip(found, expected, strict=True):
        assert part in one
        assert "\n" not in one


def other(content: bytes, file: str) -> bytes:
    """The file as XGBoost 1.0.0 would have signed it."""
    major, minor, patch = map(int, HERE.split("."))
    if file == "model.json":
        return content.replace(f'"version":[{major},{minor},{patch}]'.encode(), b'"version":[1,0,0]')
    return content.replace(bytes([*b"i", major, *b"i", minor, *b"i", patch]), b"i\x01i\x00i\x00")


@pytest.mark.parametrize("file", ["model.ubj", "model.json"])
def test_xgboost_s_file_names_its_version(tmp_path: Path, file: str) -> None:
    xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(FRAME, LABELS).save_model(tmp_path / file)
    content = (tmp_path / file).read_bytes()
    describe(tmp_path, "m", "v1", list(FRAME), FRAME.to_numpy().tolist())
    assert load_version(tmp_path).notes == ()
    changed = other(content, file)
    assert changed != content
    (tmp_path / file).write_bytes(changed)
    note = f"{tmp_path / file}: saved by xgboost 1.0.0, served by {HERE}: its answers may differ"
    # once, and where a client sees it
    assert load_version(tmp_path).metadata()["parameters"]["notes"].count(note) == 1


def test_catboost_s_file_names_its_version(tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost", reason="the optional library catboost is not installed")
    model = catboost.CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)
    model.fit(FRAME, LABELS).save_model(tmp_path / "model.cbm")
    content = (tmp_path / "model.cbm").read_bytes()
    describe(tmp_path, "m", "v1", list(FRAME), FRAME.to_numpy().tolist())
    assert load_version(tmp_path).notes == ()
    here = catboost.__version__
    older = here[:-1] + chr(ord(here[-1]) ^ 1)
    (tmp_path / "model.cbm").write_bytes(content.replace(f"v{here}".encode(), f"v{older}".encode()))
    assert f"saved by catboost {older}, served by {here}" in load_version(tmp_path).notes[0]


def test_an_mlflow_folder_names_the_version_of_its_flavour(tmp_path: Path) -> None:
    xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(FRAME, LABELS).save_model(tmp_path / "model.ubj")
    document = {"flavors": {"xgboost": {"data": "model.ubj", "xgb_version": "1.7.6"}}}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    answer = describe(tmp_path, "m", "v1", list(FRAME), FRAME.to_numpy().tolist())
    assert f"saved by xgboost 1.7.6, served by {HERE}: its answers may differ" in "\n".join(answer["notes"])
    assert json.loads(json.dumps(load_version(tmp_path).metadata()))["parameters"]["notes"]


@pytest.mark.parametrize(
    ("lacks", "fails"),
    [
        # as SimpleImputer of scikit-learn 1.6 fails in 1.9, microsoft/FLAML#740
        ("_fill_dtype", r"fails on the first rows of the evaluation set"),
        # as a Pipeline of scikit-learn 1.3 does
        ("transform_input", r"cannot use this Pipeline"),
    ],
)
def test_a_model_that_fails_and_that_another_version_saved_has_the_line_to_write(
    tmp_path: Path, lacks: str, fails: str
) -> None:
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(FRAME, LABELS)
    delattr(model if hasattr(model, lacks) else model[0], lacks)
    here = metadata.version("scikit-learn")
    saved = f"0{here[1:]}"
    joblib.dump(model, tmp_path / "model.joblib")
    content = (tmp_path / "model.joblib").read_bytes()
    (tmp_path / "model.joblib").write_bytes(content.replace(here.encode(), saved.encode()))
    # nothing vaguer stands before it
    line = rf"{fails} \(.*'{lacks}'\); it was saved by .* write the line scikit-learn=={saved} into"
    with pytest.raises(VersionError, match=line):
        describe(tmp_path, "m", "v1", ["a", "b"], FRAME.to_numpy().tolist(), ["m"])
