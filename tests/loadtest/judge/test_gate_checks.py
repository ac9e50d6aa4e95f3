"""Gates that no load could ever decide are refused before one starts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.gate_checks import check_gates


def check(gate: str, labels: list[str]) -> None:
    path = Path("rows.csv")
    table = pa.table({"x": np.arange(len(labels)), "label": labels})
    dataset = Dataset(path, np.zeros((len(labels), 1)), ("x",), np.array(labels), None, table)
    given = {
        "name": "mine",
        "model": {"name": "mine", "folder": "mine"},
        "data": {"path": path},
        "gates": [gate],
    }
    check_gates(Experiment.parse(given, "mine.toml"), dataset)


@pytest.mark.parametrize(
    ("gate", "labels", "says"),
    [
        # which of the two is a hit?
        ("precision >= 0.5", ["yes", "no"], "for the labels 0 and 1; write precision_macro"),
        ("recall >= 0.5", ["0", "1", "2"], "for the labels 0 and 1; write recall_macro"),
        ("positive_likelihood_ratio >= 2", ["yes", "no"], "is for the labels 0 and 1"),
    ],
)
def test_scores_of_two_classes_need_to_know_which_one_is_a_hit(gate, labels, says):
    with pytest.raises(GateError, match=says):
        check(gate, labels)


@pytest.mark.parametrize("labels", [["0", "1"], ["False", "True"], ["0.0", "1.0"], ["false", "true"]])
def test_labels_that_say_so(labels):
    check("precision >= 0.5", labels)
