import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Data
from loadtest.workflows.answer_places import (
    Scores,
    bare_score,
    best_place,
    object_around,
    outputs_beside,
    scores_beside,
)

SURE = [0.9, 0.2, 0.6, 0.4]
LABELS = ["yes", "no", "yes", "no"]


def rows(tmp_path, labels):
    (tmp_path / "rows.csv").write_text("x,label\n" + "".join(f"{i},{y}\n" for i, y in enumerate(labels)))
    return Dataset.read(Data(path=tmp_path / "rows.csv"))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        # under the names of classes, also where one number beside them would do
        (lambda y, p: {"y": y, "p": {"no": 1 - p, "yes": p}, "q": p}, Scores("$.p")),
        # one per class: the order is that in which the greatest is the label
        (lambda y, p: {"y": y, "p": [[1 - p, p]]}, Scores("$.p", ("no", "yes"))),
        (lambda y, p: {"y": y, "a": {"b c": [p, 1 - p]}}, Scores("$.a['b c']", ("yes", "no"))),
        # one number: of the class whose rows have the higher ones, at whatever threshold
        (lambda y, p: {"y": y, "p": p}, Scores("$.p", ("no", "yes"))),
        (lambda y, p: {"y": y, "p": (1 - p) / 3}, Scores("$.p", ("yes", "no"))),
        # Go and Node write 1.0 as 1
        (lambda y, p: {"y": y, "p": 1 if p == 0.9 else p}, Scores("$.p", ("no", "yes"))),
        # a class as a number is no score
        (lambda y, p: {"y": y, "n": 1 if y == "yes" else 0}, None),
        # how sure it is of its answer is no class's score; nor what does not go with the label, nor a number
        (lambda y, p: {"y": y, "confidence": max(p, 1 - p)}, None),
        (lambda y, p: {"y": y, "p": [[p, 1 - p], [1 - p, p]][p > 0.8]}, None),
        (lambda y, p: {"y": y, "ms": 10 * p}, None),
        (lambda y, p: {"y": y}, None),
    ],
)
def test_scores_that_lead_to_the_label(answer, found):
    answers = [answer(label, score) for label, score in zip(LABELS, SURE, strict=True)]
    assert scores_beside(answers, "$.y", ("no", "yes")) == found


def test_scores_of_three_classes_one_of_which_nobody_answers():
    answers = [{"y": "c", "p": [0.1, 0.2, 0.7]}, {"y": "a", "p": [0.2, 0.5, 0.3]}]
    assert scores_beside(answers, "$.y", ("a", "b", "c")) == Scores("$.p", ("b", "a", "c"))


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        # of the class that it agrees with
        (SURE, Scores("$.p", ("no", "yes"))),
        ([1 - score for score in SURE], Scores("$.p", ("yes", "no"))),
        # Go and Node write 1.0 as 1
        ([1, 0, 0.6, 0.4], Scores("$.p", ("no", "yes"))),
        # one label for all would be as good
        ([0.9, 0.8, 0.9, 0.8], None),
        ([9, 2, 6, 4], None),
    ],
)
def test_a_score_without_any_label(tmp_path, scores, found):
    answers = [{"p": score, "n": 1} for score in scores]
    dataset = rows(tmp_path, LABELS)
    assert best_place(answers, dataset) is None
    assert bare_score(answers, dataset) == found


def test_outputs_that_are_columns():
    answers = [{"r": {"price": 1.5, "days": 3, "ms": 2}}]
    assert outputs_beside(answers, "$.r.price", ["age", "days", "price"]) == ["days"]
    assert outputs_beside([[1.5, 3]], "$[0]", ["days"]) == []
    assert object_around("$.r.price") == ("$.r", "price")
