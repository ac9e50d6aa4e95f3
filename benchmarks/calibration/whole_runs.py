"""Whole runs through ``judge()`` itself: the default experiment, and five gates that A/A must not fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.calibration.simulator import CALM, HARSH, HOSTS, Episodes, Host, simulate
from loadtest.data.dataset import Dataset
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES_WITH_CONTROL
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Verdict, Word

ROWS, ACCURACY, ERRORS = 20_000, 0.8, 0.002
SECONDS = 60.0
STRICT = (
    "p50 <= stable",
    "p95 <= stable",
    "p99 <= stable",
    "error_rate <= stable",
    "accuracy >= stable",
)
"""Five gates without any margin: two equal versions fail each at the level, if the tests keep it."""


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """The default experiment on each host at its own rate, and the strict gates."""
    rng = np.random.default_rng(seed)
    default = Experiment.load_file("compare").gates
    # the simulator's versions rank nothing, and its rows have no value
    names = tuple(str(gate) for gate in default if gate.k is None and gate.entry.name != "value")
    # one model twice answers every row alike; two models that are equally good disagree on some
    cells: list[tuple[str, Host, tuple[str, ...], float]] = [
        *((f"default experiment, {host.name}", host, names, 0.0) for host in HOSTS),
        *(
            (
                f"default experiment, 0.25 CPU, {host.name}, {1000 * demand:g} ms a request",
                replace(host, demand=demand, quota=0.025, surge=Episodes(0.0, 1.0, 1.0)),
                names,
                0.0,
            )
            for host in (CALM, HARSH)
            for demand in (0.0015, 0.002, 0.0025, 0.003)
        ),
        ("five gates without margin, calm", CALM, STRICT, 0.06),
        ("five gates without margin, harsh", HARSH, STRICT, 0.06),
    ]
    return [_cell(what, host, gates, discordant, runs, rng) for what, host, gates, discordant in cells]


def _cell(
    what: str, host: Host, gates: tuple[str, ...], discordant: float, runs: int, rng: np.random.Generator
) -> dict[str, Any]:
    experiment = Experiment.parse(
        {
            "name": "calibration",
            "model": {"name": "simulated", "folder": "none"},
            "data": {"path": "none.parquet"},
            "gates": list(gates),
        },
        "calibration",
    )
    facts = LoadFacts(offered_rps=50, achieved_rps=50, duration_s=SECONDS)
    words, any_gate = [], []
    for start in range(0, runs, 50):
        batch = simulate(host, min(50, runs - start), SECONDS, 50.0, rng)
        for at, stable, candidate in zip(*batch, strict=True):
            samples, dataset = simulated(at, (stable, candidate), discordant, rng)
            run_facts = RunFacts(backend="local", load=facts)
            verdict = judge(Run.gather(experiment, dataset, samples, run_facts))
            words.append(verdict.verdict)
            any_gate.append(_any_fails(verdict))
    return {
        "what": what,
        "host": host.name,
        "seconds": SECONDS,
        "runs": runs,
        **{word.value.lower(): float(np.mean([w is word for w in words])) for word in Word},
        "any_gate_fails": float(np.mean(any_gate)),
    }


def _any_fails(verdict: Verdict) -> bool:
    return any(gate.verdict is Word.FAIL for gate in verdict.gates)


def simulated(
    at: NDArray[np.float64],
    latencies: tuple[NDArray[np.float64], ...],
    discordant: float,
    rng: np.random.Generator,
) -> tuple[SampleSet, Dataset]:
    """Samples of equal versions that disagree on a few rows and fail now and then; any third is a control."""
    n = len(at)
    row = rng.permutation(ROWS)[:n]
    skill, discord = rng.random(ROWS), rng.random((len(latencies), ROWS)) < discordant / 2
    parts = []
    for latency, flipped, role in zip(latencies, discord, ROLES_WITH_CONTROL, strict=False):
        right = ((skill < ACCURACY) ^ flipped)[row]
        failed = rng.random(n) < ERRORS
        parts.append(
            {
                "row": row,
                "role": np.full(n, role),
                "scheduled_at": at,
                "sent_at": at,
                "done_at": at + np.where(failed, 2.0, latency),
                "status": np.where(failed, 0, 200),
                "error": pa.array(np.full(n, "timeout"), mask=~failed),
                "prediction": pa.array(np.full(n, "1"), mask=failed),
                "correct": right & ~failed,
                "matches": pa.array(np.ones(n, dtype=bool), mask=failed),
                "worker": np.zeros(n, dtype=np.int16),
                "request_id": pa.nulls(n, pa.string()),
                "baseline": pa.nulls(n, pa.string()),
                "asked_before": row % 2 == 0,  # rows are random: any half is
                "scores": pa.nulls(n, SCHEMA.field("scores").type),
                "ranking": pa.nulls(n, SCHEMA.field("ranking").type),
                **dict.fromkeys(("place", "request_rows"), pa.nulls(n, pa.int16())),
                "outputs": pa.nulls(n, SCHEMA.field("outputs").type),
                "timings": pa.nulls(n, SCHEMA.field("timings").type),
            }
        )
    tables = [
        pa.table({f.name: pa.array(part[f.name]).cast(_plain(f.type)) for f in SCHEMA}) for part in parts
    ]
    own = np.arange(float(ROWS))[:, None]
    dataset = Dataset(Path("none"), own, ("x",), np.full(ROWS, "1"), None, pa.table({"x": own[:, 0]}))
    return SampleSet(pa.concat_tables(tables).cast(SCHEMA)), dataset


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
