"""The gate ``agreement``: the share of distinct rows that both versions answer alike. No labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import ExperimentError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.gate_checks import check_gates, check_labels
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.slices import by_slice
from loadtest.judge.verdict import Word
from loadtest.report.number_format import rows as rows_words
from tests.loadtest.made_samples import Sample, sample_set

ROWS = 1000
GATE = "agreement >= 99%"


def run_of(stable, candidate, *, gate=GATE, task="classification", load=None, replays=1, columns=None) -> Run:
    """Each row ``replays`` times, without labels; None: no answer came."""
    at = np.linspace(0, 60, replays * len(stable))
    samples = [
        Sample(
            place % len(stable), role, at[place], at[place], at[place] + 0.01,
            200 if answer is not None else 0, None if answer is not None else "timeout",
            None if answer is None else str(answer), None, None, 0,
        )
        for role, answers in (("stable", stable), ("candidate", candidate))
        for place in range(replays * len(stable))
        for answer in [answers[place % len(stable)]]
    ]  # fmt: skip
    experiment = Experiment.parse(
        {
            "name": "same",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.csv", "task": task},
            "load": load or {},
            "gates": [gate],
        },
        "test",
    )
    x = np.arange(len(stable), dtype=float)
    table = pa.table({"x": x, **(columns or {})})
    dataset = Dataset(
        Path("rows.csv"), x[:, None], ("x",), np.zeros(0, np.str_ if task[0] == "c" else float), None, table
    )
    facts = LoadFacts(offered_rps=50, achieved_rps=50, duration_s=60.0)
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=facts))


def result_of(*answers, **how):
    return judge(run_of(*answers, **how)).gates[0]


def with_other(answers, count, other="z"):
    """The first ``count`` answers replaced."""
    return [*[other] * count, *answers[count:]]


TEXTS = ["a", "b"] * (ROWS // 2)


@pytest.mark.parametrize(
    ("stable", "candidate", "word", "share", "says"),
    [
        (TEXTS, TEXTS, "PASS", 100, "at least 99.7% with 95% confidence, within the bound of 99%"),
        # 4 of 1,000 still pass; the rows that differ are named
        (TEXTS, with_other(TEXTS, 4), "PASS", 99.6, "differs on row 0: 'z' instead of 'a', row 1: 'z'"),
        (TEXTS, with_other(TEXTS, 30), "FAIL", 97, "beyond the bound of 99%"),
        (TEXTS, with_other(TEXTS, 10), "INCONCLUSIVE", 99, "the bound of 99% is in between"),
        # no answer of the candidate is another answer; both versions' answers are not asked for
        (TEXTS, [None if i % 20 == 0 else text for i, text in enumerate(TEXTS)], "FAIL", 95, "beyond"),
        # which count for fewer where they come in a burst
        (TEXTS, with_other(TEXTS, 50, None), "INCONCLUSIVE", 95, "in between"),
        (with_other(TEXTS, 50, None), TEXTS, "PASS", 100, "within the bound"),
        (with_other(TEXTS, 50, None), with_other(TEXTS, 50, None), "PASS", 100, "within the bound"),
        # and with too few of stable's there is nothing to compare with
        (with_other(TEXTS, 150, None), TEXTS, "INCONCLUSIVE", None, "stable answered 850 of 1,000 distinct"),
    ],
)  # fmt: skip
def test_verdicts(stable, candidate, word, share, says):
    result = result_of(stable, candidate)
    assert result.verdict is Word(word)
    assert says in result.reason
    assert result.candidate == (None if share is None else pytest.approx(share, abs=0.3))
    assert result.stable is None


def test_replays_of_a_row_count_once():
    once, often = (result_of(TEXTS, with_other(TEXTS, 10), replays=n) for n in (1, 5))
    assert once.interval == often.interval


@pytest.mark.parametrize(
    ("shift", "word", "says"),
    [
        # another order of sums
        (1e-9, "PASS", "numbers that differ by at most 0.00"),
        # single precision
        (2e-6, "PASS", "within the bound"),
        (0.1, "FAIL", "beyond the bound"),
        # what is no number is near to none
        (np.nan, "FAIL", "beyond the bound"),
    ],
)
def test_numbers_agree_within_a_thousandth_of_the_spread_of_stables(shift, word, says):
    answers = np.random.default_rng(1).normal(1e3, 5, ROWS)
    result = result_of(answers.tolist(), (answers + shift).tolist(), task="regression")
    assert result.verdict is Word(word)
    assert says in result.reason


def test_a_slice_and_a_bound_below_all():
    half = {"kind": ["odd" if i % 2 else "even" for i in range(ROWS)]}
    other = [f"{answer}!" if i % 2 else answer for i, answer in enumerate(TEXTS)]
    even, odd = (
        result_of(TEXTS, other, gate=f"agreement[kind={k}] >= 99%", columns=half) for k in ("even", "odd")
    )
    assert (even.verdict, odd.verdict) == (Word.PASS, Word.FAIL)


@pytest.mark.parametrize(("candidate", "word"), [(TEXTS, Word.PASS), (with_other(TEXTS, 300), Word.FAIL)])
def test_a_run_that_ends_when_it_is_decided(candidate, word):
    verdict = judge(run_of(TEXTS, candidate, gate="agreement >= 98%", load={"until_decided": True}))
    assert verdict.verdict is word
    assert 1 <= verdict.decided_after_s < 40


@pytest.mark.parametrize(
    ("gate", "load", "says"),
    [
        (
            "accuracy >= 50%",
            {},
            r"accuracy needs labels, and rows.csv has no column 'label'; it has x; name the",
        ),
        ("f1_macro >= stable - 1pp", {}, "f1_macro needs labels"),
        ("value >= stable - 1%", {}, "value needs labels"),
        ("goodput >= 10/s", {}, None),
        (GATE, {}, None),
        (GATE, {"traffic": "canary"}, r"canary traffic reports the true outcome of requests, and rows.csv"),
    ],
)
def test_what_needs_labels_is_refused_before_the_load(gate, load, says):
    run = run_of(TEXTS, TEXTS, gate=gate, load=load)
    if says is None:
        check_gates(run.experiment, run.dataset)
        return
    with pytest.raises((GateError, ExperimentError), match=says):
        check_gates(run.experiment, run.dataset)


def test_users_report_what_the_labels_say_so_a_canary_needs_them():
    run = run_of(TEXTS, TEXTS, load={"traffic": "shadow"})
    with pytest.raises(ExperimentError, match="shadow traffic reports the true outcome"):
        check_labels(run.experiment, run.dataset)


def test_a_version_of_its_own_traffic_gets_no_pairs():
    experiment = run_of(TEXTS, TEXTS, load={"traffic": "canary"}).experiment
    with pytest.raises(GateError, match="agreement needs each row answered by both versions"):
        check_gates(experiment, None)


def test_there_is_no_margin_on_stable():
    with pytest.raises(
        GateError, match="agreement compares the candidate with stable already; write a bound"
    ):
        Gate.parse("agreement >= stable - 1pp")
    with pytest.raises(GateError, match="no number of requests can show this bound"):
        Gate.parse("agreement >= 100%")


def test_the_verdict_says_what_could_not_be_judged():
    run = run_of(TEXTS, with_other(TEXTS, 400, "never seen"))
    verdict = judge(run)
    assert verdict.verdict is Word.FAIL  # and not INVALID, for want of labels among the answers
    for version in verdict.versions.values():
        assert (version.accuracy, version.value_per_1000, version.foreign_answers) == (None, None, None)
        assert version.goodput_rps == pytest.approx(ROWS / 60, rel=0.01)
    assert rows_words(verdict.rows).endswith("no labels, so whether answers are right was not judged")
    assert by_slice(run) == []
