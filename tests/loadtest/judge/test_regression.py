"""Regression gates: errors of numbers instead of right or wrong."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import mean_absolute_percentage_error, r2_score

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import NUMBER, Metric
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Verdict, Word
from tests.loadtest.made_samples import Sample, sample_set

GATES = ("mae <= stable + 10%", "rmse <= stable + 2", "r2 >= 0.5", "goodput >= 40/s")
ROWS = 3000


def made(noise: float, unanswered: float = 0.0) -> Run:
    """Stable is off by 2 on average, the candidate by ``noise``; a share of its answers never comes."""
    rng = np.random.default_rng(1)
    truth, at = rng.normal(20, 5, ROWS), np.sort(rng.uniform(0, 60, ROWS))
    samples = [
        Sample(
            row, version, at[row], at[row], at[row] + 0.01, 0 if error else 200, error,
            None if error else repr(float(truth[row] + rng.normal(0, spread))), None, None, 0,
        )
        for version, spread, share in (("stable", 2.0, 0.0), ("candidate", noise, unanswered))
        for row in range(ROWS)
        for error in ["timeout" if rng.random() < share else None]
    ]  # fmt: skip
    experiment = Experiment.parse(
        {
            "name": "regression",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.parquet", "task": "regression"},
            "gates": list(GATES),
        },
        "test",
    )
    dataset = Dataset(
        Path("rows.parquet"), np.arange(float(ROWS))[:, None], ("a",), truth, None, pa.table({"y": truth})
    )
    facts = LoadFacts(offered_rps=50, achieved_rps=50, duration_s=60.0)
    run_facts = RunFacts(backend="compose", load=facts)
    return Run.gather(experiment, dataset, sample_set(samples), run_facts)


def run(noise: float, unanswered: float = 0.0) -> Verdict:
    return judge(made(noise, unanswered))


@pytest.mark.parametrize(
    ("noise", "unanswered", "words", "mae"),
    [
        (2.0, 0.0, "PASS PASS PASS PASS", 0),
        (3.0, 0.0, "FAIL PASS PASS PASS", 50),  # half as much error again
        # an answer that never came is worth the mean of the labels, off by 4 on average instead of 1.6
        (2.0, 0.2, "FAIL PASS PASS INCONCLUSIVE", 30),
    ],
)
def test_regression(noise, unanswered, words, mae):
    verdict = run(noise, unanswered)
    assert [g.verdict for g in verdict.gates] == [Word(word) for word in words.split()]
    assert verdict.gates[0].estimate == pytest.approx(mae, abs=5)
    assert verdict.versions["stable"].accuracy is None


def test_a_mean_over_rows_needs_nothing_but_its_entry():
    mape = Metric(
        *("mape", NUMBER, "lower", "regression"), task="regression", best=0.0, useless=None,
        per_row=lambda truth, answer: abs(answer - truth) / abs(truth),
    )  # fmt: skip
    stored = made(3.0)
    measured = measure(Gate.parse("mape <= stable + 10%", {"mape": mape}), stored)
    candidate = stored.evidence.candidate
    truth = stored.dataset.labels[candidate.row]
    answers = np.array(candidate.prediction.to_pylist(), dtype=np.float64)
    assert measured.candidate == pytest.approx(mean_absolute_percentage_error(truth, answers))
    low, high = measured.estimate.interval(0.05)
    assert 0.3 < low < measured.candidate / measured.stable - 1 < high < 0.7


FAR = [
    # offsets of epoch seconds, milliseconds, microseconds and nanoseconds, and the other side of zero
    (1.76e9, 3.6e3),
    (1.76e12, 3.6e6),
    (1.76e15, 3.6e9),
    (1.76e18, 3.6e12),
    (-1.76e15, 3.6e9),
    (0.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("offset", "scale"), FAR)
def test_r2_of_labels_far_from_zero_is_that_of_the_same_labels_near_it(offset, scale):
    rng = np.random.default_rng(7)
    labels = offset + scale * rng.normal(0, 1, ROWS)
    answers = labels + scale * rng.normal(0, 0.19, ROWS)
    run = answered(labels, answers, "r2 >= 0.9")
    gate = judge(run).gates[0]
    right = r2_score(labels - labels[0], answers - labels[0])
    assert 0.955 < right < 0.97
    assert gate.candidate == pytest.approx(right, abs=1e-6)
    low, high = gate.interval
    assert low < right < high < 1


def test_no_interval_ends_beyond_what_is_possible():
    rng = np.random.default_rng(8)
    labels = rng.normal(0, 1, 30)
    gates = {
        g: judge(answered(labels, labels + 1e-3 * labels, g)).gates[0] for g in ("r2 >= 0.5", "mae <= 0.5")
    }
    assert gates["r2 >= 0.5"].interval[1] == 1
    assert gates["mae <= 0.5"].interval[0] == 0


def answered(labels, answers, gate: str) -> Run:
    """Each row once, both versions with the same answers."""
    at = np.linspace(0, 60, len(labels))
    samples = [
        Sample(
            row, role, at[row], at[row], at[row] + 0.01, 200, None, repr(float(answers[row])), None, None, 0
        )
        for role in ("stable", "candidate")
        for row in range(len(labels))
    ]
    experiment = Experiment.parse(
        {
            "name": "far",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.parquet", "task": "regression"},
            "gates": [gate],
        },
        "test",
    )
    dataset = Dataset(Path("rows.parquet"), labels[:, None], ("a",), labels, None, pa.table({"y": labels}))
    facts = LoadFacts(offered_rps=50, achieved_rps=50, duration_s=60.0)
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=facts))
