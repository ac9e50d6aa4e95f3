"""A class of one's own in ``model.py``: run only when allowed, on a frame, and never a traceback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.model_server.columns import Columns
from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.version import load_version

COLUMNS = ["age", "city", "member"]
ROWS: list[list[Any]] = [[41.5, "Rome", True], [None, "Bern", False], [17.0, None, None]]

REGRESSION = """
from __future__ import annotations
import dataclasses
import json
from pathlib import Path

@dataclasses.dataclass
class Settings:
    rate: float

class Price:
    task = "regression"

    def __init__(self):
        self.settings = Settings(**json.loads((Path(__file__).parent / "settings.json").read_text()))

    def predict(self, frame):
        assert frame.city.dtype == object and frame.city.isna().sum() in (0, 1)
        return frame.age.fillna(30) * self.settings.rate + frame.city.eq("Rome")
"""

CLASSIFIER = """
import numpy as np

class Model:
    classes = ["cheap", "dear"]

    def predict_proba(self, frame):
        frame["dear"] = frame.age.gt(20) * 0.75
        return np.column_stack([1 - frame.dear, frame.dear])

    def predict(self, frame):
        assert "dear" not in frame
        return ["dear" if age > 20 else "cheap" for age in frame.age]
"""


def written(folder: Path, program: str) -> Path:
    (folder / "model.py").write_text(program, encoding="utf-8")
    (folder / "settings.json").write_text('{"rate": 2.0}', encoding="utf-8")
    return folder


def served(folder: Path, columns: Any = COLUMNS, rows: Any = ROWS) -> dict[str, Any]:
    return describe(folder, "mine", "v1", columns, rows, ["mine"])


def test_a_regression_of_one_s_own(tmp_path: Path) -> None:
    answer = served(written(tmp_path, REGRESSION))
    assert (answer["task"], answer["predictions"]) == ("regression", [84.0, 60.0, 34.0])
    version = load_version(tmp_path, ["mine"])
    assert (version.platform, version.runner) == ("python", "python")
    assert [spec.datatype for spec in version.input] == ["FP64", "BYTES", "BOOL"]
    assert not (tmp_path / "__pycache__").exists()


def test_a_classifier_of_one_s_own_with_probabilities(tmp_path: Path) -> None:
    answer = served(written(tmp_path, CLASSIFIER))
    assert (answer["task"], answer["predictions"]) == ("classification", ["dear", "cheap", "cheap"])
    version = load_version(tmp_path, ["mine"])
    assert version.classes == ("cheap", "dear")
    ages = Columns({"age": np.array([41.5]), "city": np.array([None]), "member": np.array([True])})
    found = version.run(ages, frozenset(["predict", "predict_proba"]))
    assert found["predict_proba"].tolist() == [[0.25, 0.75]]


def test_numbers_alone_are_a_frame_with_names_too(tmp_path: Path) -> None:
    program = (
        "class M:\n    task = 'regression'\n    columns = ['b', 'a']\n    predict = lambda s, f: f.a - f.b"
    )
    answer = served(written(tmp_path, program), ["a", "b"], [[5, 1], [7, 9]])
    assert (answer["columns"], answer["predictions"]) == (["b", "a"], [4.0, -2.0])


@pytest.mark.parametrize(
    ("answer", "predictions"),
    [
        ("frame.age.fillna(1).round().astype('Int64')", [42, 1, 17]),
        ("frame[['city']].fillna('?')", ["Rome", "Bern", "?"]),
        ("[1, 2, 3][: len(frame)]", [1, 2, 3]),
        ("frame.city.fillna('?').astype('string')", ["Rome", "Bern", "?"]),
        ("frame.age.gt(20)", [True, False, False]),
        # of one row alone a number, as scikit-lego's GroupedPredictor answers
        ("frame.age.fillna(1).round().astype(int).to_numpy().squeeze()", [42, 1, 17]),
    ],
)
def test_answers_in_whatever_holds_one_value_per_row(tmp_path: Path, answer: str, predictions: Any) -> None:
    program = f"class M:\n    task = 'classification'\n    def predict(self, frame):\n        return {answer}"
    assert served(written(tmp_path, program))["predictions"] == predictions


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("class Model:\n    predict = 1 +", r"fails when it is loaded, in line 2 \(SyntaxError"),
        ("x = 1\ny = x / 0", r"fails when it is loaded, in line 2 \(ZeroDivisionError"),
        ("import sys\nsys.exit(0)", r"fails when it is loaded, in line 2 \(SystemExit: 0\)"),
        ("import features_of_mine", r"needs the package features_of_mine, which is not installed here"),
        ("from collections import Counter", r"must have predict\(self, frame\), and none does"),
        (
            "class A:\n    def predict(self, f): ...\nclass B(A):\n    pass",
            "the classes A, B do; name one of them Model",
        ),
        (
            "class M:\n    def __init__(self, depth): ...\n    def predict(self, f): ...",
            r"fails when it is loaded \(TypeError: .*missing 1 required positional argument: 'depth'",
        ),
        ("class M:\n    def predict(self, f): ...", "class M does not say what it does; give it task = "),
        (
            "class M:\n    task = 'ranking'\n    def predict(self, f): ...",
            "class M does not say what it does; give it task = ",
        ),
        (
            "class M:\n    task = 'regression'\n    columns = 'age'\n    def predict(self, f): ...",
            "columns of the class M must be a list of names, got 'age'",
        ),
        (
            "class M:\n    task = 'regression'\n    def predict(self, f): return [1.0]",
            "ValueError: M.predict gives 1 answers for 3 rows",
        ),
        (
            "class M:\n    task = 'regression'\n    def predict(self, f): return f.size_in_m2",
            "fails on the first rows of the evaluation set .*has no attribute 'size_in_m2'",
        ),
    ],
)
def test_whatever_it_raises_is_one_line(tmp_path: Path, program: str, message: str) -> None:
    with pytest.raises(VersionError, match=message) as caught:
        served(written(tmp_path, program))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'model.py'}: ")


def test_what_fails_on_the_rows_that_are_there_names_them(tmp_path: Path) -> None:
    served(written(tmp_path, REGRESSION))
    written(tmp_path, REGRESSION.replace("frame.age", "frame.size_in_m2"))
    with pytest.raises(VersionError, match=r"fails on the rows of examples.parquet .*correct them or model"):
        served(tmp_path)


def test_what_takes_no_row_alone_is_refused(tmp_path: Path) -> None:
    program = (
        "class M:\n    task = 'regression'\n    def predict(self, f): return [1 // (len(f) // 2)] * len(f)"
    )
    with pytest.raises(
        VersionError, match=r"answers 2 rows, and fails on the first alone .*may have one row"
    ):
        served(written(tmp_path, program), ["a", "b"], [[5, 1], [7, 9]])


def test_it_does_not_run_unless_it_is_allowed(tmp_path: Path) -> None:
    written(tmp_path, "raise SystemError('it ran')")
    with pytest.raises(VersionError) as caught:
        describe(tmp_path, "mine", "v1", COLUMNS, ROWS, ["yours"])
    assert str(caught.value) == (
        f"{tmp_path / 'model.py'}: loading a program runs the code in it; if you trust whoever made it, "
        "allow it by name with ALLOW_PICKLE=mine in the environment, or bring the "
        "model in its library's own format instead"
    )


def test_two_versions_in_one_process_are_two_programs(tmp_path: Path) -> None:
    answers = []
    for version in ("1", "2"):
        folder = tmp_path / version
        folder.mkdir()
        program = (
            f"RATE = {version}\nclass M:\n    task = 'regression'\n"
            "    def predict(self, f): return f.age * RATE"
        )
        answers.append(served(written(folder, program), ["age"], [[3.0]])["predictions"])
    assert answers == [[3.0], [6.0]]
    assert "model" not in sys.modules


def test_a_matrix_is_not_what_it_takes(tmp_path: Path) -> None:
    written(tmp_path, REGRESSION)
    (tmp_path / "model.toml").write_text(
        'name = "mine"\nversion = "v1"\ntask = "regression"\n'
        '[[inputs]]\nname = "x"\ndatatype = "FP64"\nshape = [-1, 3]\n',
        encoding="utf-8",
    )
    with pytest.raises(VersionError, match=r"takes a data frame; delete model\.toml, and `loadproof init"):
        load_version(tmp_path, ["mine"])
