"""XGBoost's own files: served with the library's own answers, or refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.version import load_version

RNG = np.random.default_rng(5)
ROWS = 120
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 9, ROWS), "visits": RNG.integers(0, 9, ROWS), "pay": RNG.gamma(2, 9, ROWS)}
)
GAPS = FRAME.assign(age=FRAME.age.where(RNG.random(ROWS) < 0.7))
TWO = (FRAME.visits > 4).astype(int)
THREE = pd.cut(FRAME.age, 3, labels=False)
VALUES = FRAME.pay * 2


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    return [
        [None if pd.isna(cell) else cell for cell in row] for row in frame.astype(object).to_numpy().tolist()
    ]


def trained(objective: str, rows: Any, labels: Any, **more: Any) -> Any:
    matrix = xgboost.DMatrix(rows, labels)
    return xgboost.train({"objective": objective, "nthread": 1, **more}, matrix, 4)


@pytest.mark.parametrize("file", ["model.ubj", "model.json"])
@pytest.mark.parametrize(
    ("model", "rows", "datatypes"),
    [
        (xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(GAPS, TWO), GAPS, ["FP64", "INT64", "FP64"]),
        (xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(GAPS, THREE), GAPS, ["FP64", "INT64", "FP64"]),
        (xgboost.XGBRegressor(n_estimators=4, n_jobs=1).fit(GAPS, VALUES), GAPS, ["FP64", "INT64", "FP64"]),
        # without gaps, a matrix
        (xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(FRAME, TWO), FRAME, ["FP64"]),
        # fitted without names
        (xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(FRAME.to_numpy(), TWO), FRAME, ["FP64"]),
    ],
    ids=["two", "three", "regression", "matrix", "nameless"],
)
def test_the_library_s_own_answers(tmp_path: Path, file: str, model: Any, rows: Any, datatypes: Any) -> None:
    model.save_model(tmp_path / file)
    answer = describe(tmp_path, "m", "v1", list(rows), cells(rows))
    given = rows if hasattr(model, "feature_names_in_") else rows.to_numpy()
    np.testing.assert_allclose(answer["predictions"], model.predict(given), rtol=1e-6)
    version = load_version(tmp_path)
    assert (version.platform, version.runner) == ("xgboost", "xgboost")
    assert [tensor["datatype"] for tensor in version.metadata()["inputs"]] == datatypes
    if version.task == "classification":
        found = version.run(version.example, frozenset(["predict_proba"]))["predict_proba"]
        np.testing.assert_allclose(found, model.predict_proba(given[:1]), atol=1e-6)


@pytest.mark.parametrize(
    ("objective", "labels", "task"),
    [
        ("binary:logistic", TWO, "classification"),
        ("reg:squarederror", VALUES, "regression"),
        ("count:poisson", FRAME.visits, "regression"),
    ],
)
def test_a_model_of_xgboost_train(tmp_path: Path, objective: str, labels: Any, task: str) -> None:
    booster = trained(objective, FRAME, labels)
    booster.save_model(tmp_path / "model.json")
    answer = describe(tmp_path, "m", "v1", list(FRAME), cells(FRAME))
    expected = booster.predict(xgboost.DMatrix(FRAME))
    expected = (expected > 0.5).astype(int) if task == "classification" else expected
    assert answer["task"] == task
    np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-6)


def test_early_stopping_is_the_wrapper_s_and_not_the_trainer_s(tmp_path: Path) -> None:
    """A wrapper answers by its best round, what ``xgboost.train`` returns by all of its rounds."""
    noise = RNG.integers(0, 2, ROWS)
    settings = {"n_estimators": 60, "early_stopping_rounds": 3, "n_jobs": 1}
    wrapper = xgboost.XGBClassifier(**settings).fit(
        FRAME, noise, eval_set=[(FRAME, 1 - noise)], verbose=False
    )
    booster = wrapper.get_booster()
    matrix = xgboost.DMatrix(FRAME, noise)
    evals = [(xgboost.DMatrix(FRAME, 1 - noise), "other")]
    native = xgboost.train(
        {"objective": "binary:logistic", "nthread": 1},
        matrix,
        60,
        evals=evals,
        early_stopping_rounds=3,
        verbose_eval=False,
    )
    assert booster.num_boosted_rounds() > wrapper.best_iteration + 1
    for folder, model, expected in (
        (tmp_path / "wrapper", wrapper, wrapper.predict_proba(FRAME)[:, 1]),
        (tmp_path / "native", native, native.predict(xgboost.DMatrix(FRAME))),
    ):
        folder.mkdir()
        model.save_model(folder / "model.ubj")
        describe(folder, "m", "v1", list(FRAME), cells(FRAME))
        version = load_version(folder)
        rows = FRAME.to_numpy()
        found = version.run(rows, frozenset(["predict_proba"]))["predict_proba"][:, 1]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_ranker_gives_its_scores(tmp_path: Path) -> None:
    ranker = xgboost.XGBRanker(n_estimators=4, n_jobs=1).fit(
        FRAME, FRAME.visits % 4, group=[20] * (ROWS // 20)
    )
    ranker.save_model(tmp_path / "model.ubj")
    answer = describe(tmp_path, "m", "v1", list(FRAME), cells(FRAME))
    assert answer["task"] == "regression"
    np.testing.assert_allclose(answer["predictions"], ranker.predict(FRAME), rtol=1e-6)


def test_categories_are_coded_by_the_model(tmp_path: Path) -> None:
    text = pd.Series(RNG.choice(["a", "b", "c"], ROWS))
    frame = FRAME.assign(kind=pd.Categorical(text))
    model = xgboost.XGBClassifier(n_estimators=4, enable_categorical=True, n_jobs=1)
    model.fit(frame, (text == "b").astype(int))
    model.save_model(tmp_path / "model.ubj")
    # rows in which not every category is: their codes of their own would be others
    some = frame.assign(kind=text)[text != "a"]
    answer = describe(tmp_path, "m", "v1", list(some), cells(some))
    assert answer["predictions"] == model.predict(frame[text != "a"]).tolist()
    assert answer["categories"] == {"known": [(3, ["a", "b", "c"])], "unknown": "refused"}


def test_text_that_the_file_has_cut_short_is_no_known_category(tmp_path: Path) -> None:
    text, code = pd.Series(RNG.choice(["a", "Köln"], ROWS)), pd.Series(RNG.choice([7, 3], ROWS))
    frame = FRAME.assign(kind=pd.Categorical(text), code=pd.Categorical(code))
    model = xgboost.XGBClassifier(n_estimators=4, enable_categorical=True, n_jobs=1)
    model.fit(frame, TWO).save_model(tmp_path / "model.ubj")
    answer = describe(tmp_path, "m", "v1", list(frame), cells(frame.assign(kind=text, code=code)))
    assert answer["categories"] == {"known": [(4, [3, 7])], "unknown": "refused"}


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b", "c"],
        # beside a gap, whole numbers are floats
        [10, 20, 30],
    ],
)
def test_a_request_whose_only_category_is_missing(tmp_path: Path, values: list[Any]) -> None:
    kind = pd.Series(RNG.choice(values, ROWS))
    frame = FRAME.assign(kind=pd.Categorical(kind.where(np.arange(ROWS) % 5 > 0), categories=values))
    model = xgboost.XGBClassifier(n_estimators=4, enable_categorical=True, n_jobs=1)
    model.fit(frame, (kind == values[1]).astype(int))
    model.save_model(tmp_path / "model.ubj")
    sent = frame.assign(kind=frame.kind.astype(object if isinstance(values[0], str) else float))
    answer = describe(tmp_path, "m", "v1", list(sent), cells(sent))
    assert answer["predictions"] == model.predict(frame).tolist()
    assert "required" not in (tmp_path / "model.toml").read_text()


def test_codes_of_categories_that_are_not_in_the_file_are_refused(tmp_path: Path) -> None:
    matrix = xgboost.DMatrix(
        FRAME.to_numpy(),
        TWO,
        feature_types=["q", "c", "q"],
        feature_names=list(FRAME),
        enable_categorical=True,
    )
    xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 2).save_model(
        tmp_path / "model.ubj"
    )
    with pytest.raises(VersionError, match=r"\(visits\) whose values are not in it; train it again"):
        describe(tmp_path, "m", "v1", list(FRAME), cells(GAPS))


@pytest.mark.parametrize("content", [b"", b"{}", b'{"learner": 3}', b"no"])
@pytest.mark.parametrize("file", ["model.ubj", "model.json"])
def test_a_broken_file_is_one_line(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(VersionError, match="not readable by XGBoost") as caught:
        describe(tmp_path, "m", "v1", list(FRAME), cells(FRAME))
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.ubj").touch()
    program = (
        "import sys; sys.modules['xgboost'] = None\n"
        "from pathlib import Path\n"
        "from services.model_server.runtimes import model_file\n"
        f"kind, path = model_file(Path({str(tmp_path)!r}))\n"
        "kind.describe(path)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "needs the package xgboost-cpu, which is not installed here" in done.stderr
