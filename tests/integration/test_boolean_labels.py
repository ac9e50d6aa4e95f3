"""A canary whose labels are truth values: feedback through the gateway is judged as the labels are meant."""

import json
import urllib.error
import urllib.request

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.headers import FEEDBACK_TOKEN, MODEL_VERSION
from contract.metric_names import FEEDBACK, USER_OUTCOMES
from contract.model_toml import Input, ModelToml, write_model_toml
from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Data
from loadtest.fetch import get
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
ROWS = np.random.default_rng(3).normal(size=(60, 2)).round(3)
TRUTH = ROWS[:, 0] > 0
COLUMN = {
    "stable": 0,
    # the wrong one: it is right by chance alone
    "candidate": 1,
}
"""Where each version looks: the answer is whether the number there is above 0."""


def write_model(folder, column):
    ends = [
        helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["n", 2]),
        helper.make_tensor_value_info("label", TensorProto.BOOL, ["n"]),
    ]
    constants = [
        helper.make_tensor("column", TensorProto.INT64, [], [column]),
        helper.make_tensor("zero", TensorProto.DOUBLE, [], [0.0]),
    ]
    nodes = [
        helper.make_node("Gather", ["features", "column"], ["cells"], axis=1),
        helper.make_node("Greater", ["cells", "zero"], ["label"]),
    ]
    graph = helper.make_graph(nodes, "above", ends[:1], ends[1:], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boolean")
    versions = []
    for role, column in COLUMN.items():
        (folder / role).mkdir()
        write_model(folder / role, column)
        tensor = Input("features", "FP64", (-1, 2), ("x", "y"))
        write_model_toml(folder / role, ModelToml("flags", role, "classification", tensor))
        versions.append(Version(role, folder / role, None, None))
    with LocalLab(
        tuple(versions), folder / "lab", "flags", gateway_port=0, start_seconds=90.0, with_prometheus=False
    ) as running:
        yield running


def post(lab, path, document, role, token=None):
    request = urllib.request.Request(
        f"{lab.endpoints.gateway}/v2/models/flags/{path}",
        json.dumps(document).encode(),
        {
            MODEL_VERSION: role,
            "content-type": "application/json",
            FEEDBACK_TOKEN: token or lab.feedback_token,
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("role", COLUMN)
def test_feedback_in_a_files_own_words_counts_each_answer_for_what_it_is(lab, tmp_path, role):
    path = tmp_path / "evaluation.csv"
    path.write_text(
        "x,y,label\n" + "".join(f"{x},{y},{truth}\n" for (x, y), truth in zip(ROWS, TRUTH, strict=True))
    )
    labels = Dataset.read(Data(path=path)).labels.tolist()
    right = ((ROWS[:, COLUMN[role]] > 0) == TRUTH).tolist()
    assert 0 < sum(right) <= len(ROWS)
    outcomes = []
    for number, (row, label) in enumerate(zip(ROWS.tolist(), labels, strict=True)):
        tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "data": row}
        post(lab, "infer", {"id": f"{role}-{number}", "inputs": [tensor]}, role)
        outcomes += post(lab, "feedback", {"id": f"{role}-{number}", "label": label}, role)["outcomes"]
    assert [outcome == "correct" for outcome in outcomes] == right
    # and so it stands where the canary's controller reads it
    page = get(f"{getattr(lab.endpoints, role)}/metrics", 60).body
    for outcome, count in (("correct", sum(right)), ("incorrect", len(right) - sum(right))):
        assert f'{FEEDBACK}{{outcome="{outcome}",version="{role}"}} {float(count)}' in page


def test_a_stranger_who_echoes_answers_is_not_believed(lab):
    def judged():
        page = get(f"{lab.endpoints.candidate}/metrics", 60).body
        return [line for line in page.splitlines() if line.startswith((FEEDBACK, USER_OUTCOMES))]

    before = judged()
    for number in range(20):
        tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "data": ROWS[0].tolist()}
        answer = post(lab, "infer", {"id": f"echo-{number}", "inputs": [tensor]}, "candidate")
        echo = {"id": answer["id"], "label": answer["outputs"][0]["data"][0]}
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(lab, "feedback", echo, "candidate", token="guessed")
        assert refused.value.code == 403
        refused.value.close()
    assert judged() == before
