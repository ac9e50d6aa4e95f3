"""Gates on named outputs of a regression and on intervals between two: what scikit-learn and MAPIE say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import DatasetError, GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Word
from tests.loadtest.judge.test_regression_metrics import HIGHER, THEIRS, a_set
from tests.loadtest.made_samples import Sample, sample_set

COVERAGE = "interval_coverage[lower=low,upper=high]"
WIDTH = "interval_width[lower=low,upper=high]"
OUTPUTS = {"price": "sold", "low": "units", "high": "units"}


def coverage(truth, low, high):
    """MAPIE's ``regression_coverage_score``."""
    return np.mean((low <= truth) & (truth <= high))


def width(low, high):
    """MAPIE's ``regression_mean_width_score``."""
    return np.mean(np.abs(high - low))


def made(truths, stable, candidate, *gates, outputs=OUTPUTS) -> Run:
    """Each row once. ``truths`` are by column, answers by output; NaN of the first one: no answer came."""
    rows = len(next(iter(truths.values())))
    at = np.linspace(0, 60, rows)
    samples = []
    for role, answers in (("stable", stable), ("candidate", candidate)):
        for row, values in enumerate(zip(*(answers[name] for name in outputs), strict=True)):
            told = (0, "timeout", None) if np.isnan(values[0]) else (200, None, repr(float(values[0])))
            given = None if np.isnan(values[0]) else list(values)
            samples.append(
                Sample(
                    row, role, at[row], at[row], at[row] + 0.01, *told, None, None, 0, outputs=given
                )
            )  # fmt: skip
    experiment = asked(*gates, outputs=outputs)
    load = LoadFacts(offered_rps=50, achieved_rps=50, duration_s=60.0)
    return Run.gather(
        experiment, rows_of(truths, outputs), sample_set(samples), RunFacts(backend="local", load=load)
    )


def asked(*gates, outputs=OUTPUTS, **data) -> Experiment:
    data = {"path": "rows.parquet", "task": "regression", "outputs": outputs, **data}
    named = {"name": "several", "model": {"name": "m", "folder": "m"}, "data": data}
    return Experiment.parse({**named, "gates": list(gates)}, "test")


def rows_of(truths, outputs=OUTPUTS) -> Dataset:
    truths = {name: np.asarray(values, float) for name, values in truths.items()}
    count = len(next(iter(truths.values())))
    columns = pa.table({**truths, "half": ["a" if i < count / 2 else "b" for i in range(count)]})
    rows, labels = np.arange(float(count))[:, None], truths[next(iter(outputs.values()))]
    by_output = {output: truths[column] for output, column in outputs.items()}
    return Dataset(Path("rows.parquet"), rows, ("a",), labels, None, columns, truths=by_output)


def test_an_output_is_measured_as_sklearn_does_on_60_random_sets():
    outputs = {"other": "sold", "price": "units"}
    for seed in range(200):
        # each metric in turn: of an answer without outputs, test_regression_metrics has all sets of each
        name, theirs = list(THEIRS.items())[seed % len(THEIRS)]
        gate = Gate.parse(f"{name}[output=price] {'>= 0.1' if name in HIGHER else '<= 1'}")
        truth, stable, candidate = a_set(seed)
        both = [{"other": np.ones(len(truth)), "price": answers} for answers in (stable, candidate)]
        run = made({"sold": np.arange(1.0 * len(truth)), "units": truth}, *both, str(gate), outputs=outputs)
        # one analysis of many does not resample, and takes a hundredth of the time
        measured = measure(gate, run.until(60.5))
        found = (measured.stable, measured.candidate)
        assert found == pytest.approx([theirs(truth, answers) for answers in (stable, candidate)], rel=1e-9)


