"""LightGBM's own file: served with the answers of its scikit-learn wrapper, or refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from services.model_server.columns import Columns, column
from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.version import load_version

lightgbm = pytest.importorskip("lightgbm", reason="the optional library lightgbm is not installed")

RNG = np.random.default_rng(5)
ROWS = 160
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 9, ROWS), "visits": RNG.integers(0, 9, ROWS), "pay": RNG.gamma(2, 9, ROWS)}
)
GAPS = FRAME.assign(age=FRAME.age.where(RNG.random(ROWS) < 0.7))
KIND = pd.Series(RNG.choice(["hat", "shoe", "sock"], ROWS, p=[0.6, 0.3, 0.1]), dtype=object)
STORE = pd.Series(RNG.choice([901, 205, 33], ROWS))
TWO = (FRAME.visits > 4).astype(int)
THREE = pd.cut(FRAME.age, 3, labels=False)
VALUES = FRAME.pay * 2
SETTINGS = {"n_estimators": 6, "min_child_samples": 5, "n_jobs": 1, "verbose": -1}


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    return [
        [None if pd.isna(cell) else cell for cell in row] for row in frame.astype(object).to_numpy().tolist()
    ]


def classifier(**more: Any) -> Any:
    return lightgbm.LGBMClassifier(**SETTINGS, **more)


def regressor(**more: Any) -> Any:
    return lightgbm.LGBMRegressor(**SETTINGS, **more)


def served(folder: Path, frame: pd.DataFrame) -> tuple[dict[str, Any], Any]:
    """What ``describe`` says of the model in the folder, and the version that it made."""
    return describe(folder, "m", "v1", list(frame), cells(frame)), load_version(folder)


def as_columns(version: Any, frame: pd.DataFrame) -> Columns:
    given = dict(zip(frame, zip(*cells(frame), strict=True), strict=True))
    return Columns({spec.name: column(given[spec.name], spec.datatype) for spec in version.input})


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        (classifier(), TWO),
        (classifier(), THREE),
        (classifier(objective="multiclassova"), THREE),
        (classifier(boosting_type="dart"), TWO),
        (regressor(), VALUES),
        (regressor(objective="quantile", alpha=0.9), VALUES),
        (regressor(objective="poisson"), FRAME.visits),
        (regressor(objective="tweedie"), FRAME.visits),
        # a probability that is not of a class
        (regressor(objective="cross_entropy"), TWO),
        # the file cannot keep the function: values before any transformation, as the wrapper has it
        (regressor(objective=lambda truth, now: (now - truth, np.ones_like(now))), VALUES),
    ],
    ids=["two", "three", "ova", "dart", "l2", "quantile", "poisson", "tweedie", "xent", "custom"],
)
@pytest.mark.parametrize("frame", [FRAME, GAPS], ids=["matrix", "gaps"])
def test_the_wrapper_s_own_answers(tmp_path: Path, model: Any, labels: Any, frame: pd.DataFrame) -> None:
    model.fit(frame, labels).booster_.save_model(tmp_path / "model.txt")
    answer, version = served(tmp_path, frame)
    assert (version.platform, version.runner) == ("lightgbm", "lightgbm")
    assert answer["columns"] == list(frame)
    np.testing.assert_array_equal(answer["predictions"], model.predict(frame))
    if hasattr(model, "classes_"):
        assert version.classes == tuple(model.classes_)
        rows = frame.to_numpy() if frame is FRAME else as_columns(version, frame)
        found = version.run(rows, frozenset(["predict_proba"]))["predict_proba"]
        np.testing.assert_allclose(found, model.predict_proba(frame), atol=1e-12)


def test_a_ranker_gives_its_scores(tmp_path: Path) -> None:
    ranker = lightgbm.LGBMRanker(**SETTINGS).fit(FRAME, FRAME.visits % 4, group=[20] * 8)
    ranker.booster_.save_model(tmp_path / "model.txt")
    answer, version = served(tmp_path, FRAME)
    assert (answer["task"], version.classes) == ("regression", None)
    np.testing.assert_array_equal(answer["predictions"], ranker.predict(FRAME))


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        (classifier(), KIND == "shoe"),
        (classifier(), THREE.where(KIND != "shoe", 2)),
        (regressor(), VALUES * (KIND == "shoe")),
    ],
    ids=["two", "three", "regression"],
)
def test_categories_have_the_codes_that_were_learnt(tmp_path: Path, model: Any, labels: Any) -> None:
    frame = FRAME.assign(kind=pd.Categorical(KIND), store=pd.Categorical(STORE, [901, 205, 33]))
    model.fit(frame, labels.astype(int)).booster_.save_model(tmp_path / "model.txt")
    # not every category is in these rows: codes of their own would be others
    some = FRAME.assign(kind=KIND, store=STORE)[KIND != "hat"]
    answer, version = served(tmp_path, some)
    expected = frame[KIND != "hat"]
    np.testing.assert_array_equal(answer["predictions"], model.predict(expected))
    assert [spec.datatype for spec in version.input] == ["FP64", "INT64", "FP64", "BYTES", "INT64"]
    # the categories matter: the other way round there are other answers
    assert list(model.predict(expected)) != list(
        model.predict(expected.assign(kind=pd.Categorical(some.kind.map({"shoe": "sock", "sock": "shoe"}))))
    )


def test_an_unknown_category_is_missing_as_in_pandas(tmp_path: Path) -> None:
    frame = FRAME.assign(kind=pd.Categorical(KIND))
    model = classifier().fit(frame, (KIND == "shoe").astype(int))
    model.booster_.save_model(tmp_path / "model.txt")
    new = FRAME.assign(kind="boot")[:5]
    answer, _ = served(tmp_path, new)
    assert answer["predictions"] == list(
        model.predict(new.assign(kind=pd.Categorical([None] * 5, frame.kind.cat.categories)))
    )


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("file", ["model.txt", "model.joblib"])
@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (pd.Categorical(KIND), ["hat", "shoe", "sock"]),
        # codes; 9 is so rare that LightGBM leaves it out
        (KIND.map({"hat": 2, "shoe": 0, "sock": 5}).where(FRAME.index > 0, 9), [0, 2, 5]),
        (None, None),
    ],
    ids=["text", "codes", "none"],
)
def test_known_categories(tmp_path: Path, file: str, kind: Any, known: Any) -> None:
    frame = FRAME if kind is None else FRAME.assign(kind=kind)
    named = {"categorical_feature": ["kind"]} if known == [0, 2, 5] else {}
    model = classifier().fit(frame, TWO, **named)
    if file == "model.txt":
        model.booster_.save_model(tmp_path / file)
    else:
        joblib.dump(model, tmp_path / file)
    describe(tmp_path, "m", "v1", list(frame), cells(frame), ["m"])
    found = load_version(tmp_path, ["m"]).categories
    assert (found and (found.unknown, {at: sorted(of) for at, of in found.known.items()})) == (
        known and ("missing", {3: known})
    )


@pytest.mark.parametrize("named", ["given", "nameless", "blanks"])
def test_columns_are_found_by_name_if_the_file_has_names(tmp_path: Path, named: str) -> None:
    # LightGBM writes blanks in names as underscores
    frame = FRAME.rename(columns={"age": "age in years"}) if named == "blanks" else FRAME
    model = classifier().fit(frame.to_numpy() if named == "nameless" else frame, TWO)
    model.booster_.save_model(tmp_path / "model.txt")
    shuffled = frame if named == "nameless" else frame[[*reversed(frame.columns)]]
    answer, version = served(tmp_path, shuffled)
    assert (answer["columns"], version.columns) == (list(frame), tuple(frame))
    given = frame.to_numpy() if named == "nameless" else frame
    np.testing.assert_array_equal(answer["predictions"], model.predict(given))


def test_early_stopping_keeps_the_best_round(tmp_path: Path) -> None:
    noise = RNG.integers(0, 2, ROWS)
    model = lightgbm.LGBMClassifier(**SETTINGS | {"n_estimators": 60}, early_stopping_round=3)
    model.fit(FRAME, noise, eval_X=FRAME, eval_y=1 - noise)
    assert model.best_iteration_ < 60
    model.booster_.save_model(tmp_path / "model.txt")
    np.testing.assert_array_equal(served(tmp_path, FRAME)[0]["predictions"], model.predict(FRAME))


@pytest.mark.parametrize(
    ("fitted", "toml", "message"),
    [
        # numbers of a matrix would be codes
        (
            lambda: classifier().fit(FRAME[["age"]].assign(store=pd.Categorical(STORE)), TWO),
            '[[inputs]]\nname = "x"\ndatatype = "FP64"\nshape = [-1, 2]\n',
            r"taken for their codes; delete model\.toml, and `loadproof init",
        ),
        (
            lambda: classifier().fit(FRAME[["age"]].assign(store=pd.Categorical(STORE)), TWO),
            '[columns]\nage = "FP64"\nstore = "BYTES"\n',
            "categories of 'store' that are numbers such as 33, and the column holds text; write numbers",
        ),
        # which of both was of that type is not in the file
        (
            lambda: classifier().fit(
                FRAME[["visits"]].assign(store=pd.Categorical(STORE)),
                TWO,
                categorical_feature=["visits", "store"],
            ),
            '[columns]\nvisits = "INT64"\nstore = "INT64"\n',
            "2 categorical features, of which 1 were of pandas' type category",
        ),
        (
            lambda: regressor().fit(FRAME[["age", "pay"]], VALUES),
            '[columns]\nage = "FP64"\npay = "FP64"\n',
            "is a regression model, model.toml says classification; make them agree",
        ),
    ],
)
def test_what_does_not_fit_model_toml_is_refused(
    tmp_path: Path, fitted: Any, toml: str, message: str
) -> None:
    fitted().booster_.save_model(tmp_path / "model.txt")
    (tmp_path / "model.toml").write_text(
        f'name = "m"\nversion = "v1"\ntask = "classification"\n{toml}', encoding="utf-8"
    )
    with pytest.raises(VersionError, match=message):
        load_version(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"no", b"tree\n", b"tree\nversion=v4\nnum_class=1\n", b"\xff\x00"]
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.txt").write_bytes(content)
    with pytest.raises(VersionError, match="not readable by LightGBM") as caught:
        describe(tmp_path, "m", "v1", list(FRAME), cells(FRAME))
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.txt").touch()
    program = (
        "import sys; sys.modules['lightgbm'] = None\n"
        "from pathlib import Path\n"
        "from services.model_server.runtimes import model_file\n"
        f"kind, path = model_file(Path({str(tmp_path)!r}))\n"
        "kind.describe(path)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "needs the package lightgbm, which is not installed here" in done.stderr
