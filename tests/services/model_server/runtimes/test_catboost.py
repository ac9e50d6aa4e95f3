"""CatBoost's own file: served with the answers of its own wrapper, or refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.model_server.columns import Columns, column
from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.version import load_version

catboost = pytest.importorskip("catboost", reason="the optional library catboost is not installed")

RNG = np.random.default_rng(5)
ROWS = 160
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 9, ROWS), "visits": RNG.integers(0, 9, ROWS), "pay": RNG.gamma(2, 9, ROWS)}
)
GAPS = FRAME.assign(age=FRAME.age.where(RNG.random(ROWS) < 0.7))
MIXED = GAPS.assign(
    kind=pd.Series(RNG.choice(["hat", "shoe", "sock"], ROWS, p=[0.6, 0.3, 0.1]), dtype=object),
    store=RNG.choice([901, 205, 33], ROWS),
    member=RNG.random(ROWS) < 0.5,
)
WORDS = MIXED.assign(said=pd.Series(RNG.choice(["good hat", "bad shoe here", "good"], ROWS), dtype=object))
TWO = ((MIXED.kind == "shoe") | (MIXED.store == 33)).astype(int)
THREE = pd.cut(FRAME.age, 3, labels=False)
VALUES = FRAME.pay * 2
CATEGORIES = {"cat_features": ["kind", "store", "member"]}
SETTINGS = {"iterations": 8, "verbose": False, "thread_count": 1, "allow_writing_files": False}


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    return [
        [None if pd.isna(cell) else cell for cell in row] for row in frame.astype(object).to_numpy().tolist()
    ]


def classifier(**more: Any) -> Any:
    return catboost.CatBoostClassifier(**SETTINGS, **more)


def regressor(**more: Any) -> Any:
    return catboost.CatBoostRegressor(**SETTINGS, **more)


def served(folder: Path, frame: pd.DataFrame) -> tuple[dict[str, Any], Any]:
    """What ``describe`` says of the model in the folder, and the version that it made."""
    return describe(folder, "m", "v1", list(frame), cells(frame)), load_version(folder)


def rows_of(version: Any, frame: pd.DataFrame) -> Any:
    if not isinstance(version.input, tuple):
        return frame.to_numpy(np.float64)
    given = dict(zip(frame, zip(*cells(frame), strict=True), strict=True))
    return Columns({spec.name: column(given[spec.name], spec.datatype) for spec in version.input})


@pytest.mark.parametrize(
    ("model", "frame", "labels", "more"),
    [
        (classifier(), FRAME, TWO, {}),
        (classifier(), GAPS, np.where(TWO, "yes", "no"), {}),
        (classifier(), GAPS, TWO == 1, {}),
        (classifier(), MIXED, TWO, CATEGORIES),
        (classifier(), MIXED, THREE.map({0: "low", 1: "mid", 2: "high"}), CATEGORIES),
        (classifier(loss_function="MultiClassOneVsAll"), MIXED, THREE, CATEGORIES),
        (classifier(grow_policy="Lossguide"), MIXED, TWO, CATEGORIES),
        (classifier(), WORDS, TWO, CATEGORIES | {"text_features": ["said"]}),
        (regressor(), FRAME, VALUES, {}),
        (regressor(), MIXED, VALUES, CATEGORIES),
        (regressor(loss_function="Quantile:alpha=0.9"), MIXED, VALUES, CATEGORIES),
        # its own wrapper answers with the exponent of what the trees give
        (regressor(loss_function="Poisson"), MIXED, FRAME.visits, CATEGORIES),
        (regressor(loss_function="Tweedie:variance_power=1.5"), MIXED, FRAME.visits, CATEGORIES),
    ],
    ids=[
        *("two", "text-labels", "truth", "categories", "three-named", "ova", "lossguide", "text"),
        *("rmse", "rmse-categories", "quantile", "poisson", "tweedie"),
    ],
)
def test_the_wrapper_s_own_answers(tmp_path: Path, model: Any, frame: Any, labels: Any, more: Any) -> None:
    model.fit(frame, labels, **more).save_model(tmp_path / "model.cbm")
    answer, version = served(tmp_path, frame)
    assert (version.platform, version.runner, version.notes) == ("catboost", "catboost", ())
    assert answer["columns"] == list(frame)
    np.testing.assert_array_equal(answer["predictions"], np.ravel(model.predict(frame)))
    rows = rows_of(version, frame)
    one_by_one = [version.run(rows[at : at + 1], frozenset(["predict"]))["predict"][0] for at in range(9)]
    np.testing.assert_array_equal(one_by_one, np.ravel(model.predict(frame))[:9])
    if version.classes:
        assert version.classes == tuple(model.classes_)
        found = version.run(rows, frozenset(["predict_proba"]))["predict_proba"]
        np.testing.assert_allclose(found, model.predict_proba(frame), atol=1e-12)


def test_a_ranker_gives_its_scores(tmp_path: Path) -> None:
    ranker = catboost.CatBoostRanker(**SETTINGS)
    ranker.fit(FRAME, FRAME.visits % 4, group_id=np.arange(ROWS) // 20).save_model(tmp_path / "model.cbm")
    answer, version = served(tmp_path, FRAME)
    assert (answer["task"], version.classes) == ("regression", None)
    np.testing.assert_array_equal(answer["predictions"], ranker.predict(FRAME))


def test_a_missing_category_is_nan_a_missing_text_is_empty_and_both_are_reported(tmp_path: Path) -> None:
    gaps = WORDS.assign(
        kind=WORDS.kind.where(WORDS.visits > 2, None), said=WORDS.said.where(WORDS.visits != 5, None)
    )
    # what people do, because CatBoost takes no missing cell there
    filled = gaps.assign(
        kind=gaps.kind.astype(object).where(gaps.kind.notna(), "nan"), said=gaps.said.fillna("")
    )
    model = classifier().fit(filled, TWO, **CATEGORIES, text_features=["said"])
    model.save_model(tmp_path / "model.cbm")
    answer, version = served(tmp_path, gaps)
    np.testing.assert_array_equal(answer["predictions"], model.predict(filled))
    notes = "\n".join(version.notes)
    assert "no missing category: those of 'kind' are given as 'nan'" in notes
    assert "no missing text: those of 'said' are given as ''" in notes


def test_columns_are_found_by_name_if_the_file_has_names(tmp_path: Path) -> None:
    model = classifier().fit(MIXED, TWO, **CATEGORIES)
    model.save_model(tmp_path / "model.cbm")
    answer, version = served(tmp_path, MIXED[[*reversed(MIXED.columns)]].assign(id=range(ROWS)))
    assert (answer["columns"], version.columns) == (list(MIXED), tuple(MIXED))
    np.testing.assert_array_equal(answer["predictions"], model.predict(MIXED))


def test_categories_of_a_model_without_names_are_columns_in_the_file_s_order(tmp_path: Path) -> None:
    model = classifier().fit(MIXED.to_numpy(), TWO, cat_features=[3, 4, 5])
    model.save_model(tmp_path / "model.cbm")
    answer, version = served(tmp_path, MIXED)
    assert [spec.datatype for spec in version.input] == ["FP64", "INT64", "FP64", "BYTES", "INT64", "BOOL"]
    np.testing.assert_array_equal(answer["predictions"], model.predict(MIXED.to_numpy()))


MATRIX = (
    'name = "m"\nversion = "v1"\ntask = "classification"\n'
    '[[inputs]]\nname = "x"\ndatatype = "FP64"\nshape = [-1, 6]\n'
)


@pytest.mark.parametrize(
    ("content", "toml", "frame", "refusal"),
    [
        (b"junk", None, FRAME, "not readable by CatBoost"),
        (b"", None, FRAME, "not readable by CatBoost"),
        # cut off
        (200, None, FRAME, "not readable by CatBoost"),
        (None, MATRIX, MIXED, "learnt from category; delete model.toml"),
        (None, MATRIX.replace("classification", "regression"), MIXED, "is a classification model"),
        # fractions are no categories for CatBoost either
        (None, None, MIXED.assign(store=MIXED.store + 0.5), "from 'store' as a category, the column is FP64"),
    ],
    ids=["junk", "empty", "cut", "matrix", "task", "fractions"],
)
def test_refusals_are_one_line(
    tmp_path: Path, content: Any, toml: str | None, frame: Any, refusal: str
) -> None:
    file = tmp_path / "model.cbm"
    classifier().fit(MIXED, TWO, **CATEGORIES).save_model(file)
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else file.read_bytes()[:content])
    if toml:
        (tmp_path / "model.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(VersionError) as caught:
        describe(tmp_path, "m", "v1", list(frame), cells(frame))
    assert refusal in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library_the_line_to_add_is_named(tmp_path: Path) -> None:
    classifier().fit(FRAME, TWO).save_model(tmp_path / "model.cbm")
    program = (
        "import sys; sys.modules['catboost'] = None\n"
        "from pathlib import Path; from services.model_server.runtimes import model_file\n"
        f"kind, path = model_file(Path({str(tmp_path)!r}))\n"
        "kind.describe(path)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"write the line catboost into {tmp_path / 'requirements.txt'}" in done.stderr
