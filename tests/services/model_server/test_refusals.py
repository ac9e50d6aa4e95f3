"""The advice of a refusal, when it is followed, is not refused next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.version import load_version

RNG = np.random.default_rng(8)
FRAME = pd.DataFrame({"age": RNG.normal(40, 9, 60), "store": RNG.choice([901, 205, 33], 60)})
LABELS = (FRAME.store == 205).astype(int)
ALL = ("m",)

MATRIX = (
    'name = "m"\nversion = "v1"\ntask = "classification"\n'
    '[[inputs]]\nname = "x"\ndatatype = "FP64"\nshape = [-1, 2]\n'
)
PROGRAM = "class M:\n    def predict(self, frame):\n        return frame.store.eq(205)\n"

Step = Callable[[Path], Any]


def init(folder: Path, allowed: tuple[str, ...] = ALL) -> dict[str, Any]:
    return describe(folder, "m", "v1", list(FRAME), FRAME.astype(object).to_numpy().tolist(), allowed)


def boosted(folder: Path) -> None:
    settings = {"n_estimators": 3, "min_child_samples": 5, "n_jobs": 1, "verbose": -1}
    rows = FRAME.assign(store=pd.Categorical(FRAME.store))
    lightgbm.LGBMClassifier(**settings).fit(rows, LABELS).booster_.save_model(folder / "model.txt")


def exported(folder: Path) -> None:
    scaled = make_column_transformer((StandardScaler(), ["age", "store"]))
    pipeline = make_pipeline(scaled, LogisticRegression()).fit(FRAME, LABELS)
    types = [(name, FloatTensorType([None, 1])) for name in FRAME]
    (folder / "model.onnx").write_bytes(to_onnx(pipeline, initial_types=types).SerializeToString())


def program(folder: Path, text: str = PROGRAM) -> None:
    (folder / "model.py").write_text(text, encoding="utf-8")


def own_step(folder: Path, file: str) -> None:
    model = make_pipeline(FunctionTransformer(np.loadtxt), LogisticRegression())
    model.steps[0] = ("own", FunctionTransformer(np.log1p))
    model.fit(FRAME, LABELS)
    if file == "model.skops":
        model.steps[0] = ("own", FunctionTransformer(np.loadtxt))
        skops.io.dump(model, folder / file)
    else:
        joblib.dump(model, folder / file)


def matrix(folder: Path) -> None:
    (folder / "model.toml").write_text(MATRIX, encoding="utf-8")


def delete_model_toml(folder: Path) -> None:
    (folder / "model.toml").unlink()


def with_a_task(folder: Path) -> None:
    program(folder, PROGRAM.replace("class M:", 'class M:\n    task = "classification"'))


def with_a_task_and_a_matrix(folder: Path) -> None:
    with_a_task(folder)
    matrix(folder)


def as_joblib(folder: Path) -> None:
    (folder / "model.skops").unlink()
    own_step(folder, "model.joblib")


def nothing(folder: Path) -> None:
    """What there is to do is done by the caller."""


@pytest.mark.parametrize(
    ("made", "allowed", "refusal", "followed"),
    [
        (lambda f: (boosted(f), matrix(f)), ALL, "delete model.toml, and `loadproof init", delete_model_toml),
        (
            lambda f: (exported(f), matrix(f)),
            ALL,
            "delete model.toml, and `loadproof init",
            delete_model_toml,
        ),
        (with_a_task_and_a_matrix, ALL, "delete model.toml, and `loadproof init", delete_model_toml),
        (program, ALL, "give it task = ", with_a_task),
        # allowed by name
        (with_a_task, (), "allow it by name with ALLOW_PICKLE=m", nothing),
        (lambda f: own_step(f, "model.joblib"), (), "allow it by name with ALLOW_PICKLE=m", nothing),
        (lambda f: own_step(f, "model.skops"), ALL, "save the model with joblib as model.joblib", as_joblib),
    ],
    ids=["lightgbm", "onnx", "python", "task", "program", "pickle", "skops"],
)
def test_advice_that_is_followed_works(
    tmp_path: Path, made: Step, allowed: tuple[str, ...], refusal: str, followed: Step
) -> None:
    made(tmp_path)
    with pytest.raises(VersionError) as caught:
        init(tmp_path, allowed)
    assert refusal in str(caught.value)
    followed(tmp_path)
    assert len(init(tmp_path)["predictions"]) == len(FRAME)
    assert load_version(tmp_path, ALL).task == "classification"
