"""What a model's own code says is kept apart from answers, and is said once."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import sklearn
from prometheus_client import CollectorRegistry
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.foreign_code import printed_by, warnings_of
from services.model_server.http.app import create_app
from services.model_server.version import load_version

PATH = Path("models/old/v1/model.joblib")
ROWS = np.random.default_rng(3).normal(size=(60, 2))


def test_a_warning_is_said_once_with_its_file_and_class() -> None:
    with warnings_of(PATH) as said:
        for _ in range(3):
            warnings.warn("two\nlines", UserWarning, stacklevel=1)
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name="Ridge", current_sklearn_version="1.9.1", original_sklearn_version="1.5.2"
                ),
                stacklevel=1,
            )
    saved = (
        "saved by scikit-learn 1.5.2, served by 1.9.1: its answers may differ (InconsistentVersionWarning)"
    )
    assert said == [f"{PATH}: UserWarning: two lines", f"{PATH}: {saved}"]


def test_what_is_printed_is_collected_even_where_it_comes_from_c(capfd: Any) -> None:
    with printed_by(PATH) as said:
        os.write(1, b"from C\nfrom C\n")
        os.write(2, b"\xff to standard error\n")
    assert said == [f"{PATH}: prints {line!r}" for line in ("from C", "� to standard error")]
    # as a logger writes it
    with printed_by(PATH) as said:
        os.write(2, b"2026/11/28 01:17:47 WARNING x\n2026/11/28 01:18:05 WARNING x\n")
    assert said == [f"{PATH}: prints '2026/11/28 01:17:47 WARNING x'"]
    with printed_by(PATH) as said:
        for number in range(1000):
            os.write(1, b"%d\n" % number)
    assert (len(said), said[-1]) == (9, "and 992 more lines")
    assert capfd.readouterr() == ("", "")


def test_the_streams_are_back_after_an_error(capfd: Any) -> None:
    with pytest.raises(KeyError), printed_by(PATH):
        raise KeyError
    os.write(1, b"back\n")
    assert capfd.readouterr().out == "back\n"


def test_a_chatty_model_is_described_all_the_same(tmp_path: Path) -> None:
    """LightGBM writes warnings to standard output, where the answers of ``describe`` travel."""
    model = lightgbm.LGBMClassifier(n_estimators=3, feature_fraction=0.8, min_data_in_leaf=5, n_jobs=1)
    model.fit(ROWS, ROWS[:, 0] > 0)
    (tmp_path / "v1").mkdir()
    joblib.dump(model, tmp_path / "v1" / "model.joblib")
    asked = {"folder": str(tmp_path), "name": "m", "columns": ["a", "b"], "rows": ROWS.tolist()}
    done = subprocess.run(
        [sys.executable, "-m", "services.model_server.describe"],
        input=json.dumps(asked), capture_output=True, text=True, check=True,
        env=os.environ | {"ALLOW_PICKLE": "m"},
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["predictions"] == model.predict(ROWS).tolist()
    printed = [note for note in answer["notes"] if "feature_fraction is set=0.8" in note]
    assert len(printed) == 1
    assert printed[0].startswith(f"{tmp_path}/v1/model.joblib: prints")


class Leaves:
    def __reduce__(self) -> Any:
        return (sys.exit, (3,))


LEAVES_IN_PREDICT = """
import sys
class M:
    task = "regression"
    def predict(self, frame):
        if (frame.a > 90).any():
            sys.exit(5)
        return frame.a
"""


def test_code_that_ends_the_process_when_it_is_loaded_is_one_line(tmp_path: Path) -> None:
    joblib.dump(Leaves(), tmp_path / "model.joblib")
    with pytest.raises(VersionError, match=r"model\.joblib: its code calls sys\.exit\(3\) when it is loaded"):
        describe(tmp_path, "m", "v1", ["a"], [[1.0]], ["m"])


def test_code_that_ends_the_process_in_predict_fails_only_its_own_request(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(LEAVES_IN_PREDICT, encoding="utf-8")
    with pytest.raises(VersionError, match=r"RuntimeError: the model's code calls sys\.exit\(5\)"):
        describe(tmp_path, "m", "v1", ["a"], [[91.0]], ["m"])
    assert describe(tmp_path, "m", "v1", ["a"], [[1.0]], ["m"])["predictions"] == [1.0]
    app = create_app(load_version(tmp_path, ["m"]), CollectorRegistry())
    statuses = []
    for cell in (91.0, 2.0):
        tensor = {"name": "a", "datatype": "FP64", "shape": [1], "data": [cell]}
        answer = app.test_client().post("/v2/models/m/infer", json={"inputs": [tensor]})
        statuses.append(answer.status_code)
    assert statuses == [500, 200]


def test_a_pickle_of_another_scikit_learn_is_served_with_a_note(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)
    joblib.dump(model, tmp_path / "model.joblib")
    content = (tmp_path / "model.joblib").read_bytes()
    here = sklearn.__version__.encode()
    assert content.count(here) == 1
    older = here[:-1] + bytes([here[-1] ^ 1])
    (tmp_path / "model.joblib").write_bytes(content.replace(here, older))
    answer = describe(tmp_path, "m", "v1", ["a", "b"], ROWS.tolist(), ["m"])
    said = f"saved by scikit-learn {older.decode()}, served by {sklearn.__version__}"
    assert [said in note for note in answer["notes"]] == [True]
    version = load_version(tmp_path, ["m"])
    assert said in version.metadata()["parameters"]["notes"][0]
    # what cannot be read at all names both, too
    (tmp_path / "model.joblib").write_bytes(content.replace(here, b"1.2.0").replace(b"coef_", b"coef\xff"))
    with pytest.raises(
        VersionError, match=rf"was saved by scikit-learn 1\.2\.0, which scikit-learn {sklearn.__version__}"
    ):
        load_version(tmp_path, ["m"])


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        # as a training script's own function is saved: its name in __main__, which is another module here
        (b"\x80\x04\x8c\x08__main__\x8c\x05ratio\x93.", "holds 'ratio' by name alone.*cloudpickle.dump"),
        # a model among other things
        (
            pickle.dumps({"model": 1, "features": ["a"]}),
            "holds a dict, no model of scikit-learn; save the model",
        ),
    ],
)
def test_what_a_pickle_lacks_is_named_with_the_way_out(tmp_path: Path, pickled: bytes, says: str) -> None:
    (tmp_path / "model.joblib").write_bytes(pickled)
    with pytest.raises(VersionError, match=says):
        describe(tmp_path, "m", "v1", ["a", "b"], ROWS.tolist(), ["m"])


def test_a_model_that_forgot_its_features_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)
    model.n_features_in_ = 0
    joblib.dump(model, tmp_path / "model.joblib")
    with pytest.raises(VersionError, match=r"does not say which features it takes.*model\.cbm"):
        describe(tmp_path, "m", "v1", ["a", "b"], ROWS.tolist(), ["m"])


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("not_a_library_at_all", "not_a_library_at_all"),
        # its AutoML needs what flaml alone does not bring
        ("flaml.automl.automl", "flaml[automl]"),
    ],
)
def test_a_missing_library_is_named(tmp_path: Path, module: str, package: str) -> None:
    (tmp_path / "model.joblib").write_bytes(f"c{module}\nModel\n.".encode())
    says = f"needs the package {package}, which is not installed here; write the line {package} into"
    with pytest.raises(VersionError, match=re.escape(says)):
        describe(tmp_path, "m", "v1", ["a", "b"], ROWS.tolist(), ["m"])
