"""Two versions that give the same labels and different scores: only gates on scores tell them apart."""

import contextlib
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from loadtest.experiment.experiment import Experiment
from tests.command import command

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROWS = 500
GATES = [
    "accuracy >= stable - 5pp",
    "roc_auc >= stable - 0.01",
    "log_loss <= stable + 0.02",
    "mismatches == 0",
]


def test_equal_labels_pass_and_worse_scores_fail(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, 2)).astype(np.float32)
    label = np.where(rng.random(ROWS) < 1 / (1 + np.exp(-3 * x[:, 0])), "yes", "no")
    stable = LogisticRegression().fit(x, label)
    # one split: it knows of each row no more than the side that it is on
    candidate = DecisionTreeClassifier(max_depth=1, random_state=0).fit(x, label)
    for version, model in (("v1", stable), ("v2", candidate)):
        (tmp_path / "lead" / version).mkdir(parents=True)
        made = to_onnx(model, x[:1], options={"zipmap": False}, target_opset=17)
        (tmp_path / "lead" / version / "model.onnx").write_bytes(made.SerializeToString())
    rows = pd.DataFrame(x, columns=["a", "b"]).assign(label=label)
    rows.to_csv(tmp_path / "lead" / "evaluation.csv", index=False)
    loadproof(tmp_path, "init", "lead")
    load = {"rate": 200, "duration": "4s", "warmup": "1s", "baseline": "60s"}
    load |= {"max_lag": "5s", "timeout": "20s"}
    experiment = Experiment.load_file(str(tmp_path / "lead.toml"), {"load": load}, GATES)
    (tmp_path / "lead.toml").write_text(experiment.to_toml())

    code, said = loadproof(tmp_path, "compare", "--experiment", "lead.toml", "--backend", "local")

    assert code == 1, said
    run = tmp_path / "results" / "latest"
    gates = {gate["name"]: gate for gate in json.loads((run / "verdict.json").read_text())["gates"]}
    assert [gates[gate]["verdict"] for gate in GATES] == ["PASS", "FAIL", "FAIL", "PASS"]
    samples = pq.read_table(run / "samples.parquet")
    assert samples.schema.field("scores").type == pa.list_(pa.float32())
    sent = np.unique(samples["row"])
    for role, model in (("stable", stable), ("candidate", candidate)):
        yes = model.predict_proba(x[sent])[:, 1]
        assert gates[GATES[1]][role] == pytest.approx(roc_auc_score(label[sent], yes), abs=1e-6)
        assert gates[GATES[2]][role] == pytest.approx(log_loss(label[sent], yes), abs=1e-6)


def loadproof(folder, *arguments):
    with contextlib.chdir(folder):
        return command(*arguments)
