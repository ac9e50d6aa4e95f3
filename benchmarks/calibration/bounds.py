"""False alarms, wrong PASS and power of gates on scores against a bound, through the judge's own tests.

Rows of two classes as in ``benchmarks.calibration.scores``; the candidate's probabilities are too sure. The
bound is the metric of half a million rows: FAIL is then a false alarm, and PASS is wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.calibration import scores
from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.measurement import Measurement
from loadtest.judge.metric_tests import measure as measure_gate
from loadtest.judge.outcomes import Outcomes, one_row_each
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts

ALPHA = 0.05
ROOM = {
    "ece <= 0.9": 0.03,
    "score_shift[0.9] <= 0.9": 0.03,
    "precision@recall=0.8 >= 0.1": 0.10,
    "recall@precision=0.8 >= 0.1": 0.10,
}
"""Gates, whose bound is not used, and how far from the candidate's true value the easy bound lies at most.

Where more is better it lies at half of that value or above: one below 0 is met by whatever is measured."""
CELLS = ((1_000, 0.1), (1_000, 0.5), (5_000, 0.1), (5_000, 0.5))
"""Rows, and the share of positive ones."""
FEW = {"precision@recall=0.05 >= 0.1": 0.20, "recall@precision=0.95 >= 0.1": 0.10}
"""Gates that rest on few positive rows, as ``ROOM``."""
FEW_CELLS = CELLS[:2]
MANY, TOO_SURE = 500_000, 1.3
"""Rows behind a true value; by how much the candidate's log odds are too large."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def measure(
    runs: int, seed: int, done: Sequence[dict[str, Any]] = (), until: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Every gate in every cell, from four times as many runs as asked for.

    Args:
        runs: see above.
        seed: the same gives the same rows.
        done: rows of an earlier call; a cell that has as many runs is kept.
        until: on the clock ``time.monotonic``; no cell begins after it.
    """
    runs *= 4
    before = {(row["what"].partition(",")[0], row["size"]): row for row in done}
    for gate in (*ROOM, *FEW):
        for rows, share in CELLS if gate in ROOM else FEW_CELLS:
            old = before.get((gate.partition(" ")[0], _size(rows, share)))
            if old and (old["runs"] >= runs or time.monotonic() > until):
                yield old
            elif time.monotonic() <= until:
                yield cell(gate, rows, share, runs, seed)


def _size(rows: int, share: float) -> str:
    return f"{rows:,} rows, {share:.0%} positive"


def cell(expression: str, rows: int, share: float, runs: int, seed: int, many: int = MANY) -> dict[str, Any]:
    """One gate, from so many rows of which a ``share`` is positive."""
    gate, rng = Gate.parse(expression), np.random.default_rng([seed, 14, rows, round(100 * share)])
    truth = float(np.mean([_measured(gate, many, share, rng).estimate.value for _ in range(2)]))
    found = [_measured(gate, rows, share, rng).estimate.interval(ALPHA) for _ in range(runs)]
    room = (ROOM | FEW)[expression]
    if gate.higher_is_better:
        room = min(room, truth / 2)
    return {
        "what": f"{expression.partition(' ')[0]}, {truth:.3f}",
        "size": _size(rows, share),
        "runs": runs,
        **rates(np.array(found), truth, room, higher_is_better=gate.higher_is_better),
    }


def rates(ends: Floats, truth: float, room: float, *, higher_is_better: bool) -> dict[str, float]:
    """How often intervals, shape (runs, 2), mean FAIL and PASS at the truth, and PASS at the easy bound."""
    harm = np.sort((-1 if higher_is_better else 1) * (ends - truth), axis=1)
    return {
        "alarm": float(np.mean(harm[:, 0] > 0)),
        "pass_room": float(np.mean(harm[:, 1] < room)),
        "room": room,
        "wrong_pass": float(np.mean(harm[:, 1] < 0)),
    }


def _measured(gate: Gate, rows: int, share: float, rng: np.random.Generator) -> Measurement:
    positive = rng.random(rows) < share
    stable, candidate = scores.draw(positive, share, 0.3, rng)
    sure = expit(TOO_SURE * logit(np.clip(candidate, 1e-9, 1 - 1e-9)))
    at = np.linspace(0, 60, rows)
    evidence = Evidence(_outcomes(stable, positive, at), _outcomes(sure, positive, at), True, 0, 60.0)
    labels = np.where(positive, "1", "0")
    x = np.arange(rows, dtype=np.float64)
    dataset = Dataset(Path("none"), x[:, None], ("x",), labels, None, pa.table({"x": x}))
    load = LoadFacts(offered_rps=10, achieved_rps=10, duration_s=60.0)
    return measure_gate(gate, Run(_EXPERIMENT, dataset, RunFacts(backend="local", load=load), evidence))


def _outcomes(probability: Floats, positive: Flags, at: Floats) -> Outcomes:
    rows = len(probability)
    no, nulls = np.zeros(rows, dtype=bool), pa.nulls(rows, pa.string())
    single = pa.array(probability.astype(np.float32))
    return Outcomes(
        row=np.arange(rows, dtype=np.int32),
        scheduled_at=at,
        latency=np.full(rows, 0.01),
        failed=no,
        correct=(probability > 0.5) == positive,
        mismatch=no,
        compared=no,
        prediction=pa.array(np.where(probability > 0.5, "1", "0")),
        request_id=nulls,
        baseline=nulls,
        asked_before=np.zeros(rows, np.int8),
        scores=pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32)), single),
        ranking=pa.nulls(rows, pa.list_(pa.string())),
        size=one_row_each(rows),
        outputs=pa.nulls(rows, pa.list_(pa.float64())),
    )


_EXPERIMENT = Experiment.parse(
    {"name": "calibration", "model": {"name": "none", "folder": "none"}, "data": {"path": "none"}},
    "calibration",
)
