"""Metrics of a regression: scikit-learn's to 1e-9, and what they are undefined for is refused in one line."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.experiment.metrics import METRICS
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Word
from tests.loadtest.made_samples import Sample, sample_set


def smape(truth, answer):
    """Of the M4 competition, 0/0 counted as 0."""
    size = np.abs(truth) + np.abs(answer)
    return np.mean(np.where(size == 0, 0.0, 2 * np.abs(truth - answer) / np.where(size == 0, 1, size)))


THEIRS = {
    "mae": metrics.mean_absolute_error,
    "rmse": metrics.root_mean_squared_error,
    "r2": metrics.r2_score,
    "mape": metrics.mean_absolute_percentage_error,
    "smape": smape,
    "median_ae": metrics.median_absolute_error,
    "pinball[0.9]": lambda truth, answer: metrics.mean_pinball_loss(truth, answer, alpha=0.9),
    "pinball[0.25]": lambda truth, answer: metrics.mean_pinball_loss(truth, answer, alpha=0.25),
    "rmsle": metrics.root_mean_squared_log_error,
    "mean_poisson_deviance": metrics.mean_poisson_deviance,
    "mean_gamma_deviance": metrics.mean_gamma_deviance,
    "explained_variance": metrics.explained_variance_score,
    "max_error": metrics.max_error,
}
HIGHER = {"r2", "explained_variance"}


def run_of(labels, stable, candidate, gate: str) -> Run:
    """Each row once; None: no answer came."""
    at = np.linspace(0, 60, len(labels))
    samples = [
        Sample(
            row, role, at[row], at[row], at[row] + 0.01, 200 if answer is not None else 0,
            None if answer is not None else "timeout", None if answer is None else repr(float(answer)),
            None, None, 0,
        )
        for role, answers in (("stable", stable), ("candidate", candidate))
        for row, answer in enumerate(answers)
    ]  # fmt: skip
    experiment = Experiment.parse(
        {
            "name": "numbers",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.parquet", "task": "regression"},
            "gates": [gate],
        },
        "test",
    )
    rows = np.arange(len(labels), dtype=float)[:, None]
    columns = pa.table(
        {"y": np.asarray(labels, float), "kind": ["odd" if i % 2 else "even" for i in rows[:, 0]]}
    )
    dataset = Dataset(Path("rows.parquet"), rows, ("a",), np.asarray(labels, float), None, columns)
    load = LoadFacts(offered_rps=50, achieved_rps=50, duration_s=60.0)
    return Run.gather(experiment, dataset, sample_set(samples), RunFacts(backend="local", load=load))


def a_set(seed: int):
    """Labels and two versions' answers: above 0, so that every metric is defined; ties in some sets."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(20, 60))
    labels = rng.gamma(2.0, 10.0 ** rng.integers(-2, 4), rows)
    if seed % 4 == 0:
        labels = np.ceil(labels / labels.mean() * 5)
    answers = [np.abs(labels * rng.normal(1, 0.2, rows)) + 1e-3 for _ in range(2)]
    return labels, *answers


@cache
def run_of_set(seed: int) -> Run:
    """One analysis of many does not resample, and takes a hundredth of the time."""
    return run_of(*a_set(seed), "mae <= 1").until(60.5)


@pytest.mark.parametrize("name", THEIRS)
def test_every_estimate_is_theirs_on_60_random_sets(name):
    operator = ">=" if name in HIGHER else "<="
    gate = Gate.parse(f"{name} {operator} {'0.1' if name in HIGHER else '1'}")
    for seed in range(200):
        labels, stable, candidate = a_set(seed)
        measured = measure(gate, run_of_set(seed))
        for answers, own in ((stable, measured.stable), (candidate, measured.candidate)):
            assert own == pytest.approx(THEIRS[name](labels, answers), rel=1e-9, abs=1e-9)


def test_every_metric_of_a_regression_has_its_counterpart():
    known = {name.partition("[")[0] for name in THEIRS}
    # those of predicted intervals stand in test_outputs
    assert {metric.name for metric in METRICS.values() if metric.per_row is not None} == known


@pytest.mark.parametrize("name", [name for name in THEIRS if name not in ("max_error", *HIGHER)])
def test_a_candidate_that_is_further_off_fails_and_an_equal_one_passes(name):
    rng = np.random.default_rng(3)
    labels = rng.lognormal(2, 0.5, 1500)
    stable, equal, worse = (labels * np.exp(rng.normal(0, noise, 1500)) for noise in (0.2, 0.2, 0.4))
    gate = f"{name} <= stable + 30%"
    for candidate, word in ((equal, Word.PASS), (worse, Word.FAIL)):
        result = judge(run_of(labels, stable, candidate, gate)).gates[0]
        assert result.verdict is word, result.reason
        low, high = result.interval
        assert low < result.estimate < high


def test_an_offset_costs_no_explained_variance_and_noise_does():
    rng = np.random.default_rng(4)
    labels = rng.normal(1e6, 5, 1000)
    stable = labels + rng.normal(0, 1, 1000)
    gate = "explained_variance >= stable - 0.02"
    offset = judge(run_of(labels, stable, labels + 7 + rng.normal(0, 1, 1000), gate)).gates[0]
    noisy = judge(run_of(labels, stable, labels + rng.normal(0, 3, 1000), gate)).gates[0]
    assert (offset.verdict, noisy.verdict) == (Word.PASS, Word.FAIL)


