"""MLflow model folders: their file is loaded as any of its format, and nothing in them is believed."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
import yaml
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from services.model_server.describe import describe
from services.model_server.errors import VersionError
from services.model_server.runtimes import find_versions
from services.model_server.version import load_version

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame({"a": RNG.normal(size=60), "b": RNG.normal(size=60)})
LABELS = (FRAME.a > 0).astype(int)
SIGNATURE = {
    "inputs": '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]',
    "outputs": '[{"type": "double"}]',
}
FUNCTION = {"python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}}


def written(folder: Path, flavours: Any, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    document = {"flavors": flavours, "signature": SIGNATURE, **more}
    (folder / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def served(folder: Path, allowed: tuple[str, ...] = ()) -> dict[str, Any]:
    columns = FRAME[["b", "a"]]
    return describe(folder, "m", "v1", list(columns), columns.to_numpy().tolist(), allowed)


def fitted(named: bool = True) -> Any:
    return LogisticRegression().fit(FRAME if named else FRAME.to_numpy(), LABELS)


def of_sklearn(folder: Path, file: str, **more: Any) -> Path:
    return written(folder, {**FUNCTION, "sklearn": {"pickled_model": file, **more}})


@pytest.mark.parametrize("named", [True, False], ids=["names", "signature"])
def test_a_model_saved_by_skops_runs_no_code(tmp_path: Path, named: bool) -> None:
    model = fitted(named)
    skops.io.dump(model, tmp_path / "model.skops")
    answer = served(of_sklearn(tmp_path, "model.skops"))
    # the model's names or, where it has none, the signature's
    assert answer["columns"] == ["a", "b"]
    assert answer["predictions"] == model.predict(FRAME if named else FRAME.to_numpy()).tolist()
    assert load_version(tmp_path).platform == "sklearn"


def test_xgboost_s_own_file(tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(FRAME, LABELS)
    model.save_model(tmp_path / "model.ubj")
    written(tmp_path, {**FUNCTION, "xgboost": {"data": "model.ubj", "model_format": "ubj"}})
    assert served(tmp_path)["predictions"] == model.predict(FRAME).tolist()


def test_lightgbm_s_own_file(tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm", reason="the optional library lightgbm is not installed")
    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(FRAME, LABELS)
    model.booster_.save_model(tmp_path / "model.lgb")
    written(tmp_path, {**FUNCTION, "lightgbm": {"data": "model.lgb"}})
    assert served(tmp_path)["predictions"] == model.predict(FRAME).tolist()


def test_a_wrapper_of_lightgbm_as_mlflow_saves_it_is_refused_with_what_mlflow_can_do(tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(FRAME, LABELS)
    skops.io.dump(model, tmp_path / "model.skops")
    written(tmp_path, {**FUNCTION, "lightgbm": {"data": "model.skops"}})
    with pytest.raises(
        VersionError, match=r"mlflow\.lightgbm\.save_model.*serialization_format.*model\.booster_"
    ):
        served(tmp_path)
    # either is followed; only the pickle needs to be allowed
    model.booster_.save_model(tmp_path / "model.lgb")
    written(tmp_path, {**FUNCTION, "lightgbm": {"data": "model.lgb"}})
    assert served(tmp_path)["predictions"] == model.predict(FRAME).tolist()
    joblib.dump(model, tmp_path / "model.pkl")
    written(tmp_path, {**FUNCTION, "lightgbm": {"data": "model.pkl"}})
    assert served(tmp_path, ("m",))["predictions"] == model.predict(FRAME).tolist()


def test_trusted_types_in_the_file_are_not_believed(tmp_path: Path) -> None:
    skops.io.dump(FunctionTransformer(np.loadtxt), tmp_path / "model.skops")
    of_sklearn(tmp_path, "model.skops", skops_trusted_types=["numpy.loadtxt"])
    with pytest.raises(VersionError, match=r"holds types that are not known to be safe \(numpy.loadtxt\)"):
        served(tmp_path)


class Bomb:
    def __reduce__(self) -> Any:
        return (sys.exit, ("it ran",))


def test_a_pickle_must_be_allowed_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    of_sklearn(tmp_path, "model.pkl", serialization_format="skops")
    with pytest.raises(
        VersionError, match=r"model\.pkl: loading a pickle runs the code in it; .*ALLOW_PICKLE=m"
    ):
        served(tmp_path)
    joblib.dump(fitted(), tmp_path / "model.pkl")
    assert served(tmp_path, ("m",))["predictions"] == fitted().predict(FRAME).tolist()


def test_a_python_function_must_be_allowed_by_name(tmp_path: Path) -> None:
    (tmp_path / "python_model.pkl").write_bytes(pickle.dumps(Bomb()))
    written(tmp_path, FUNCTION)
    with pytest.raises(VersionError, match="MLmodel: loading MLflow's python_function runs the code in it"):
        served(tmp_path)


@pytest.mark.parametrize("named", ["/etc/passwd", "../model.skops", "gone.skops", ""])
def test_a_file_outside_of_the_folder_is_not_read(tmp_path: Path, named: str) -> None:
    skops.io.dump(fitted(), tmp_path / "model.skops")
    folder = of_sklearn(tmp_path / "v1", named)
    with pytest.raises(VersionError, match=r"as the file of its flavour sklearn, and the folder has no such"):
        served(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no flavors, so it is no MLflow model"),
        ("- 1", "has no flavors, so it is no MLflow model"),
        ("flavors: [", "not readable as YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not readable as YAML"),
        ("flavors: {spark: {}}", "has the flavours spark, none of which is known here"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "MLmodel").write_text(content, encoding="utf-8")
    with pytest.raises(VersionError, match=message) as caught:
        served(tmp_path)
    assert "\n" not in str(caught.value)


def test_folders_of_mlflow_are_versions(tmp_path: Path) -> None:
    written(tmp_path / "v1", FUNCTION)
    (tmp_path / "v2").mkdir()
    written(tmp_path / "v2" / "model", FUNCTION)
    assert find_versions(tmp_path) == ["v1", "v2"]


def test_a_version_holds_the_folder_as_mlflow_downloads_it(tmp_path: Path) -> None:
    frame = FRAME.assign(b=np.where(FRAME.b > 0, FRAME.b, np.nan))
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame, LABELS)
    (tmp_path / "model").mkdir()
    skops.io.dump(model, tmp_path / "model" / "model.skops")
    of_sklearn(tmp_path / "model", "model.skops")
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    answer = describe(tmp_path, "m", "v1", list(frame), rows)
    assert answer["predictions"] == model.predict(frame).tolist()
    # beside the folder, which stays as it is
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples.parquet", "model", "model.toml"]
    assert load_version(tmp_path).columns == ("a", "b")


# MLflow warns of what it saves, in its own words
@pytest.mark.filterwarnings("ignore")
def test_what_mlflow_itself_saves_and_runs(tmp_path: Path) -> None:
    """With the real library: a function that adds, and the same classifier by two of its flavours."""
    mlflow = pytest.importorskip("mlflow", reason="the optional library mlflow is not installed")
    signature = mlflow.models.infer_signature(FRAME, FRAME.a)
    (tmp_path / "code.py").write_text(
        "import mlflow\nclass Sum(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input['a'] + 2 * model_input['b']\n"
        "mlflow.models.set_model(Sum())\n",
        encoding="utf-8",
    )
    mlflow.pyfunc.save_model(
        str(tmp_path / "sum"),
        python_model=str(tmp_path / "code.py"),
        signature=signature,
        pip_requirements=["pandas"],
    )
    answer = served(tmp_path / "sum", ("m",))
    np.testing.assert_array_equal(answer["predictions"], FRAME.a + 2 * FRAME.b)
    assert (answer["task"], load_version(tmp_path / "sum", ["m"]).runner) == ("regression", "mlflow")
    # a signature without outputs: the answers have fractions
    mlflow.pyfunc.save_model(
        str(tmp_path / "silent"),
        python_model=str(tmp_path / "code.py"),
        signature=mlflow.models.infer_signature(FRAME),
        pip_requirements=["pandas"],
    )
    assert served(tmp_path / "silent", ("m",))["task"] == "regression"
    mlflow.sklearn.save_model(
        fitted(), str(tmp_path / "skops"), serialization_format="skops", pip_requirements=["scikit-learn"]
    )
    assert served(tmp_path / "skops")["predictions"] == fitted().predict(FRAME).tolist()
