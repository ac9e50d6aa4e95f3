"""The output ``ranking``: classes by their probabilities, and lists that a model answers with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from contract.model_toml import read_model_toml
from services.model_server.canary.faults import Faults
from services.model_server.errors import VersionError
from services.model_server.ranked import lists_of, rectangular
from tests.services.model_server.test_outputs import FRAME as X
from tests.services.model_server.test_outputs import served

BOTH = frozenset(["predict", "ranking"])
PROGRAM = """
class Model:
    task = "classification"

    def predict(self, frame):
        return [{} for a in frame.a]
"""


def program(items: str) -> str:
    return PROGRAM.format(items)


def test_classes_stand_in_the_order_of_their_probabilities(tmp_path):
    labels = np.array(["x", "y", "z"])[np.arange(90) % 3]
    model = LogisticRegression().fit(X.to_numpy(), labels)
    _, version = served(tmp_path, model)
    assert list(version.outputs) == ["predict", "predict_proba", "ranking"]
    assert version.metadata()["outputs"][-1] == {"name": "ranking", "datatype": "BYTES", "shape": [-1, -1]}
    made = version.run(X.to_numpy(), BOTH)
    order = np.argsort(-model.predict_proba(X.to_numpy()), axis=1)
    assert made["ranking"].tolist() == model.classes_[order].tolist()
    assert [items[0] for items in made["ranking"]] == made["predict"].tolist()


def test_two_classes_are_no_ranking(tmp_path):
    model = LogisticRegression().fit(X.to_numpy(), np.arange(90) % 2)
    assert "ranking" not in served(tmp_path, model)[1].outputs


def test_lists_of_several_lengths_are_a_ranking(tmp_path):
    # init need not be told
    answer, version = served(tmp_path, program('["x", "y"] if a > 0 else ["z"]'))
    assert (answer["output"], read_model_toml(tmp_path).output) == ("ranking", "ranking")
    assert list(version.outputs) == ["predict", "ranking"]
    made = version.run(version.examples, BOTH)
    expected = [["x", "y"] if a > 0 else ["z"] for a in X.a]
    assert made["ranking"].tolist() == expected[: len(made["ranking"])]
    assert made["predict"].tolist() == [items[0] for items in made["ranking"]]


def test_lists_of_one_length_are_a_ranking_where_model_toml_says_so(tmp_path):
    answer, version = served(tmp_path, program('["x", "y"]'), output="ranking")
    assert answer["outputs"] == ["predict_0", "predict_1"]
    assert version.run(version.examples, BOTH)["ranking"][0] == ["x", "y"]


def test_one_value_per_row_is_no_ranking(tmp_path):
    with pytest.raises(VersionError, match=r"a list of items is needed for each row, where output in"):
        served(tmp_path, program('"x"'), output="ranking")


@pytest.mark.parametrize(
    ("answers", "lists"),
    [
        (np.array([["b", "a"], ["a", "b"]]), [["b", "a"], ["a", "b"]]),
        (np.array([[7, 3], [3, 7]]), [["7", "3"], ["3", "7"]]),
        # of a frame with a column per place, short lists have gaps at the end
        (np.array([["b", "a"], ["a", None]], dtype=object), [["b", "a"], ["a"]]),
        (pd.DataFrame({"items": [["b", "a"], ["a"]]}).to_numpy(), [["b", "a"], ["a"]]),
        (pd.Series([["b", "a"], []]).to_numpy(), [["b", "a"], []]),
    ],
)
def test_lists_in_every_shape(answers, lists):
    assert lists_of(answers, 2).tolist() == lists


@pytest.mark.parametrize("answers", [np.array(["a", "b"]), np.array([["a", "b"]])])
def test_what_is_no_list_per_row(answers):
    with pytest.raises(ValueError, match="a list of items is needed for each row"):
        lists_of(answers, 2)


def test_lists_of_several_lengths_are_one_tensor():
    made = rectangular(lists_of(pd.Series([["b", "a"], []]).to_numpy(), 2))
    assert made.tolist() == [["b", "a"], ["", ""]]


def test_a_wrong_prediction_leads_its_list():
    faults = Faults(("x", "y", "z"))
    faults.replace([{"kind": "wrong"}])
    lists = lists_of(np.array([["x", "y", "z"]]), 1)
    made = faults.after({"predict": np.array(["x"]), "ranking": lists})
    assert (made["predict"].tolist(), made["ranking"].tolist()) == (["y"], [["y", "x", "z"]])