@pytest.mark.parametrize(
    ("gate", "labels", "says"),
    [
        ("mape <= 10%", [5, 0, 3, 0], r"row 1 is labelled 0 \(and 1 more are like it\), and mape is defined"),
        ("mean_gamma_deviance <= 1", [5, 1, 0], "row 2 is labelled 0, .* defined for labels above 0 alone"),
        ("mean_poisson_deviance <= 1", [5, -1, 0], "row 1 is labelled -1, .* labels of at least 0 alone"),
        ("mean_poisson_deviance <= 1", [0, 0, 0], "every row is labelled 0, so mean_poisson_deviance would"),
        ("rmsle <= 1", [5, 1, -1], "row 2 is labelled -1, .* labels above -1 alone; leave such rows out"),
        ("explained_variance >= 0.5", [5, 5, 5], "every row is labelled 5.0, so it would say nothing"),
        # what lies in the domain, and a slice without the rows that do not
        ("mean_poisson_deviance <= 1", [5, 0, 1], None),
        ("rmsle <= 1", [5, -0.5, 0], None),
        ("smape <= 10%", [5, 0, 0], None),
        ("mape[kind=even] <= 10%", [5, 0, 3], None),
        ("mape[kind=odd] <= 10%", [5, 0, 3], "row 1 is labelled 0"),
    ],
)  # fmt: skip
def test_labels_outside_the_domain_are_refused_before_the_load(gate, labels, says):
    run = run_of(labels, labels, labels, gate)
    if says is None:
        check_gates(run.experiment, run.dataset)
        return
    with pytest.raises(GateError, match=says):
        check_gates(run.experiment, run.dataset)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("pinball <= 1", "lacks its number; write for example pinball\\[0.9\\]"),
        ("pinball[1.5] <= 1", "does not lie between 0 and 1"),
        ("pinball[0] <= 1", "does not lie between 0 and 1"),
        ("max_error <= stable + 10", "one row decides the largest error .* such as 'max_error <= 10'"),
        ("median_absolute_error <= 1", "did you mean 'median_ae'"),
        ("neg_mean_gamma_deviance >= -1", "counts backwards; write 'mean_gamma_deviance <= ...'"),
    ],
)
def test_names_and_bounds_that_are_refused(gate, says):
    with pytest.raises(GateError, match=says):
        Gate.parse(gate)


def test_shares_beyond_one_are_bounds_of_relative_errors_alone():
    assert Gate.parse("mape <= 150%").bound == 1.5
    assert Gate.parse("mape <= stable + 2pp").margin_unit == "pp"
    with pytest.raises(GateError, match="is a share and cannot exceed 100%"):
        Gate.parse("error_rate <= 150%")


@pytest.mark.parametrize(
    ("gate", "answer"),
    [("mean_poisson_deviance <= 1", 0.0), ("mean_gamma_deviance <= 1", -2.0), ("rmsle <= 1", -1.5)],
)
def test_an_answer_outside_the_domain_is_named(gate, answer):
    labels = np.linspace(1, 9, 50)
    candidate = labels.copy()
    candidate[7] = answer
    result = judge(run_of(labels, labels, candidate, gate)).gates[0]
    assert result.verdict is Word.INCONCLUSIVE
    assert result.reason.startswith(
        f"the candidate answers {float(answer):g} to row 7, and {result.gate.metric} of that"
    )


def test_an_answer_that_never_came_is_off_as_far_as_the_labels_mean():
    labels = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    answers = [1.0, 2.0, 3.0, 4.0, None]
    measured = measure(Gate.parse("max_error <= 90"), run_of(labels, labels, answers, "max_error <= 90"))
    assert measured.candidate == 78.0


def test_the_largest_error_passes_on_nearly_all_rows_and_fails_on_any():
    labels = np.arange(100.0)
    run = run_of(labels, labels, labels + 2, "max_error <= 3")
    assert judge(run).gates[0].verdict is Word.PASS
    few = run.evidence.between(0, 30)
    with pytest.raises(
        NoEvidence, match="the largest error on 50 of 100 distinct rows is 2, and says nothing"
    ):
        measure(Gate.parse("max_error <= 3"), Run(run.experiment, run.dataset, run.facts, few))
    beyond = measure(Gate.parse("max_error <= 1"), Run(run.experiment, run.dataset, run.facts, few))
    assert beyond.estimate.p_above(1) == 0


def test_a_median_is_looked_at_often_by_its_ranks():
    rng = np.random.default_rng(6)
    labels = rng.normal(0, 5, 3000)
    run = run_of(labels, labels + rng.normal(0, 1, 3000), labels + rng.normal(0, 2, 3000), "median_ae <= 1")
    gate = Gate.parse("median_ae <= stable + 20%")
    once, often = measure(gate, run), measure(gate, run.until(60.5))
    assert once.estimate.value == pytest.approx(often.estimate.value)
    assert (
        often.estimate.interval(0.05)[0]
        < once.estimate.interval(0.05)[0]
        < 1
        < often.estimate.interval(1e-6)[1]
    )
    assert often.estimate.p_above(0.2) < 1e-6
