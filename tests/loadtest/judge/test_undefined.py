"""What 0/0 or a number beyond all others says of a candidate: nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slices import by_slice
from loadtest.judge.verdict import Verdict, Word
from loadtest.report.html import to_html
from tests.loadtest.made_samples import Sample, sample_set

ROWS = 600
HALF = np.where(np.arange(ROWS) % 2, "1", "0")
"""Labels of two classes; the last third of the rows is the slice ``clean``."""
CLEAN = np.where(np.arange(ROWS) < 400, HALF, "0")
PART = np.where(np.arange(ROWS) < 400, "mixed", "clean")


def made(labels, stable, candidate, gate: str, task: str = "classification") -> Run:
    """Each row once, asked of both versions; answers are texts."""
    at = np.arange(ROWS) / 10
    samples = [
        Sample(
            row, role, at[row], at[row], at[row] + 0.01, 200, None, answers[row],
            None if task == "regression" else answers[row] == labels[row], None, 0,
        )
        for role, answers in (("stable", stable), ("candidate", candidate))
        for row in range(ROWS)
    ]  # fmt: skip
    experiment = Experiment.parse(
        {
            "name": "e",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.parquet", "task": task},
            "gates": [gate],
        },
        "test",
    )
    columns = pa.table({"part": PART, "label": labels})
    dataset = Dataset(Path("rows.parquet"), np.arange(ROWS)[:, None] * 1.0, ("x",), labels, None, columns)
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=10, achieved_rps=10, duration_s=60))
    return Run.gather(experiment, dataset, sample_set(samples), facts)


def flipped(labels, share: float):
    """Answers that are wrong on every so-manieth row."""
    wrong = np.arange(ROWS) % round(1 / share) == 0
    return np.where(wrong, np.where(labels == "1", "0", "1"), labels)


def sound(run: Run) -> Verdict:
    """The verdict, which is JSON without NaN, as its report is."""
    verdict = judge(run)
    json.loads(verdict.model_dump_json(by_alias=True), parse_constant=pytest.fail)
    page = to_html(verdict, run, {})
    assert "not shown" not in page
    assert not {"nan", "NaN", "Infinity"} & set(page.replace("<", " ").replace(">", " ").split())
    return verdict


ALL_ONE, ALL_ZERO = np.full(ROWS, "1"), np.full(ROWS, "0")


@pytest.mark.parametrize(
    ("labels", "gate", "says"),
    [
        # no row can be found again where none is positive
        (ALL_ZERO, "recall >= stable - 5pp", "no row is labelled 1"),
        (ALL_ZERO, "f1 >= 0.5", "no row is labelled 1"),
        (CLEAN, "recall[part=clean] >= stable - 1pp", "no row with part=clean is labelled 1"),
        (CLEAN, "jaccard[part=clean] >= stable - 1pp", "no row with part=clean is labelled 1"),
        # an answer of 1 is always right where every label is 1
        (ALL_ONE, "precision >= stable - 5pp", "every row is labelled 1"),
        (CLEAN, "precision[part=clean] >= stable - 1pp", "no row with part=clean is labelled 1"),
        (ALL_ONE, "matthews_corrcoef >= stable - 5pp", "every row is labelled 1"),
        (ALL_ONE, "cohen_kappa >= 50%", "every row is labelled 1"),
        (CLEAN, "matthews_corrcoef[part=clean] >= 0.5", "every row with part=clean is labelled 0"),
        (ALL_ONE, "positive_likelihood_ratio >= 2", "every row is labelled 1"),
    ],
)  # fmt: skip
def test_what_the_labels_alone_leave_undefined_is_refused_before_the_load(labels, gate, says):
    with pytest.raises(GateError, match=f"{says}, so it would (be 0/0|say nothing)"):
        judge(made(labels, labels, labels, gate))


@pytest.mark.parametrize(
    ("gate", "wrong", "word", "own"),
    [
        # of 600 known frauds: how many does the candidate still catch?
        ("recall >= stable - 5pp", 0.1, Word.FAIL, 90),
        ("recall >= stable - 5pp", 0.01, Word.PASS, 99),
        ("f1 >= 0.8", 0.1, Word.PASS, 100 * 2 * 0.9 / 1.9),
        ("balanced_accuracy >= stable - 5pp", 0.1, Word.FAIL, 90),
        ("accuracy >= stable - 5pp", 0.1, Word.FAIL, 90),
    ],
)
def test_what_is_defined_on_one_class_is_computed(gate, wrong, word, own):
    verdict = sound(made(ALL_ONE, ALL_ONE, flipped(ALL_ONE, wrong), gate))
    assert verdict.verdict is word, verdict.reason
    assert verdict.gates[0].candidate == pytest.approx(own)


@pytest.mark.parametrize(
    ("gate", "stable", "candidate", "who"),
    [
        # 0/0 on both sides differs by 0.00pp, with no width
        ("precision >= stable - 1pp", ALL_ZERO, ALL_ZERO, "stable and the candidate"),
        ("precision >= stable - 1pp", HALF, ALL_ZERO, "the candidate"),
        ("precision >= 0.5", ALL_ZERO, ALL_ZERO, "the candidate"),
        ("matthews_corrcoef >= stable - 5pp", ALL_ONE, ALL_ONE, "stable and the candidate"),
        ("matthews_corrcoef >= stable - 5pp", HALF, ALL_ONE, "the candidate"),
        ("matthews_corrcoef >= stable - 5pp", ALL_ONE, HALF, "stable"),
        ("positive_likelihood_ratio >= stable - 20%", HALF, HALF, "stable and the candidate"),
    ],
)  # fmt: skip
def test_what_the_answers_leave_undefined_is_no_evidence(gate, stable, candidate, who):
    verdict = sound(made(HALF, stable, candidate, gate))
    assert verdict.verdict is Word.INCONCLUSIVE
    assert f"of {who} is undefined on these rows: it is 0/0" in verdict.reason


def test_a_score_of_a_rare_class_rests_on_the_rows_of_that_class():
    # both versions find all of 6 positives: among so few a candidate that misses one in ten looks the same
    rare = np.where(np.arange(ROWS) % 100 == 0, "1", "0")
    many = sound(made(HALF, HALF, HALF, "recall >= stable - 2pp"))
    few = sound(made(rare, rare, rare, "recall >= stable - 2pp"))
    assert (many.verdict, few.verdict) == (Word.PASS, Word.INCONCLUSIVE)
    balanced = sound(made(rare, rare, rare, "balanced_accuracy >= stable - 2pp"))
    assert balanced.verdict is Word.INCONCLUSIVE


def numbers(values) -> list[str]:
    return [repr(float(value)) for value in values]


PRICES = np.random.default_rng(5).normal(300.0, 50.0, ROWS)
ABSURD = PRICES.copy()
ABSURD[17] = 1e239


@pytest.mark.parametrize("gate", ["mae <= stable + 10%", "rmse <= stable + 10%", "r2 >= stable - 0.05"])
@pytest.mark.parametrize(
    ("stable", "candidate", "says"),
    [
        (PRICES, ABSURD, "the candidate answers 1e+239 to row 17, and no error of that can be added up"),
        (ABSURD, PRICES + 1, "stable answers 1e+239 to row 17"),
        # some servers write all of its 240 digits
        (ABSURD, ABSURD, "stable answers 1e+239 to row 17"),
        (PRICES, np.where(PRICES < 200, -1e200, PRICES), "the candidate answers -1e+200 to row"),
        (PRICES, np.where(np.arange(ROWS) == 3, np.inf, PRICES), "the candidate answers inf to row 3"),
    ],
)  # fmt: skip
def test_an_answer_beyond_all_numbers_is_named_and_proves_nothing(gate, stable, candidate, says):
    digits = (lambda values: [f"{value:f}" for value in values]) if candidate is ABSURD else numbers
    run = made(PRICES, digits(stable + 0.5), digits(candidate), gate, "regression")
    verdict = sound(run)
    assert verdict.verdict is Word.INCONCLUSIVE
    assert says in verdict.reason
    assert len(verdict.reason) < 300
    by_slice(run)


@pytest.mark.parametrize("gate", ["mae <= stable + 10%", "rmse <= 5", "r2 >= 0.5"])
def test_labels_beyond_all_numbers_are_refused_with_their_row(gate):
    labels = PRICES.copy()
    labels[4] = 1e300
    with pytest.raises(GateError, match=r"row 4 is labelled 1e\+300"):
        judge(made(labels, numbers(PRICES), numbers(PRICES), gate, "regression"))


def test_labels_that_do_not_vary_leave_nothing_to_explain():
    same = np.where(PART == "clean", 7.0, PRICES)
    with pytest.raises(GateError, match="every row with part=clean is labelled"):
        judge(made(same, numbers(same), numbers(same), "r2[part=clean] >= 0.5", "regression"))


def test_large_answers_that_can_be_added_up_are_judged():
    large = PRICES * 1e60
    run = made(large, numbers(large * 1.01), numbers(large * 1.3), "mae <= stable + 10%", "regression")
    verdict = sound(run)
    assert verdict.verdict is Word.FAIL
    assert max(map(len, verdict.gates[0].reason.split())) < 20
    other = replace(run, experiment=run.experiment.model_copy(update={"gates": ()}))
    assert all(np.isfinite([s.low, s.high]).all() for s in by_slice(other))
