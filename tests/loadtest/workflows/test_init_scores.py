"""What ``loadproof init`` demands of the probabilities that all versions give."""

import json
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import DEFAULT_GATES, Experiment
from loadtest.judge.gate_checks import check_gates
from loadtest.workflows.init import init

HALF = np.tile(["no", "yes"], 100)
FEW = np.where(np.arange(200) < 10, "yes", "no")
THREE = np.resize(["no", "yes", "maybe"], 200)
PAIR = ["no", "yes"]


@pytest.mark.parametrize(
    ("labels", "copies", "classes", "gates"),
    [
        (HALF, 1, [PAIR, PAIR], ["log_loss <= stable + 0.045", "roc_auc >= stable - 0.035"]),
        # copies of rows are no more evidence
        (HALF, 30, [PAIR, PAIR], ["log_loss <= stable + 0.045", "roc_auc >= stable - 0.035"]),
        # too few of a class for its curve
        (FEW, 1, [PAIR, PAIR], ["log_loss <= stable + 0.045"]),
        (THREE, 1, [["maybe", *PAIR]] * 2, ["log_loss <= stable + 0.045"]),
        # one of them gives none
        (HALF, 1, [PAIR, []], []),
        # nobody says which probability is whose
        (HALF, 1, [PAIR, ["maybe", *PAIR]], []),
    ],
)
def test_their_margins_are_those_that_the_distinct_rows_can_decide(tmp_path, labels, copies, classes, gates):
    table = pa.table({"a": np.tile(np.arange(200), copies), "label": np.tile(labels, copies)})
    pyarrow.csv.write_csv(table, tmp_path / "evaluation.csv")
    said, out = [], tmp_path / "mine.toml"

    init(tmp_path, said.append, out=out, ask=lambda _, asked: tried(json.loads(asked), labels, classes))

    experiment = Experiment.load_file(str(out))
    assert [str(gate) for gate in experiment.gates] == [*DEFAULT_GATES, *gates]
    check_gates(experiment, Dataset.read(experiment.data))
    assert ("the smallest that 200 distinct rows should decide" in out.read_text()) == bool(gates)
    unlike = "v2: no gate on its probabilities, which are of maybe, no, yes, and the labels are no, yes"
    assert (unlike in said) == (len(classes[1]) == 3 and not gates)


def tried(asked, labels, classes):
    """What versions say that give probabilities of these classes."""
    known = {
        "wrote": True,
        "task": "classification",
        "columns": ["a"],
        "output": "",
        "outputs": [],
        "notes": [],
        "classes_said": True,
        "categories": None,
        "classes_missing": "gives none",
    }
    answers = np.resize(labels, len(asked["rows"])).tolist()
    lines = [
        json.dumps({**known, "version": f"v{place}", "predictions": answers, "classes": each})
        for place, each in enumerate(classes, 1)
    ]
    return subprocess.CompletedProcess([], 0, "\n".join(lines), "")


# read off the answers of both, of one; both, and each has another order
@pytest.mark.parametrize(
    ("orders", "said", "classes", "says"),
    [
        ((["yes", "no"], ["yes", "no"]), (False, False), ("yes", "no"), "of the probabilities, yes, no, was"),
        ((["no", "yes"], ["yes", "no"]), (True, False), ("yes", "no"), "of the probabilities, yes, no, was"),
        ((["no", "yes"], ["yes", "no"]), (False, False), (), r"different orders (v1: no, yes; v2: yes, no)"),
    ],
)
def test_an_order_that_was_read_off_the_answers_stands_in_the_experiment(
    tmp_path, orders, said, classes, says
):
    pyarrow.csv.write_csv(pa.table({"a": np.arange(200), "label": HALF}), tmp_path / "evaluation.csv")
    lines, out = [], tmp_path / "mine.toml"

    def ask(_, asked):
        told = [json.loads(line) for line in tried(json.loads(asked), HALF, orders).stdout.splitlines()]
        shown = [json.dumps(one | {"classes_said": who}) for one, who in zip(told, said, strict=True)]
        return subprocess.CompletedProcess([], 0, "\n".join(shown), "")

    init(tmp_path, lines.append, out=out, ask=ask)

    experiment = Experiment.load_file(str(out))
    assert experiment.data.classes == classes
    assert any(gate.metric == "log_loss" for gate in experiment.gates) == bool(classes)
    assert any(says in line for line in lines)