def test_coverage_and_width_are_mapies_on_200_random_sets():
    gates = [Gate.parse(f"{COVERAGE} >= 10%"), Gate.parse(f"{WIDTH} <= 10")]
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = 1 if seed % 10 == 0 else int(rng.integers(2, 60))
        # whole numbers: many true values are an end, and many intervals are the wrong way round
        whole = seed % 2 == 0
        truth = rng.integers(0, 5, rows).astype(float) if whole else rng.normal(0, 5, rows)
        ends = [np.round(rng.normal(0, 3, (2, rows))) if whole else rng.normal(0, 3, (2, rows)) for _ in "sc"]
        both = [{"price": truth, "low": low, "high": high} for low, high in ends]
        run = made({"sold": truth, "units": truth}, *both, *map(str, gates)).until(60.5)
        covered = measure(gates[0], run)
        assert (covered.stable, covered.candidate) == pytest.approx(
            [coverage(truth, low, high) for low, high in ends], abs=1e-9
        )
        if rows == 1:
            with pytest.raises(
                NoEvidence, match="interval_width rests on 1 distinct row, 2 are needed to see"
            ):
                measure(gates[1], run)
            continue
        wide = measure(gates[1], run)
        assert (wide.stable, wide.candidate) == pytest.approx([width(*each) for each in ends], rel=1e-9)


def several(noise: float, spread: float = 1.0, rows: int = 1500):
    """Truths, and answers that are off by ``noise`` with an interval ``spread`` times as wide as 90% need."""
    rng = np.random.default_rng(14)
    sold, units = rng.normal(50, 10, rows), rng.normal(20, 5, rows)
    half = 1.645 * 2 * spread
    centre = units + rng.normal(0, 2, rows)
    return {"sold": sold, "units": units}, {
        "price": sold + rng.normal(0, noise, rows),
        "low": centre - half,
        "high": centre + half,
    }


@pytest.mark.parametrize(
    ("noise", "spread", "words"),
    [
        # as stable, but for chance
        (2.0, 1.0, (Word.PASS, Word.PASS, Word.PASS)),
        # one output is worse, and none of the others is
        (3.0, 1.0, (Word.FAIL, Word.PASS, Word.PASS)),
        # intervals that are half as wide cover less
        (2.0, 0.5, (Word.PASS, Word.FAIL, Word.PASS)),
        # those that are wider cover more, and say less
        (2.0, 1.5, (Word.PASS, Word.PASS, Word.FAIL)),
    ],
)
def test_each_output_is_judged_by_itself(noise, spread, words):
    truths, stable = several(2.0)
    _, candidate = several(noise, spread)
    gates = ("mae[output=price] <= stable + 10%", f"{COVERAGE} >= stable - 3pp", f"{WIDTH} <= stable + 10%")
    verdict = judge(made(truths, stable, candidate, *gates))
    assert tuple(gate.verdict for gate in verdict.gates) == words, [gate.reason for gate in verdict.gates]
    for gate in verdict.gates:
        assert gate.interval[0] <= gate.estimate <= gate.interval[1]


def test_intervals_the_wrong_way_round_are_counted_and_misses_told_by_their_side():
    truth = np.arange(10.0)
    right = {"price": truth, "low": truth - 1, "high": truth + 1}
    wrong = {
        "price": truth,
        "low": np.where(truth < 2, truth + 1, truth - 1),  # crossed on two rows
        "high": np.where(truth < 3, truth - 1, truth + 1),  # and below the truth on a third
    }
    measured = measure(
        Gate.parse(f"{COVERAGE} >= 10%"),
        made({"sold": truth, "units": truth}, right, wrong, COVERAGE + " >= 10%"),
    )
    assert (measured.stable, measured.candidate) == (1.0, 0.7)
    assert measured.note == (
        "20.0% of its rows lie below the interval, 30.0% above; low lies above high on 2 rows of candidate"
    )


def test_a_request_without_an_answer_covers_nothing_and_is_as_wide_as_all_truths():
    truth = np.arange(11.0)
    answers = {"price": truth.copy(), "low": truth - 1, "high": truth + 1}
    lost = {**answers, "price": np.where(truth == 3, np.nan, truth)}
    run = made({"sold": truth, "units": truth}, answers, lost, f"{COVERAGE} >= 10%")
    assert measure(Gate.parse(f"{COVERAGE} >= 10%"), run).candidate == pytest.approx(10 / 11)
    assert measure(Gate.parse(f"{WIDTH} <= 100"), run).candidate == pytest.approx((10 * 2 + 10) / 11)


