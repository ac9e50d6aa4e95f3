"""Gates on scores: scikit-learn's values from samples, what they cannot say, and what is refused before."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Word
from tests.loadtest.made_samples import Sample, sample_set

SETS = 200


def experiment(*gates, **load):
    given = {
        "name": "e",
        "model": {"name": "m", "folder": "m"},
        "data": {"path": "rows.parquet"},
        "load": load,
        "gates": list(gates) or ["accuracy >= 0.1"],
    }
    return Experiment.parse(given, "test")


def dataset(labels, *, x=None, named=(), **columns):
    labels = np.asarray(labels, dtype=str)
    x = np.arange(len(labels)) if x is None else np.asarray(x)
    table = pa.table({"label": labels, **columns})
    path = Path("rows.parquet")
    return Dataset(path, x[:, None] * 1.0, ("x",), labels, None, table, named_classes=named)


def made(labels, stable, candidate, *gates, traffic="duet", **parts) -> Run:
    """Each row once, asked of both versions; None in place of scores is a time-out."""
    rows, samples = dataset(labels, **parts), []
    for role, answers in (("stable", stable), ("candidate", candidate)):
        for row, scores in enumerate(answers):
            at = row / 10
            # of two streams no two requests are one arrival
            at += 0.05 if traffic == "canary" and role == "candidate" else 0.0
            told = (0, "timeout", None) if scores is None else (200, None, labels[row])
            kept = None if scores is None else np.atleast_1d(np.float32(scores)).tolist() or None
            samples.append(
                Sample(row, role, at, at, at + 0.01, *told, scores is not None, None, 0, scores=kept)
            )
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=10, achieved_rps=10, duration_s=60))
    return Run.gather(experiment(*gates, traffic=traffic), rows, sample_set(samples), facts)


def value_of(gate, run, *, own=True):
    measured = measure(run.under([gate]).experiment.gates[0], run)
    return measured.candidate if own else measured.estimate.value


def drawn(seed, classes):
    """Labels, and the scores of two versions, in single precision and with ties."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.repeat(np.arange(classes), 2), rng.integers(0, classes, 60)])
    versions = []
    for _ in range(2):
        weights = np.round(rng.dirichlet(np.ones(classes), len(truth)) + 0.4 * np.eye(classes)[truth], 1)
        weights += 0.1
        versions.append((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
    return truth, *versions


def expected(metric, truth, scores):
    """scikit-learn's, of the numbers that the samples hold."""
    scores, labels = scores.astype(np.float64), np.arange(scores.shape[1])
    two = len(labels) == 2
    if metric.startswith("roc_auc"):
        if two:
            return metrics.roc_auc_score(truth, scores[:, 1])
        return np.mean([metrics.roc_auc_score(truth == label, scores[:, label]) for label in labels])
    if metric == "average_precision":
        return metrics.average_precision_score(truth, scores[:, 1] if two else scores)
    if metric == "log_loss":
        return float(np.mean([-np.log(scores[row, label]) for row, label in enumerate(truth)]))
    if metric == "brier_score":
        return metrics.brier_score_loss(truth, scores[:, 1] if two else scores, labels=labels)
    return metrics.top_k_accuracy_score(truth, scores, k=2, labels=labels)


BINARY = ("roc_auc", "average_precision", "log_loss", "brier_score")
MULTI = ("roc_auc_ovr", "average_precision", "log_loss", "brier_score", "top_k_accuracy@2")


@pytest.mark.filterwarnings("ignore:The y_pro:UserWarning")  # single precision does not add up to 1
@pytest.mark.parametrize(("classes", "names"), [(2, BINARY), (4, MULTI)])
def test_values_and_differences_are_those_of_scikit_learn(classes, names):
    for seed in range(SETS // 3):
        truth, stable, candidate = drawn(seed, classes)
        run = made([str(label) for label in truth], stable, candidate)
        for name in names:
            own, other = (expected(name.partition("@")[0], truth, s) for s in (candidate, stable))
            worse = "<= stable" if name in ("log_loss", "brier_score") else ">= stable"
            assert value_of(f"{name} {worse}", run) == pytest.approx(own, abs=1e-9), name
            assert value_of(f"{name} {worse}", run, own=False) == pytest.approx(own - other, abs=1e-9), name


LABELS = np.array(["0", "1"] * 60)
GOOD = np.where(LABELS == "1", 0.9, 0.1)
"""One score, that of the class 1."""


@pytest.mark.parametrize("traffic", ["duet", "canary"])
@pytest.mark.parametrize(
    ("gate", "word"),
    [
        ("roc_auc >= 0.9", Word.PASS),
        ("roc_auc >= stable - 0.05", Word.PASS),
        ("average_precision >= stable - 0.05", Word.PASS),
        ("log_loss <= stable + 0.1", Word.PASS),
        # it is 0.105
        ("log_loss <= 0.01", Word.FAIL),
    ],
)
def test_one_score_is_that_of_the_second_of_two_classes(gate, word, traffic):
    run = made(LABELS, GOOD, GOOD, gate, traffic=traffic)
    assert judge(run).gates[0].verdict is word
    pairs = np.column_stack([1 - GOOD, GOOD])
    assert value_of(gate, made(LABELS, pairs, pairs, traffic=traffic)) == pytest.approx(value_of(gate, run))


def test_a_version_that_says_the_opposite_fails_though_its_labels_are_right():
    run = made(LABELS, GOOD, 1 - GOOD, "accuracy >= stable - 1pp", "roc_auc >= stable - 0.01",
               "log_loss <= stable + 0.02")  # fmt: skip
    assert [gate.verdict for gate in judge(run).gates] == [Word.INCONCLUSIVE, Word.FAIL, Word.FAIL]


def test_a_request_without_an_answer_counts_as_the_shares_of_the_classes():
    gone = [None if row % 4 == 1 else score for row, score in enumerate(GOOD)]
    told = np.array([0.5 if score is None else score for score in gone], dtype=np.float32)
    run = made(LABELS, GOOD, gone)
    assert value_of("roc_auc >= 0.5", run) == pytest.approx(metrics.roc_auc_score(LABELS == "1", told))
    loss = -np.log(np.where(LABELS == "1", told, 1 - told)).mean()
    assert value_of("log_loss <= 5", run) == pytest.approx(loss, abs=1e-6)


def test_rows_with_the_same_content_are_one_row():
    # a quarter of the contents, each four times
    content = np.arange(len(LABELS)) % 30
    rng = np.random.default_rng(1)
    scores = rng.random(30)[content]
    truth = LABELS[content]
    run = made(truth, scores, scores, x=content)
    measured = measure(run.under(["roc_auc >= 0.1"]).experiment.gates[0], run)
    assert measured.rows == 30
    assert measured.candidate == pytest.approx(metrics.roc_auc_score(truth[:30] == "1", scores[:30]))


def test_a_slice_has_its_own_value():
    rng = np.random.default_rng(3)
    scores, part = rng.random(len(LABELS)), np.where(np.arange(len(LABELS)) < 40, "a", "b")
    run = made(LABELS, scores, scores, part=part)
    theirs = metrics.roc_auc_score(LABELS[:40] == "1", scores[:40])
    assert value_of("roc_auc[part=a] >= 0.1", run) == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("stable", "gate", "says"),
    [
        # no gate needed them when it was measured
        ([[]] * len(LABELS), "roc_auc >= stable", "the samples carry no scores; measure again"),
        # margins and logits
        (
            4 * GOOD,
            "log_loss <= stable",
            "stable gives the scores .* which are no probabilities; gate roc_auc",
        ),
        (4 * GOOD, "brier_score <= stable", "are no probabilities"),
        # the classes the wrong way round: a candidate that is as wrong would PASS
        (1 - GOOD, "roc_auc >= stable - 0.01", "stable's roc_auc is 0.000, worse than chance"),
    ],
)
def test_what_scores_cannot_say(stable, gate, says):
    (found,) = judge(made(LABELS, stable, stable, gate)).gates
    assert found.verdict is Word.INCONCLUSIVE
    assert found.reason.count("\n") == 0
    assert re.search(says, found.reason), found.reason


def test_scores_of_any_scale_rank():
    run = made(LABELS, 40 * GOOD - 20, 40 * GOOD - 20, "roc_auc >= stable - 0.05")
    assert judge(run).verdict is Word.PASS


def test_samples_of_another_number_of_classes_are_refused():
    three = [[0.2, 0.3, 0.5]] * len(LABELS)
    with pytest.raises(DatasetError, match="the samples have 3 scores, the evaluation set has 2 classes"):
        made(LABELS, three, three)


THREE = ["a", "b", "c"] * 4


@pytest.mark.parametrize(
    ("gate", "rows", "load", "says"),
    [
        ("roc_auc >= 0.8", dataset(THREE), {}, "is for two classes, there are 3; write roc_auc_ovr"),
        ("average_precision >= 0.8", dataset(["no", "yes"] * 4), {}, "nothing says which of no and yes"),
        ("average_precision >= 0.8", dataset(["no", "yes"] * 4, named=("no", "yes")), {}, None),
        ("roc_auc >= 0.8", dataset(["no", "yes"] * 4), {}, None),
        ("roc_auc >= 0.8", dataset(["0"] * 7 + ["1"]), {}, "1 of 8 rows are labelled 1, and roc_auc needs 2"),
        # rare classes: too many wrong PASS
        ("average_precision >= 0.1", dataset(["0"] * 96 + ["1"] * 4), {}, "4 of 100 .* needs 5 of"),
        ("average_precision >= 0.1", dataset(["0"] * 95 + ["1"] * 5), {}, None),
        ("roc_auc >= 0.1", dataset(["0"] * 96 + ["1"] * 4), {}, None),
        ("log_loss <= 0.8", dataset(["0"] * 7 + ["1"]), {}, None),
        ("roc_auc[s=x] >= 0.8", dataset(["0", "1"] * 4, s=["x", "y"] * 4), {}, "0 of 4 rows with s=x are"),
        ("top_k_accuracy@3 >= 90%", dataset(THREE), {}, "of 3 classes, the top 3 say nothing"),
        ("top_k_accuracy@0 >= 90%", dataset(THREE), {}, "of 3 classes, the top 0 say nothing"),
        ("top_k_accuracy@2 >= 90%", dataset(THREE), {}, None),
        ("roc_auc_ovr >= 0.8", dataset(THREE), {"until_decided": True}, "until_decided ends it before"),
    ],
)  # fmt: skip
def test_what_these_rows_cannot_decide_is_refused_before_the_load(gate, rows, load, says):
    if says is None:
        check_gates(experiment(gate, **load), rows)
        return
    with pytest.raises(GateError, match=says):
        check_gates(experiment(gate, **load), rows)


def test_a_regression_has_no_scores():
    given = experiment("roc_auc >= 0.8").model_dump() | {"gates": ["roc_auc >= 0.8"]}
    given["data"]["task"] = "regression"
    with pytest.raises(GateError, match="roc_auc is for classifications"):
        check_gates(Experiment.parse(given, "test"), None)


@pytest.mark.parametrize("gate", ["roc_auc >= stable - 0.05", "average_precision >= stable - 0.05"])
def test_the_same_score_for_every_row_is_no_evidence_of_two_versions(gate):
    same = np.full(len(LABELS), 0.5)
    (found,) = judge(made(LABELS, same, same, gate)).gates
    assert found.verdict is Word.INCONCLUSIVE
    assert "that of the same score for every row" in found.reason
    # a perfect one has no row that moves it, either
    perfect = np.where(LABELS == "1", 0.9, 0.1)
    assert judge(made(LABELS, perfect, perfect, gate)).gates[0].verdict is Word.PASS
