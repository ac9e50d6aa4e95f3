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

ROWS, CLASSES, SCORED_CLASSES, RATE, ERRORS = 100_000, 8, 10, 250.0, 0.0002
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
"""Every kind of gate that labels and latencies decide, slices included."""
SCORED_GATES = (
    "error_rate <= stable + 0.5pp",
    "p99 <= 250ms",
    "accuracy >= stable - 1pp",
    "roc_auc_ovr >= stable - 0.01",
    "log_loss <= stable + 0.05",
    "brier_score <= stable + 0.02",
    "ece <= 0.5",
    "top_k_accuracy@3 >= stable - 1pp",
    "ndcg@5 >= stable - 0.01",
    "agreement[scores=0.5] >= 20%",
    "score_shift[0.9] <= 0.9",
    "mismatches == 0",
)
"""Every kind of gate that scores of several classes decide, and what usually stands beside them."""


def write_run(folder: Path, arrivals: int, *, scored: bool = False) -> None:
    """Write an evaluation set and a whole run of ``arrivals`` arrivals, each sent to both versions.

    ``scored``: answers have the probabilities of ten classes, and ``SCORED_GATES`` judge them.
    """
    # a row group after the other: a hundred million samples are more than memory holds
    tables = write_inputs(folder, arrivals, scored=scored)
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


def write_inputs(folder: Path, arrivals: int, *, scored: bool = False) -> Iterator[pa.Table]:
    """Write the experiment and its evaluation set; the samples of a run, many at a time, in order of time."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    classes = SCORED_CLASSES if scored else CLASSES
    label = rng.integers(0, classes, ROWS)
    names = np.array([f"product {i}" for i in range(classes)])
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
    _experiment(folder, arrivals / RATE, SCORED_GATES if scored else GATES)
    return _tables(arrivals, label, names, rng, scored=scored)


def _tables(
    arrivals: int, label: np.ndarray, names: np.ndarray, rng: np.random.Generator, *, scored: bool
) -> Iterator[pa.Table]:
    for begin in range(0, arrivals, GROUP):
        n = min(GROUP, arrivals - begin)
        at = np.sort(rng.uniform(begin / RATE, (begin + n) / RATE, n))
        row = rng.permutation(np.arange(begin, begin + n) % ROWS)
        tables = [_role(role, at, row, label, names, rng, scored=scored) for role in ROLES]
        order = np.argsort(np.concatenate([at, at]), kind="stable")
        yield pa.concat_tables(tables).cast(SCHEMA).take(order)


def _experiment(folder: Path, seconds: float, gates: tuple[str, ...]) -> None:
    document = {
        "name": "million",
        "model": {"name": "million", "folder": str(folder)},
        "data": {"path": str(folder / "evaluation.parquet"), "value": "value"},
        "load": {"rate": RATE, "duration": seconds},
        "gates": list(gates),
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
    *,
    scored: bool,
) -> pa.Table:
    n, classes = len(at), len(names)
    answer = np.where(rng.random(ROWS) < 0.7, label, rng.integers(0, classes, ROWS))[row]
    failed = rng.random(n) < ERRORS
    kind = SCHEMA.field("scores").type
    scores = _probabilities(answer, classes, failed, rng).cast(kind) if scored else pa.nulls(n, kind)
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
        "scores": scores,
        "ranking": pa.nulls(n, SCHEMA.field("ranking").type),
        **dict.fromkeys(("place", "request_rows"), pa.nulls(n, pa.int16())),
        "outputs": pa.nulls(n, SCHEMA.field("outputs").type),
        "timings": pa.nulls(n, SCHEMA.field("timings").type),
    }
    return pa.table({f.name: pa.array(columns[f.name]).cast(_plain(f.type)) for f in SCHEMA})


def _probabilities(
    answer: np.ndarray, classes: int, failed: np.ndarray, rng: np.random.Generator
) -> pa.Array:
    """Of all classes of every answer, that of the answer the highest; null where it failed."""
    drawn = rng.gamma(0.5, size=(len(answer), classes)) + 1e-6
    drawn[np.arange(len(answer)), answer] = drawn.max(axis=1) + rng.gamma(1.0, size=len(answer))
    drawn /= drawn.sum(axis=1, keepdims=True)
    ends = np.arange(0, drawn.size + 1, classes, dtype=np.int32)
    return pa.ListArray.from_arrays(
        pa.array(ends), pa.array(drawn.ravel().astype(np.float32)), mask=pa.array(failed)
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
