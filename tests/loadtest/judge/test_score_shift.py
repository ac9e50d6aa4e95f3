"""Scores of both versions held against each other, with labels and without: agreement and score_shift."""

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.verdict import Word
from loadtest.stats.medians import RankQuantile
from tests.loadtest.judge.test_score_tests import GOOD, LABELS, dataset, experiment, made, value_of

RNG = np.random.default_rng(5)
THREE = [str(row % 3) for row in range(90)]
SOFT = RNG.dirichlet([1.0, 1.0, 1.0], 90)


def measured(gate, run):
    return measure(run.under([gate]).experiment.gates[0], run)


@pytest.mark.parametrize(
    ("gate", "candidate", "share"),
    [
        ("agreement >= 99%", GOOD + 0.05, 1.0),
        # every score moved by 0.05
        ("agreement[scores=0.06] >= 99%", GOOD + 0.05, 1.0),
        ("agreement[scores=0.05] >= 99%", GOOD + 0.05, 1.0),
        ("agreement[scores=0.04] >= 99%", GOOD + 0.05, 0.0),
        # a tenth of them
        ("agreement[scores=0.01] >= 99%", GOOD + 0.05 * (np.arange(120) % 10 == 0), 0.9),
        # one version gives one score, the other both
        ("agreement[scores=0.01] >= 99%", np.column_stack([1 - GOOD, GOOD]), 1.0),
        # what the candidate does not answer differs
        ("agreement[scores=0.01] >= 99%", [None] * 30 + list(GOOD[30:]), 0.75),
    ],
)
def test_agreement_within_a_tolerance(gate, candidate, share):
    assert measured(gate, made(LABELS, GOOD, candidate)).candidate == pytest.approx(share)


def test_a_disagreement_shows_both_scores():
    run = made(LABELS, GOOD, GOOD + 0.05, "agreement[scores=0.01] >= 99%")
    (gate,) = judge(run).gates
    assert gate.verdict is Word.FAIL
    assert "row 0: '0 (0.15)' instead of '0 (0.1)'" in gate.reason


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95])
def test_the_shift_is_numpys_quantile_of_the_class_that_moved_furthest(quantile):
    moved = SOFT + RNG.normal(0, 0.01, SOFT.shape)
    run = made(THREE, SOFT, moved)
    apart = np.abs(np.float32(SOFT).astype(float) - np.float32(moved)).max(axis=1)
    found = measured(f"score_shift[{quantile}] <= 0.5", run)
    assert found.candidate == pytest.approx(np.quantile(apart, quantile), abs=1e-9)
    low, high = found.estimate.interval(0.05)
    assert low <= found.candidate <= high
    assert {low, high} <= {*apart.tolist()}


@pytest.mark.parametrize(
    ("candidate", "word"),
    [
        (GOOD, Word.PASS),
        (GOOD + 0.005, Word.PASS),
        (GOOD + 0.02, Word.FAIL),
        # 5% of the rows: more than the 90% quantile sees, as far as 120 rows tell
        (GOOD + 0.5 * (np.arange(120) % 20 == 0), Word.PASS),
        (GOOD + 0.5 * (np.arange(120) % 5 == 0), Word.FAIL),
        # silence is the furthest that scores reach
        ([None] * 40 + list(GOOD[40:]), Word.FAIL),
    ],
)
def test_verdicts_of_the_shift(candidate, word):
    (gate,) = judge(made(LABELS, GOOD, candidate, "score_shift[0.9] <= 0.01")).gates
    assert gate.verdict is word, gate.reason
    assert "of the rows 50% by at most" in gate.reason


def test_rows_with_the_same_content_are_one_row():
    content = np.arange(120) % 30
    assert measured("score_shift[0.5] <= 0.1", made(LABELS[content], GOOD, GOOD, x=content)).rows == 30


def test_the_interval_of_a_quantile_covers_it():
    rng = np.random.default_rng(11)
    for quantile in (0.5, 0.9):
        covered = [
            low <= quantile <= high
            for low, high in (
                RankQuantile(np.sort(rng.random(200)), quantile).interval(0.05) for _ in range(400)
            )
        ]
        # 90% and a little more: counts are whole
        assert 0.86 <= np.mean(covered) <= 0.96


def unlabelled(named=()):
    x = np.arange(120.0)[:, None]
    table = pa.table({"x": x[:, 0]})
    path = dataset(["0"]).path
    return Dataset(path, x, ("x",), np.array([], dtype=str), None, table, named_classes=named)


def regression(*gates):
    given = experiment(*gates).model_dump() | {"gates": list(gates)}
    given["data"]["task"] = "regression"
    return Experiment.parse(given, "test")


@pytest.mark.parametrize(
    ("given", "rows", "says"),
    [
        (experiment("score_shift[0.9] <= 0.1"), dataset(LABELS), None),
        (experiment("score_shift[0.9] <= 0.1"), unlabelled(("0", "1")), None),
        (experiment("agreement >= 99%"), unlabelled(), None),
        (experiment("score_shift[0.9] <= 0.1"), unlabelled(), "nothing says which classes there are"),
        (experiment("agreement[scores=0.1] >= 99%"), unlabelled(), "name them in their order under"),
        (experiment("score_shift[0.9] <= 0.1", until_decided=True), None, "judged at the end of the load"),
        (experiment("agreement[scores=0.1] >= 99%", until_decided=True), None, "judged at the end of the"),
        (experiment("score_shift[0.9] <= 0.1", traffic="canary"), None, "score_shift needs each row"),
        (regression("score_shift[0.9] <= 0.1"), None, None),
        (regression("agreement[scores=0.1] >= 99%"), None, "a regression has no scores; write agreement"),
    ],
)  # fmt: skip
def test_what_is_refused_before_the_load(given, rows, says):
    if says is None:
        check_gates(given, rows)
        return
    with pytest.raises(GateError, match=says):
        check_gates(given, rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("score_shift <= 0.1", "score_shift lacks its number"),
        ("score_shift[0.9] <= stable + 0.1", "compares the candidate with stable already"),
        ("score_shift[1.5] <= 0.1", "does not lie between 0 and 1"),
        ("agreement[scores=near] >= 99%", r"\[scores=near\] is no number; write for example"),
    ],
)
def test_what_does_not_parse(text, says):
    with pytest.raises(GateError, match=says):
        Gate.parse(text)


def test_only_these_need_scores():
    needing = ("score_shift[0.9] <= 0.1", "agreement[scores=0.1] >= 99%", "roc_auc >= 0.5")
    assert [Gate.parse(gate).needs_scores for gate in (*needing, "agreement >= 99%")] == [*[True] * 3, False]
    # the answers of a regression are its scores
    assert not regression("score_shift[0.9] <= 0.1").scored


def test_a_slice_of_the_shift():
    part = np.where(np.arange(120) < 40, "a", "b")
    run = made(LABELS, GOOD, GOOD + 0.25 * (part == "a"), part=part)
    assert value_of("score_shift[0.5][part=a] <= 0.1", run) == pytest.approx(0.25, abs=1e-6)
    assert value_of("score_shift[0.5][part=b] <= 0.1", run) == 0
