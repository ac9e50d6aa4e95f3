"""The fast analyses of the simulation are the judge's own, up to its bins."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.calibration import until_decided, until_decided_shares
from benchmarks.calibration.growing import analyses_of
from benchmarks.calibration.simulator import CALM, HARSH, simulate
from loadtest.data.dataset import Dataset
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.judge.layout import lay_out
from loadtest.judge.metric_tests import MIN_BEYOND, measure
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.significance import Level

GATES = ["p50 <= stable + 10%", "p95 <= stable + 10%", "p99 <= stable + 10%", "p50 <= 100ms", "p95 <= 100ms"]
ANALYSES = [(20.0, 8), (30.0, 12), (40.0, 12)]


def judged_by_the_judge(at, stable, candidate):
    """A simulated run, as the judge lays it out."""
    experiment = Experiment.parse(
        {
            "name": "made-up",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": "rows.parquet"},
            "gates": GATES,
        },
        "test",
    )
    n = len(at)
    columns = {
        "row": np.tile(np.arange(n), 2), "role": ["stable"] * n + ["candidate"] * n,
        "scheduled_at": np.tile(at, 2), "sent_at": np.tile(at, 2),
        "done_at": np.tile(at, 2) + np.concatenate([stable, candidate]), "status": np.full(2 * n, 200),
        "error": pa.nulls(2 * n, pa.string()), "prediction": ["1"] * 2 * n, "correct": [True] * 2 * n,
        "matches": pa.nulls(2 * n, pa.bool_()), "worker": np.zeros(2 * n),
        "request_id": pa.nulls(2 * n, pa.string()), "baseline": pa.nulls(2 * n, pa.string()),
        "asked_before": pa.nulls(2 * n, pa.bool_()),
        "scores": pa.nulls(2 * n, pa.list_(pa.float32())),
        "ranking": pa.nulls(2 * n, pa.list_(pa.string())),
        **dict.fromkeys(("place", "request_rows"), pa.nulls(2 * n, pa.int16())),
        "outputs": pa.nulls(2 * n, pa.list_(pa.float64())),
        "timings": pa.nulls(2 * n, pa.list_(pa.float32())),
    }  # fmt: skip
    samples = SampleSet(pa.table(columns).cast(SCHEMA))
    evidence = Evidence(*lay_out(experiment.load, samples, 0.0), True, 0, 40.0)
    dataset = Dataset(
        Path("x"), np.zeros((n, 1)), ("a",), np.full(n, "1"), None, pa.table({"a": np.zeros(n)})
    )
    facts = LoadFacts(offered_rps=1, achieved_rps=1, duration_s=40)
    return Run(experiment, dataset, RunFacts(backend="local", load=facts), evidence)


@pytest.mark.parametrize("host", [CALM, HARSH], ids=lambda host: host.name)
def test_the_fast_analyses_are_those_of_the_judge(host):
    (at,), (stable,), (candidate,) = simulate(host, 1, 40.0, 200.0, np.random.default_rng(1))
    run = judged_by_the_judge(at, stable, candidate)
    both = analyses_of(at, stable, candidate, until_decided.QUANTILES, ANALYSES)
    alone = analyses_of(at, None, candidate, until_decided.QUANTILES, [(t, 6) for t, _ in ANALYSES])
    for gate in run.experiment.gates:
        fast = (both if gate.against == "stable" else alone)[gate.metric]
        for analysis, (seconds, _) in enumerate(ANALYSES):
            if fast.beyond[analysis] < MIN_BEYOND:
                continue
            slow = measure(gate, run.until(seconds)).estimate
            short = 1.0 if gate.against == "stable" else (60.0 / seconds) ** 2
            assert fast.value[analysis] == pytest.approx(slow.value, abs=0.01)
            assert short * fast.error[analysis] == pytest.approx(slow.error, rel=0.2)
            half = slow.value - Level(0.05, seconds).interval(slow)[0]
            found = until_decided.Found(
                fast.value, slow.error * np.ones(3), fast.blocks - 1.0, fast.beyond > 0, 0.0
            )
            at_analysis = np.array([seconds])
            assert until_decided.half_widths(found, at_analysis)[analysis] == pytest.approx(half, rel=1e-6)


def test_one_pause_is_one_event_however_many_requests_it_delays():
    rng = np.random.default_rng(2)
    at = np.sort(rng.uniform(0, 60, 12_000))
    latency = rng.lognormal(-4, 0.3, 12_000)
    paused = np.where((at > 30) & (at < 31), 1.0, latency)
    calm, pause = (
        analyses_of(at, None, values, {"p99": 0.99}, [(60.0, 12)])["p99"].beyond[0]
        for values in (latency, paused)
    )
    assert calm > 50
    assert pause < 5


def test_a_measurement_is_json_and_every_table_is_written():
    rows = [*until_decided_shares.measure(2, seed=1)]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    tables = until_decided.tables({"until_decided": rows})
    assert set(tables) == {"until-decided-answers", "until-decided-errors"}
    assert tables["until-decided-answers"].count("\n") == 7
