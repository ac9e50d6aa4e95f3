"""Runs that end as soon as they are decided: what is said, when, and the same again from a stored run."""

import itertools
from dataclasses import replace

import pytest

from loadtest.data.run_folder import EXPERIMENT
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.judge.interim import analysis_times
from loadtest.judge.judge import judge
from loadtest.judge.run import Run as JudgedRun
from loadtest.judge.verdict import Verdict, Word
from tests.loadtest.judge.test_judge import DEFAULT, Arm, Run

LONG = Run(arrivals=6_000, seconds=120.0, rows=6_000)


def until_decided(run: Run) -> Experiment:
    experiment = run.experiment()
    return experiment.model_copy(
        update={"load": experiment.load.model_copy(update={"until_decided": True, "duration": run.seconds})}
    )


def decided(run: Run, samples: SampleSet | None = None) -> Verdict:
    stored = JudgedRun.gather(until_decided(run), run.dataset(), samples or run.samples(), run.run_facts())
    return judge(stored)


def test_analyses_come_every_second_and_later_with_each_hundredth_more():
    times = list(itertools.takewhile(lambda t: t < 3600, analysis_times()))
    assert times[:100] == [float(second) for second in range(1, 101)]
    assert len(times) < 500


@pytest.mark.parametrize(
    ("run", "word", "earliest", "latest", "says"),
    [
        # latency needs its blocks of time
        (LONG, Word.PASS, 15, 60, "all 5 gates are met with 95% confidence; decided after"),
        # answers are bet on from the first row
        (replace(LONG, candidate=Arm(accuracy=0.7)), Word.FAIL, 3, 12, "accuracy >= stable - 1pp: at most −"),
        (replace(LONG, candidate=Arm(slower=0.2)), Word.FAIL, 10, 40, "p50 <= stable + 25ms: at least +"),
        # every metric has its form: far tails for those that are bootstrapped at the end of a fixed run
        (
            replace(LONG, gates=("value >= stable - 5%", "f1 >= stable - 5pp", "goodput >= stable - 5%",
                                 "accuracy >= 0.5", "error_rate <= 2%", "throughput >= 20/s")),
            Word.PASS, 15, 60, "all 6 gates",
        ),
        (
            replace(LONG, candidate=Arm(accuracy=0.6), gates=("value >= stable - 5%",)),
            Word.FAIL, 10, 40, "value",
        ),
        # counted: one is enough to FAIL, at the first analysis that sees it
        (
            replace(LONG, candidate=Arm(mismatches=(60,)), gates=("mismatches == 0", *DEFAULT)),
            Word.FAIL, 1, 4, "mismatches == 0: 1 of ",
        ),
        # ... also when the rest is decided before
        (
            replace(LONG, candidate=Arm(mismatches=(5_999,)), gates=("mismatches == 0", *DEFAULT)),
            Word.FAIL, 15, 60, "mismatches == 0: 1 of ",
        ),
        # none: that holds nothing up, and is said at the end
        (replace(LONG, gates=("mismatches == 0", *DEFAULT)), Word.PASS, 15, 60, "all 6 gates"),
        # facts are read at the end
        (
            replace(LONG, gates=("memory <= 100m", *DEFAULT), memory=(2**26, 2**28)),
            Word.FAIL, 15, 60, "memory <= 100m: 256 MiB, beyond",
        ),
    ],
    ids=["same", "wrong", "slow", "many", "value", "mismatches", "mismatches-late", "matches", "memory"],
)  # fmt: skip
def test_a_run_is_decided_before_its_limit(run, word, earliest, latest, says):
    verdict = decided(run)
    assert verdict.verdict is word, verdict.reason
    assert says in verdict.reason
    assert earliest <= verdict.decided_after_s <= latest


@pytest.mark.parametrize(
    ("run", "says"),
    [
        # no margin: equal versions can never be told
        (replace(LONG, gates=("accuracy >= stable",)), "true value may be"),
        # facts alone give nothing to stop for
        (replace(LONG, gates=("memory <= 100m",)), "memory was not measured"),
        (replace(LONG, seconds=10.0, arrivals=500), "undecided"),
    ],
)
def test_at_the_limit_what_is_open_stays_open(run, says):
    verdict = decided(run)
    assert verdict.verdict is Word.INCONCLUSIVE
    assert verdict.decided_after_s is None
    assert says in verdict.reason


def test_what_came_after_the_decision_changes_nothing():
    run = replace(LONG, candidate=Arm(accuracy=0.7))
    samples = run.samples()
    whole = decided(run)
    start = samples.scheduled_at.min()
    cut = samples.where(samples.scheduled_at < start + whole.decided_after_s + 3)
    assert decided(run, cut).gates == whole.gates


def test_a_decided_gate_stays_decided_though_later_analyses_would_not_say_so():
    # the candidate fails long after everything was shown
    run = replace(LONG, candidate=Arm(burst=(80.0, 119.0)), gates=DEFAULT)
    assert decided(run).verdict is Word.PASS
    assert run.judge().verdict is Word.FAIL


def test_one_gate_of_many_must_fail_beyond_chance():
    run = replace(LONG, candidate=Arm(accuracy=0.75), gates=("accuracy >= stable - 1pp",))
    alone = decided(run)
    among = decided(replace(run, gates=(*run.gates, *[f"p{q} <= 1{q}0ms" for q in range(50, 60)])))
    assert among.verdict is alone.verdict is Word.FAIL
    assert among.decided_after_s > alone.decided_after_s


def test_a_run_that_is_invalid_is_not_called_decided():
    verdict = decided(replace(LONG, valid=False))
    assert verdict.verdict is Word.INVALID
    assert "decided" not in verdict.reason


def test_the_experiment_says_so_in_its_file(tmp_path):
    (tmp_path / EXPERIMENT).write_text(until_decided(LONG).to_toml())
    assert Experiment.load_file(str(tmp_path / EXPERIMENT)).load.until_decided
    assert not LONG.experiment().load.until_decided
