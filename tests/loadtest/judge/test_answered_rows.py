"""Rows behind the pictures: each distinct row once, and nothing made up."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import confusion_matrix

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.judge.answered_rows import answered_numbers, confusion, scored_rows
from loadtest.judge.run import LoadFacts, Run, RunFacts
from tests.loadtest.made_samples import Sample, sample_set

LOAD = RunFacts(backend="local", load=LoadFacts(offered_rps=10, achieved_rps=10, duration_s=10))


def run(labels, answers, task="classification", x=None) -> Run:
    """A run of ``answers``: (row, role, prediction, scores), None for an error."""
    numbers = task == "regression"
    x = np.arange(len(labels), dtype=float) if x is None else np.array(x, dtype=float)
    truth = np.array(list(labels), dtype=float if numbers else str)
    dataset = Dataset(Path("rows"), x[:, None], ("x",), truth, None, pa.table({"x": x}))
    gate = "mae <= stable + 1" if numbers else "accuracy >= stable - 1pp"
    experiment = Experiment.parse(
        {"name": "e", "model": {"name": "m", "folder": "m"}, "data": {"path": "rows", "task": task},
         "gates": [gate]}, "test"
    )  # fmt: skip
    seen: dict[str, int] = {}
    samples = []
    for row, role, answer, scores in answers:
        at = seen[role] = seen.get(role, 0) + 1
        status, error = (200, None) if answer is not None else (0, "timeout")
        correct = None if numbers or not len(labels) else answer == labels[row]
        samples.append(
            Sample(row, role, at, at, at + 0.01, status, error, answer, correct, None, 0, scores=scores)
        )
    return Run.gather(experiment, dataset, sample_set(samples), LOAD)


def both(*answers) -> list:
    return [(row, role, *rest) for row, *rest in answers for role in ("stable", "candidate")]


def test_scores_are_means_over_replays_and_errors_have_none():
    made = run("aabb", both((0, "a", [0.2]), (0, "b", [0.6]), (2, "b", [0.9]), (3, None, None)))
    for one in scored_rows(made).values():
        assert one.scores == pytest.approx(np.array([[0.6, 0.4], [0.1, 0.9]]))
        assert one.truth.tolist() == [0, 1]
        assert one.probabilities


def test_rows_with_the_same_content_are_one():
    made = run("aab", both((0, "a", [0.2]), (1, "a", [0.4]), (2, "b", [0.7])), x=[5, 5, 6])
    assert scored_rows(made)["stable"].scores[:, 1] == pytest.approx([0.3, 0.7])


# no scores at all, scores of one version alone, rows without labels
@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        ("ab", both((0, "a", None), (1, "b", None))),
        ("ab", [(0, "stable", "a", [0.2]), (0, "candidate", "a", None)]),
        ([], both((0, "a", [0.2]))),
    ],
)
def test_no_scores_no_curves(labels, answers):
    made = run(labels, answers, x=[1, 2])
    assert scored_rows(made) == {}


def test_margins_are_no_probabilities():
    made = run("ab", both((0, "a", [-3.0]), (1, "b", [4.0])))
    assert not scored_rows(made)["candidate"].probabilities


def test_many_rows_are_drawn_by_lot_the_same_for_both():
    made = run("ab" * 50, both(*((row, "a", [row / 100]) for row in range(100))))
    stable, candidate = scored_rows(made, 20).values()
    assert len(stable.truth) == 20
    assert stable.scores.tolist() == candidate.scores.tolist()


def test_the_confusion_matrix_is_scikit_learns_with_columns_for_what_is_no_class():
    rng = np.random.default_rng(1)
    labels = [str(label) for label in rng.integers(0, 3, 60)]
    guess = [str(label) for label in rng.integers(0, 3, 60)]
    made = run(labels, both(*((row, guess[row], None) for row in range(60))))
    found = confusion(made, 12)
    assert found.lines == found.columns == ("0", "1", "2")
    np.testing.assert_allclose(found.counts["stable"], confusion_matrix(labels, guess))

    broken = [(0, "candidate", "?", None), (0, "stable", labels[0], None)]
    broken += [(1, "candidate", None, None), (1, "stable", labels[1], None)]
    found = confusion(run(labels, broken), 12)
    assert found.columns == ("0", "1", "2", "no label", "no answer")
    assert found.counts["candidate"][:, 3:].sum(axis=0).tolist() == [1, 1]
    assert found.counts["stable"].sum() == np.trace(found.counts["stable"]) == 2


def test_of_many_classes_the_most_confused_are_named_and_the_others_are_one():
    labels = [f"c{number:02}" for number in range(20)]
    answers = [labels[(n + 1) % 20] if n in (4, 5, 6) else label for n, label in enumerate(labels)]
    found = confusion(run(labels, both(*((row, answers[row], None) for row in range(20)))), 5)
    assert found.lines == ("c04", "c05", "c06", "c07", "16 others")
    assert found.counts["stable"].sum() == 20
    assert found.counts["stable"][4].tolist() == [0, 0, 0, 0, 16]
    assert found.counts["stable"][3].tolist() == [0, 0, 0, 1, 0]
    assert found.counts["stable"][0].tolist() == [0, 1, 0, 0, 0]


def test_numbers_of_a_regression_without_errors_and_absurd_answers():
    made = run([1.0, 2.0, 3.0], both((0, "1.5", None), (1, None, None), (2, "1e200", None)), "regression")
    assert [each.tolist() for each in answered_numbers(made)["stable"]] == [[1.0], [1.5]]
    assert confusion(made, 12) is None
    assert scored_rows(made) == {}
