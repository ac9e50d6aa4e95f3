"""A pipeline over text, gaps, integers and truth values: from a folder to a verdict on its own answers."""

import contextlib
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skops.io import dump

from contract.label_text import label_text
from contract.model_toml import Columns, read_model_toml
from loadtest.data.dataset import Dataset
from loadtest.experiment.sections import Data
from tests.command import command

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROWS = 600
TEXT, NUMBERS = ["city", "plan"], ["age", "visits"]
QUICK = {
    'duration = "60s"': 'duration = "3s"\nwarmup = "1s"\nmax_lag = "5s"\ntimeout = "20s"\nbaseline = "120s"',
    "rate = 50": "rate = 20\nrows_per_request = {1 = 1, 5 = 1}",
}


def people():
    rng = np.random.default_rng(7)
    age = rng.normal(40, 12, ROWS).round()
    age[rng.random(ROWS) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "id": 10**18 + np.arange(ROWS),
            "city": rng.choice(["Köln", 'the "old" town, north', "two\nlines", None], ROWS),
            "plan": rng.choice(["free", "01", "NA"], ROWS),
            "age": age,
            "visits": rng.poisson(4, ROWS),
            "member": rng.random(ROWS) < 0.3,
        }
    )


def pipeline(text):
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    )
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = [("text", words, text), ("numbers", numbers, NUMBERS), ("as it is", "passthrough", ["member"])]
    return Pipeline([("columns", ColumnTransformer(columns)), ("model", LogisticRegression())])


def loadproof(folder, *arguments):
    with contextlib.chdir(folder):
        return command(*arguments)


def test_from_a_folder_to_a_verdict(tmp_path):
    frame = people()
    label = np.where(frame.member ^ (frame.visits > 4) ^ (frame.plan == "01"), "buys", "leaves")
    # the candidate takes a column more
    taken = {"v1": ["plan", *NUMBERS, "member"], "v2": [*TEXT, *NUMBERS, "member"]}
    models = {}
    for version, text in (("v1", ["plan"]), ("v2", TEXT)):
        models[version] = pipeline(text).fit(frame[taken[version]], label)
        (tmp_path / "people" / version).mkdir(parents=True)
        dump(models[version], tmp_path / "people" / version / "model.skops")
    rows = frame.assign(label=label)
    rows.to_csv(tmp_path / "people" / "evaluation.csv", index=False)
    # Parquet, which has types of its own, says the same
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    csv, parquet = (
        Dataset.read(Data(path=tmp_path / file, label="label")).sent.columns
        for file in ("people/evaluation.csv", "rows.parquet")
    )
    assert [column.to_pylist() for column in csv] == [column.to_pylist() for column in parquet]

    code, said = loadproof(tmp_path, "init", "people")

    assert code == 0, said
    assert "not sent: id (not among the features)" in said
    assert "sent to v1: plan, age, visits, member; not city, which it does not take" in said
    datatypes = {"city": "BYTES", "plan": "BYTES", "age": "FP64", "visits": "INT64", "member": "BOOL"}
    for version, names in taken.items():
        given = read_model_toml(tmp_path / "people" / version).input
        # to a truth value that is missing the pipeline has no answer
        assert given == Columns(tuple((name, datatypes[name]) for name in names), required=("member",))

    experiment = tmp_path / "people.toml"
    text = experiment.read_text()
    for was, now in QUICK.items():
        assert was in text
        text = text.replace(was, now)
    experiment.write_text(text)
    code, said = loadproof(tmp_path, "compare", "--experiment", "people.toml", "--backend", "local")

    assert code in (0, 1, 3), said
    assert "sent to stable: plan, age, visits, member; not city, which it does not take" in said
    run = tmp_path / "results" / "latest"
    for version in json.loads((run / "verdict.json").read_text())["versions"].values():
        assert (version["errors"], version["mismatches"]) == (0, 0)
        assert version["requests"] < version["rows"] == version["compared"]
    samples = pq.read_table(run / "samples.parquet", columns=["role", "row", "prediction"]).to_pylist()
    for role, version in (("stable", "v1"), ("candidate", "v2")):
        own = [label_text(answer) for answer in models[version].predict(frame[taken[version]])]
        answers = [(sample["row"], sample["prediction"]) for sample in samples if sample["role"] == role]
        assert len(answers) > 20
        assert answers == [(row, own[row]) for row, _ in answers]
