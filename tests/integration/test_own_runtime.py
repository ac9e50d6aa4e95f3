"""Stable on the scikit-learn it was trained with, the candidate on ours: one verdict over both."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest

from loadtest.lab.local.environments import environment_python
from loadtest.lab.own_runtime import own_runtime
from tests.command import command

pytestmark = pytest.mark.integration

TRAIN = """
import sys
from pathlib import Path
import numpy as np, pandas as pd, skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
rng = np.random.default_rng(1)
rows = pd.DataFrame({"age": rng.normal(40, 10, 400), "city": rng.choice(["Rome", "Oslo"], 400)})
labels = np.where((rows.age > 40) ^ (rows.city == "Oslo"), "yes", "no")
encoded = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["city"]))
model = make_pipeline(encoded, LogisticRegression()).fit(rows, labels)
folder = Path(sys.argv[1])
skops.io.dump(model, folder / "model.skops")
rows.head(20).to_csv(folder / "examples.csv", index=False)
rows.assign(label=labels).to_csv(folder.parent.parent / "rows.csv", index=False)
"""
MODEL = """
name = "m"
version = "{version}"
task = "classification"
[columns]
age = "FP64"
city = "BYTES"
"""
EXPERIMENT = """
name = "old-and-new"
gates = ["error_rate <= stable + 5pp"]
[model]
name = "m"
folder = "m"
[data]
path = "rows.csv"
label = "label"
[load]
rate = 20
duration = "4s"
warmup = "1s"
baseline = "1s"
max_lag = "10s"
timeout = "10s"
"""


def test_each_version_runs_on_its_own_packages(tmp_path):
    for version in ("v1", "v2"):
        folder = tmp_path / "m" / version
        folder.mkdir(parents=True)
        (folder / "model.toml").write_text(MODEL.format(version=version), encoding="utf-8")
    old = tmp_path / "m" / "v1"
    (old / "requirements.txt").write_text("scikit-learn==1.5.2\npandas==2.2.3\n", encoding="utf-8")
    runtime = own_runtime(old)
    assert runtime
    pythons = {"v1": environment_python(runtime, old, print), "v2": Path(sys.executable)}
    for version, python in pythons.items():
        subprocess.run([str(python), "-c", TRAIN, str(tmp_path / "m" / version)], check=True)
        _as_parquet(tmp_path / "m" / version)
    (tmp_path / "e.toml").write_text(EXPERIMENT, encoding="utf-8")
    with contextlib.chdir(tmp_path):
        code, said = command("compare", "--experiment", "e.toml", "--backend", "local")
    assert code == 0, said
    verdict = (tmp_path / "results" / "latest" / "verdict.json").read_text(encoding="utf-8")
    assert json.loads(verdict)["verdict"] == "PASS"


def _as_parquet(folder):
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(folder / "examples.csv"), folder / "examples.parquet")
