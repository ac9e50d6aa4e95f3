"""False alarms, wrong PASS and power of the gates on a regression's errors, through the judge's own tests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.metric_tests import measure as measure_gate
from loadtest.judge.outcomes import Outcomes, one_row_each
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.stats.estimate import Estimate

ALPHA = 0.05
ROWS, MORE_ROWS = 400, 2_000
"""Of a run; squares of errors that grow with the label need more, or few rows decide."""
MANY = 100_000
WORSE = 1.15
"""How many times as large the candidate's errors are where it is worse by exactly the margin."""
LOWER = (
    *("mae", "rmse", "mape", "smape", "median_ae", "pinball[0.9]", "rmsle", "mean_poisson_deviance"),
    "mean_gamma_deviance",
)
HIGHER = ("r2", "explained_variance")
WIDTH, COVERAGE = "interval_width[lower=low,upper=high]", "interval_coverage[lower=low,upper=high]"
INTERVALS = (WIDTH, COVERAGE)
HALF = math.exp(1.645 * 0.22) - 1
"""Of an interval, its half as a share of its centre, so that it covers about 90%."""

Floats = NDArray[np.float64]


def measure(
    runs: int, seed: int, done: Sequence[dict[str, Any]] = (), until: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Each metric, four times as many runs as asked for; see ``bounds.measure``."""
    runs *= 4
    before = {row["what"].partition(" ")[0]: row for row in done}
    for place, name in enumerate((*LOWER, *HIGHER, *INTERVALS)):
        old = before.get(name if name not in INTERVALS else name.partition("[")[0])
        if old and (old["runs"] >= runs or time.monotonic() > until):
            yield old
        elif time.monotonic() <= until:
            yield one(name, runs, np.random.default_rng([seed, place]))


def one(name: str, runs: int, rng: np.random.Generator) -> dict[str, Any]:
    """One metric: two versions whose errors are alike on a row, as those of real versions are."""
    gate = Gate.parse(
        f"{name} >= stable - 0{'pp' if name == COVERAGE else ''}"
        if name in (*HIGHER, COVERAGE)
        else f"{name} <= stable + 0%"
    )
    sign, rows = (-1, MORE_ROWS) if gate.higher_is_better else (1, ROWS)
    margin = float(np.mean([sign * _estimate(gate, MANY, WORSE, rng).value for _ in range(5)]))

    def ends(worse: float) -> Floats:
        """Of each run, the interval of the harm."""
        intervals = np.array([_estimate(gate, rows, worse, rng).interval(ALPHA) for _ in range(runs)])
        return np.sort(sign * intervals, axis=1)

    equal = ends(1.0)
    shown = f"{margin:.3f}" if gate.higher_is_better else f"{100 * margin:.0f}%"
    return {
        "what": f"{gate.entry.name if gate.outputs else name} within {shown} of stable's",
        "size": f"{rows:,} rows",
        "runs": runs,
        "alarm": float(np.mean(equal[:, 0] > 0)),
        "pass_equal": float(np.mean(equal[:, 1] < margin)),
        "wrong_pass": float(np.mean(ends(WORSE)[:, 1] < margin)),
    }


def _estimate(gate: Gate, rows: int, worse: float, rng: np.random.Generator) -> Estimate:
    labels = rng.gamma(6.0, 5.0, rows)
    shared = rng.normal(0, 0.2, rows)
    factors = (shared + rng.normal(0, 0.1, rows), worse * (shared + rng.normal(0, 0.1, rows)))
    at = np.linspace(0, 60, rows)
    # of intervals, the candidate's are wider, or too narrow for what they are to cover
    scales = (1.0, 1 / worse if gate.higher_is_better else worse) if gate.outputs else ()
    if scales:
        factors = (factors[0], shared + rng.normal(0, 0.1, rows))
    halves = [HALF * scale * np.exp(rng.normal(0, 0.1, rows)) for scale in scales]
    stable, candidate = (
        _outcomes(labels * np.exp(factor), at, halves[i] if halves else None)
        for i, factor in enumerate(factors)
    )
    return measure_gate(gate, _run(labels, Evidence(stable, candidate, True, 0, 60.0))).estimate


def _outcomes(answers: Floats, at: Floats, halves: Floats | None) -> Outcomes:
    rows = len(answers)
    outputs = pa.nulls(rows, pa.list_(pa.float64()))
    if halves is not None:
        ends = np.column_stack([answers * (1 - halves), answers * (1 + halves)])
        outputs = pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * rows + 1, 2, np.int32)), ends.ravel())
    no, nulls = np.zeros(rows, dtype=bool), pa.nulls(rows, pa.string())
    return Outcomes(
        row=np.arange(rows, dtype=np.int32),
        scheduled_at=at,
        latency=np.full(rows, 0.01),
        failed=no,
        correct=no,
        mismatch=no,
        compared=no,
        prediction=pa.array(answers).cast(pa.string()),
        request_id=nulls,
        baseline=nulls,
        asked_before=no,
        scores=pa.nulls(rows, pa.list_(pa.float32())),
        ranking=pa.nulls(rows, pa.list_(pa.string())),
        size=one_row_each(rows),
        outputs=outputs,
    )


def _run(labels: Floats, evidence: Evidence) -> Run:
    x = np.arange(len(labels), dtype=np.float64)
    truths = {"low": labels, "high": labels}
    dataset = Dataset(Path("none"), x[:, None], ("x",), labels, None, pa.table({"x": x}), truths=truths)
    load = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=60.0)
    return Run(_EXPERIMENT, dataset, RunFacts(backend="local", load=load), evidence)


_EXPERIMENT = Experiment.parse(
    {
        "name": "calibration",
        "model": {"name": "none", "folder": "none"},
        "data": {"path": "none", "task": "regression", "outputs": {"low": "y", "high": "y"}},
    },
    "calibration",
)
