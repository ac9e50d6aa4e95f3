"""Version folders: what loads, and one clear line for what does not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from services.model_server.errors import VersionError
from services.model_server.version import load_version, refuse_lost_threads

INPUT = {"name": "features", "datatype": "FP64", "shape": [-1, 4]}


def pickled(model: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5, random_state=0, n_jobs=-1),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        VotingClassifier(
            [("a", LogisticRegression()), ("b", HistGradientBoostingClassifier(max_iter=3))], voting="soft"
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_skops_models_answer_as_the_original(tmp_path: Path, model: Any, rows: np.ndarray, save: Any) -> None:
    model.fit(rows, np.where(rows[:, 0] > rows[:, 1], "a", "b"))
    version = load_version(save(tmp_path, model), compilation=False)
    results = version.run(rows, frozenset(["predict", "predict_proba"]))
    assert results["predict"].tolist() == model.predict(rows).tolist()
    np.testing.assert_allclose(results["predict_proba"], model.predict_proba(rows), rtol=1e-12)


def test_a_pickle_loads_where_it_is_allowed_by_name(tmp_path: Path, models: Any, save: Any) -> None:
    folder = save(tmp_path, pickled(models["text"]), file="model.joblib")
    with pytest.raises(VersionError, match=r"allow it by name with ALLOW_PICKLE=shop"):
        load_version(folder, allow_pickle=["digits"])
    assert load_version(folder, allow_pickle=["shop"]).classes == ("hat", "shoe", "Übergröße")


def test_a_refused_pickle_never_runs(tmp_path: Path, save: Any) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    with pytest.raises(VersionError):
        load_version(save(tmp_path, pickled(Bomb()), file="model.joblib"))
    assert not (tmp_path / "ran").exists()


class Custom(BaseEstimator):
    """A class that skops does not know."""

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


@pytest.mark.parametrize(
    ("write", "changes", "message"),
    [
        # the folder
        (lambda f, m: None, None, "no such version folder"),
        (lambda f, m: (f / "model.toml").unlink(), {}, "model.toml: missing"),
        (
            lambda f, m: (f / "model.skops").unlink(),
            {},
            "model.joblib, MLmodel, model.py; there is none",
        ),
        (lambda f, m: (f / "model.onnx").touch(), {}, "there is model.onnx and model.skops"),
        # model.toml
        (lambda f, m: (f / "model.toml").write_text("= 3"), {}, "model.toml: not readable as TOML"),
        (lambda f, m: None, {"inputs": [INPUT | {"shape": [-1, 5]}]}, "says 5 features, the model takes 4"),
        # the model's file
        (lambda f, m: (f / "model.skops").write_bytes(b"PK\x03\x04 no"), {}, "not readable by skops"),
        (lambda f, m: (f / "model.skops").write_bytes(b""), {}, "not readable by skops"),
        (lambda f, m: m(f, Custom()), {}, "types that are not known to be safe"),
        (
            lambda f, m: m(f, make_pipeline(FunctionTransformer(np.testing.rundocs), KMeans(1))),
            {},
            "types that are not known to be safe",
        ),
        (lambda f, m: m(f, StandardScaler()), {}, "a StandardScaler has no predict"),
        (lambda f, m: m(f, KMeans(1)), {}, "a KMeans has no classes_"),
        (lambda f, m: m(f, LogisticRegression()), {}, "has no classes_"),
        (lambda f, m: m(f, KMeans(1), task="regression"), {}, "fails on a row of zeros"),
        (lambda f, m: None, {"task": "regression"}, "a regression predicts numbers"),
    ],
)
def test_unusable_folders(
    tmp_path: Path, models: Any, save: Any, write: Any, changes: dict[str, Any] | None, message: str
) -> None:
    folder = tmp_path / "v1"
    if changes is not None:
        save(folder, models["text"], **changes)
    write(folder, save)
    with pytest.raises(VersionError) as caught:
        load_version(folder)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_in_another_order_are_refused(
    tmp_path: Path, models: Any, rows: np.ndarray, save: Any
) -> None:
    model = LogisticRegression().fit(rows, rows[:, 0] > 0)
    expected = model.predict(rows).tolist()
    model.feature_names_in_ = np.array(["a", "b", "c", "d"], dtype=object)
    folder = save(tmp_path, model, inputs=[INPUT | {"columns": ["b", "a", "c", "d"]}])
    with pytest.raises(VersionError, match="columns differ from those that the model was trained on"):
        load_version(folder)
    save(tmp_path, model, inputs=[INPUT | {"columns": ["a", "b", "c", "d"]}])
    version = load_version(folder)
    assert version.columns == ("a", "b", "c", "d")
    # and rows without names are no reason to warn
    assert version.run(rows, frozenset(["predict"]))["predict"].tolist() == expected


@pytest.mark.parametrize(
    ("threads", "refused"),
    [
        (["python"], False),
        # BLAS' own wait for work, and are started anew
        (["python", "python"], False),
        (["python", "polars-0", "polars-1"], True),
        # imported, and not run
        (["python", "polars-ooc-clea"], False),
        # no such list, as on macOS
        ([], False),
    ],
)
def test_threads_of_polars_are_found(tmp_path: Path, threads: list[str], refused: bool) -> None:
    for place, name in enumerate(threads):
        (tmp_path / str(place)).mkdir()
        (tmp_path / str(place) / "comm").write_text(f"{name}\n")
    if refused:
        with pytest.raises(VersionError, match=r"runs polars, .*set_output"):
            refuse_lost_threads(Path("model.joblib"), tmp_path)
    else:
        refuse_lost_threads(Path("model.joblib"), tmp_path)


def test_a_thread_that_ends_meanwhile_is_none_of_them(tmp_path: Path) -> None:
    # what cannot be read: a thread's name is gone as soon as it has ended
    (tmp_path / "1" / "comm").mkdir(parents=True)
    refuse_lost_threads(Path("model.joblib"), tmp_path)