def test_a_slice_of_an_output():
    truth = np.arange(200.0)
    off = {"price": truth + (truth >= 100), "low": truth, "high": truth}
    run = made({"sold": truth, "units": truth}, off, off, "mae[output=price] <= 2")
    for half, error in (("a", 0.0), ("b", 1.0)):
        assert measure(Gate.parse(f"mae[output=price][half={half}] <= 2"), run).candidate == error
        assert measure(Gate.parse(f"mae[half={half}][output=price] <= 2"), run).candidate == error


@pytest.mark.parametrize(
    ("gate", "data", "says"),
    [
        ("mae[output=cost] <= 1", {}, r"\[data.outputs\] does not name 'cost'; it has price, low, high"),
        ("mae[output=price] <= 1", {"outputs": {}}, r"names no outputs; .* such as price = \"label\""),
        ("interval_width[lower=price,upper=high] <= 1", {}, "price and high have different true values"),
        # which of them do the versions answer?
        ("mae <= 1", {}, r"names outputs and no label; write mae\[output=price\], or name under"),
        ("mape[output=low] <= 10%", {"label": "sold"}, "row 1 is labelled 0, and mape is defined for labels"),
        ("r2[output=low] >= 0.5", {"label": "sold"}, None),
        ("mae <= 1", {"label": "sold"}, None),
        # the label varies, the true values of the output do not
        ("r2[output=price] >= 0.5", {"outputs": {"price": "same"}}, "every row is labelled 3"),
    ],
)  # fmt: skip
def test_a_gate_that_does_not_fit_is_refused_before_the_load(gate, data, says):
    experiment = asked(gate, **{"outputs": OUTPUTS, **data})
    truths = {"sold": [1, 2, 4], "units": [1, 0, 4], "same": [3, 3, 3]}
    dataset = rows_of(truths, experiment.data.outputs or {"": "sold"})
    if says is None:
        check_gates(experiment, dataset)
        return
    with pytest.raises(GateError, match=says):
        check_gates(experiment, dataset)


def test_samples_of_another_experiment_are_no_evidence():
    truth = np.arange(30.0)
    run = made(
        {"sold": truth, "units": truth}, *(dict.fromkeys(OUTPUTS, truth),) * 2, "mae[output=price] <= 1"
    )
    with pytest.raises(DatasetError, match=r"the values of 3 outputs, \[data.outputs\] names 1"):
        Run.gather(
            asked("mae[output=price] <= 1", outputs={"price": "sold"}), run.dataset, run.samples, run.facts
        )
    bare = replace(
        run, evidence=Run.gather(run.experiment, run.dataset, run.samples.without_lists(), run.facts).evidence
    )
    with pytest.raises(NoEvidence, match=r"no output 'price'; measure again with it under \[data.outputs\]"):
        measure(run.experiment.gates[0], bare)


@pytest.mark.parametrize(
    ("gate", "end", "says"),
    [
        (f"{WIDTH} <= 1", 1e300, r"stable answers 1e\+300 to row 0 \(and 29 more answers\), and no wid"),
        (f"{WIDTH} <= 1", np.repeat([1e300, 100.0], [2, 28]), r"to row 0 \(and 1 more answer\), and no wid"),
        (f"{WIDTH} <= 1", np.inf, "stable answers inf to row 0 .* no width"),
        (f"{WIDTH} <= 1", np.nan, "stable answers nan to row 0 .* no width"),
        (f"{COVERAGE} >= 1%", np.nan, "stable answers nan to row 0 .* whether that covers a true value is"),
        # as far as it reaches, it covers
        (f"{COVERAGE} >= 1%", np.inf, None),
        (f"{COVERAGE} >= 1%", 1e300, None),
    ],
)
def test_an_end_of_which_the_metric_is_undefined_is_no_evidence(gate, end, says):
    truth = np.arange(30.0)
    far = {"price": truth, "low": truth, "high": np.full(30, end)}
    run = made({"sold": truth, "units": truth}, far, far, gate)
    if says is None:
        assert measure(run.experiment.gates[0], run).candidate == 1
        return
    with pytest.raises(NoEvidence, match=says):
        measure(run.experiment.gates[0], run)
