"""A run folder of any size, as a load generator would have left it, without the hours of load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES
from loadtest.data.samples import SCHEMA
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES

ROWS, CLASSES, RATE, ERRORS = 100_000, 8, 250.0, 0.0002
GROUP = 2**19
"""Arrivals that are made at once."""
GATES = (
    "error_rate <= stable + 0.5pp",
    "p50 <= stable + 25ms",
    "p95 <= stable + 10%",
    "p99 <= 250ms",
    "p999 <= stable + 500ms",
    "accuracy >= stable - 1pp",
    "accuracy[segment=new] >= stable - 2pp",
    "p95[segment=new] <= stable + 20%",
    "value >= stable - 2%",
    "value[segment=new] >= stable - 4%",
    "f1_macro >= stable - 1pp",
    "matthews_corrcoef >= stable - 2pp",
    "goodput >= stable - 5%",
    "mismatches == 0",
)
"""Every kind of gate that samples decide, slices included."""


def write_run(folder: Path, arrivals: int) -> None:
    """Write an evaluation set and a whole run of ``arrivals`` arrivals, each sent to both versions."""
    # a row group after the other: a hundred million samples are more than memory holds
    tables = write_inputs(folder, arrivals)
    with pq.ParquetWriter(folder / SAMPLES, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=2**20)
    (folder / LOAD).write_text(json.dumps(load_of(arrivals)))
    (folder / ENVIRONMENT).write_text(json.dumps({"backend": "local"}))


def load_of(arrivals: int) -> dict[str, float]:
    """What the load generator says of such a run."""
    return {
        "offered_rps": RATE,
        "achieved_rps": RATE,
        "schedule_lag_ms_p99": 1.0,
        "duration_s": arrivals / RATE,
    }


def write_inputs(folder: Path, arrivals: int) -> Iterator[pa.Table]:
    """Write the experiment and its evaluation set; the samples of a run, many at a time, in order of time."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    label = rng.integers(0, CLASSES, ROWS)
    names = np.array([f"product {i}" for i in range(CLASSES)])
    pq.write_table(
        pa.table(
            {
                **{f"x{i}": rng.normal(size=ROWS) for i in range(10)},
                "label": names[label],
                "value": rng.lognormal(3, 0.5, ROWS),
                "segment": np.where(rng.random(ROWS) < 0.1, "new", "known"),
            }
        ),
        folder / "evaluation.parquet",
    )
    _experiment(folder, arrivals / RATE)
    return _tables(arrivals, label, names, rng)


def _tables(
    arrivals: int, label: np.ndarray, names: np.ndarray, rng: np.random.Generator
) -> Iterator[pa.Table]:
    for begin in range(0, arrivals, GROUP):
        n = min(GROUP, arrivals - begin)
        at = np.sort(rng.uniform(begin / RATE, (begin + n) / RATE, n))
        row = rng.permutation(np.arange(begin, begin + n) % ROWS)
        tables = [_role(role, at, row, label, names, rng) for role in ROLES]
        order = np.argsort(np.concatenate([at, at]), kind="stable")
        yield pa.concat_tables(tables).cast(SCHEMA).take(order)


def _experiment(folder: Path, seconds: float) -> None:
    document = {
        "name": "million",
        "model": {"name": "million", "folder": str(folder)},
        "data": {"path": str(folder / "evaluation.parquet"), "value": "value"},
        "load": {"rate": RATE, "duration": seconds},
        "gates": list(GATES),
    }
    text = Experiment.parse(document, "benchmark").to_toml()
    (folder / EXPERIMENT).write_text(text, encoding="utf-8")


def _role(
    role: str,
    at: np.ndarray,
    row: np.ndarray,
    label: np.ndarray,
    names: np.ndarray,
    rng: np.random.Generator,
) -> pa.Table:
    n = len(at)
    answer = np.where(rng.random(ROWS) < 0.7, label, rng.integers(0, CLASSES, ROWS))[row]
    failed = rng.random(n) < ERRORS
    late = rng.exponential(0.0005, n)
    columns = {
        "row": row,
        "role": np.full(n, role),
        "scheduled_at": at,
        "sent_at": at + late,
        "done_at": at + late + np.where(failed, 2.0, rng.lognormal(np.log(0.01), 0.6, n)),
        "status": np.where(failed, 0, 200),
        "error": pa.array(np.full(n, "timeout"), mask=~failed),
        "prediction": pa.array(names[answer], mask=failed),
        "correct": (answer == label[row]) & ~failed,
        "matches": pa.array(np.ones(n, dtype=bool), mask=failed),
        "worker": np.zeros(n, dtype=np.int16),
        "request_id": pa.array([f"r-{number}" if bad else None for number, bad in enumerate(failed)]),
        "baseline": pa.nulls(n, pa.string()),
        "asked_before": row % 2 == 0,
        "scores": pa.nulls(n, SCHEMA.field("scores").type),
        "ranking": pa.nulls(n, SCHEMA.field("ranking").type),
    }
    return pa.table({f.name: pa.array(columns[f.name]).cast(_plain(f.type)) for f in SCHEMA})


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
