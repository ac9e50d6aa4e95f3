"""Rows that stand in the file several times tell no more than once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.judge import judge
from loadtest.judge.metric_tests import measure
from loadtest.judge.outcomes import Outcomes, one_row_each
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.report.number_format import rows
from loadtest.stats.proportions import Share
from tests.loadtest.judge.test_judge import Run as MadeRun

DISTINCT, COPIES = 400, 15
ALL = DISTINCT * COPIES
GATES = ("accuracy >= stable - 5pp", "f1_macro >= stable - 5pp", "value >= stable - 6.25%")
EXPERIMENT = Experiment.parse(
    {
        "name": "e",
        "model": {"name": "m", "folder": "m"},
        "data": {"path": "rows.parquet", "value": "value"},
        "gates": list(GATES),
    },
    "test",
)
FACTS = RunFacts(backend="local", load=LoadFacts(offered_rps=100, achieved_rps=100, duration_s=60))
CONTENT = np.arange(ALL) % DISTINCT
LABELS = np.where(CONTENT % 2, "1", "0")
DATASET = Dataset(
    Path("rows.parquet"), CONTENT[:, None] * 1.0, ("x",), LABELS, np.ones(ALL), pa.table({"x": CONTENT})
)


def outcomes(right: np.ndarray) -> Outcomes:
    """One version's answers; ``right``, shape (distinct,), says which contents it answers correctly."""
    correct = right[CONTENT]
    answer = np.where(correct, LABELS, np.where(LABELS == "1", "0", "1"))
    nothing, none = np.zeros(ALL, dtype=bool), pa.nulls(ALL, pa.string())
    return Outcomes(
        np.arange(ALL, dtype=np.int32), np.arange(ALL) / 100, np.full(ALL, 0.01), nothing, correct, nothing,
        nothing, pa.array(answer), none, none, np.full(ALL, -1, dtype=np.int8),
        pa.nulls(ALL, pa.list_(pa.float32())),
        pa.nulls(ALL, pa.list_(pa.string())), one_row_each(ALL),
        pa.nulls(ALL, pa.list_(pa.float64())),
    )  # fmt: skip


def at_the_margin(rng) -> Run:
    """Stable is right in 80% of all contents, the candidate in 75%; a fifth of them is discordant."""
    kind = rng.choice(3, DISTINCT, p=[0.075, 0.125, 0.8])
    both = rng.random(DISTINCT) < 0.675 / 0.8
    stable = np.where(kind == 2, both, kind == 1)
    candidate = np.where(kind == 2, both, kind == 0)
    evidence = Evidence(outcomes(stable), outcomes(candidate), True, 0, 60.0)
    return Run(EXPERIMENT, DATASET, FACTS, evidence)


@pytest.mark.parametrize(("gate", "runs"), [*zip(EXPERIMENT.gates, (400, 120, 120), strict=True)], ids=GATES)
def test_a_candidate_at_the_margin_passes_as_rarely_as_if_each_row_stood_there_once(gate, runs):
    rng, passed = np.random.default_rng(11), 0
    for _ in range(runs):
        measured = measure(gate, at_the_margin(rng))
        assert measured.rows == DISTINCT
        passed += measured.estimate.interval(0.05)[0] > measured.margin
    # 6% is what a wrong PASS may cost; chance alone adds little to that in so many runs
    assert Share(passed, runs).p_above(0.06) > 0.001, f"{passed} of {runs}"


def test_the_rows_that_are_left_are_distinct_ones():
    run = at_the_margin(np.random.default_rng(12))
    some = np.isin(np.arange(ALL), np.flatnonzero(CONTENT < 100))
    part = replace(run, evidence=run.evidence.slice(some))
    assert measure(EXPERIMENT.gates[0], part).rows == 100
    assert measure(EXPERIMENT.gates[0], part).rows_left == DISTINCT - 100


def test_interim_analyses_bet_on_each_content_once():
    run = at_the_margin(np.random.default_rng(13)).until(60.0)
    estimate = measure(Gate.parse("accuracy >= stable - 5pp"), run).estimate
    assert estimate.pairs == DISTINCT


def test_verdict_and_pages_say_how_many_there_are():
    verdict = judge(at_the_margin(np.random.default_rng(14)))
    assert verdict.rows.model_dump() == {
        "rows": ALL,
        "distinct": DISTINCT,
        "sent": DISTINCT,
        "labelled": True,
    }
    assert "6,000 rows in the evaluation set, 400 of them distinct" in rows(verdict.rows)
    assert "distinct" not in rows(MadeRun().judge().rows)
