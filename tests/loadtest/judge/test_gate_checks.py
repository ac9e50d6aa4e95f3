"""Gates that no load could ever decide are refused before one starts."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        # read as a slice, and meant as an argument
        ("agreement[score=0.01] >= 99%", r"no column 'score'; did you mean \[scores=0.01\]\?"),
        ("agreement[scores=0.01] >= 99%", None),
        # of answers that are no lists, what needs no labels either
        ("agreement@3 >= 99%", r"is for rankings; .*, or gate agreement >= 99.5%"),
    ],
)
def test_gates_on_both_versions_answers(gate, says):
    if says is None:
        check(gate, ["0", "1"])
        return
    with pytest.raises(GateError, match=says):
        check(gate, ["0", "1"])


@pytest.mark.parametrize("labels", [["0", "1"], ["False", "True"], ["0.0", "1.0"], ["false", "true"]])
def test_labels_that_say_so(labels):
    check("precision >= 0.5", labels)


@pytest.mark.parametrize(
    ("slice_of", "says"),
    [
        # the column is there twice, or holds what is no text
        ("city=Bonn", "column 'city' of the evaluation set stands there 2 times"),
        ("tags=x", "column 'tags' of the evaluation set holds lists"),
        ("town=Bonn", "no column 'town'; it has x, age, \"rate=x\", place, label"),
        # the first = is read as the end of the name; the advice is what the next row follows
        ("rate=x=a", 'write ["rate=x"=a], because'),
        ('"rate=x"=a', None),
        ("place=Trier", 'no row has place=Trier; there are "", "  Ems", Kiel'),
        ('place="  Ems"', None),
        ("place=", None),
        ("age=(17, 25]", None),
        ("age=17", "there are (17, 25], (25, 40]"),
        ("x=9", "there are 0, 1, 2, 3"),
        ("x=3.0", None),
    ],
)
def test_slices(tmp_path, slice_of, says):
    names = ["x", "city", "city", "tags", "age", "rate=x", "place", "label"]
    cells = [
        *([0, 1, 2, 3], ["Bonn"] * 4, ["Kiel"] * 4, [["x"]] * 4, ["(17, 25]", "(25, 40]"] * 2),
        *(["a", "b"] * 2, ["  Ems", "Kiel", "", None], ["yes", "no"] * 2),
    ]
    pq.write_table(pa.Table.from_arrays(list(map(pa.array, cells)), names), tmp_path / "rows.parquet")
    gate = f"accuracy[{slice_of}] >= stable - 5pp"
    data = {"path": tmp_path / "rows.parquet"}
    given = {"name": "mine", "model": {"name": "mine", "folder": "mine"}, "data": data, "gates": [gate]}
    experiment = Experiment.parse(given, "mine.toml")
    dataset = Dataset.read(experiment.data)
    if says is None:
        check_gates(experiment, dataset)
    else:
        with pytest.raises(GateError, match=re.escape(says)):
            check_gates(experiment, dataset)
