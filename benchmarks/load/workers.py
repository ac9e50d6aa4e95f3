"""``python -m benchmarks.load.workers``: what a request costs a worker and the master in CPU time.

One or two workers and the master share a core, below what it can do; the server has the other. CPU time is
taken between two moments of the load, so that neither preparing nor concluding counts. From it follows how
many workers one master can serve. Writes workers.json and the table in docs/sizing.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.load import report
from benchmarks.load.__main__ import GENERATOR_CORE, ROWS, SERVER_CORE, experiment_at, write_rows
from benchmarks.load.__main__ import RESULTS as SPEED
from benchmarks.load.run import launch
from benchmarks.load.server import running
from loadtest.data.dataset import Dataset
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment
from loadtest.load.sending.recorder import Recorder

RESULTS = Path(__file__).with_name("workers.json")
PAGE = Path(__file__).parents[2] / "docs" / "sizing.md"
RATE = 4000
"""Requests per second of all workers together."""

SECONDS = 8.0
_FROM, _TO = 1.5, 7.0
_PLACE = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.S)


def measure(
    url: str, job: Path, experiment: Experiment, workers: int, began: Callable[[int], None] = lambda _: None
) -> dict[str, float]:
    """One run of ``SECONDS``: microseconds of CPU time a request, of all workers and of the master; lag.

    With one worker both are the same process, whose time is given as the workers'. ``began`` is told the
    process.
    """
    (job / "experiment.toml").write_text(experiment.to_toml())
    load = launch(job, url, workers)
    began(load.process.pid)
    process = psutil.Process(load.process.pid)
    seen: list[tuple[int, float, float]] = []
    for line in load.lines():
        event = json.loads(line)
        wanted = (_FROM, _TO)[len(seen)] if len(seen) < 2 else float("inf")
        if event["elapsed"] >= wanted:
            children = process.children()
            seen.append((event["done"], _cpu(process), sum(map(_cpu, children))))
    code = load.wait()
    facts = json.loads((job / "load.json").read_text())
    # a late one is INVALID, and says as much of the CPU time as any other
    if code not in (ExitCode.PASS, ExitCode.INVALID) or facts["ended"] != "completed":
        raise RuntimeError(f"the load failed with code {code}: {facts['reason']}")
    (done, own, workers_cpu), (later, own_later, workers_later) = seen
    requests, own_time, others = later - done, own_later - own, workers_later - workers_cpu
    return {
        "worker_us": (others if workers > 1 else own_time) / requests * 1e6,
        "master_us": (own_time if workers > 1 else 0.0) / requests * 1e6,
        "lag_ms_p99": facts["schedule_lag_ms_p99"],
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def bytes_of_a_sample() -> float:
    """What a sample takes on its way to the master, of 100,000 answers of two classes."""
    count = 100_000
    labels = np.array(["1"] * ROWS)
    dataset = Dataset(Path(), np.zeros((ROWS, 1)), ("x",), labels, None, pa.table({"label": labels.tolist()}))
    recorder = Recorder(dataset, 0)
    for serial in range(count):
        at = serial / RATE
        recorder.add(serial % ROWS, serial % 2, at, at, at + 0.01, 200, None, str(serial % 2), serial)
    return len(recorder.take().to_bytes()) / count


def table(results: dict[str, Any], speed: dict[str, Any]) -> str:
    """The figures as Markdown.

    Args:
        results: what this measured.
        speed: what ``python -m benchmarks.load`` measured.
    """
    fastest, half = ([entry[name]["rate"] for entry in speed["rounds"]] for name in ("ours", "half"))
    lag = [entry["half"]["lag_ms_p99"] for entry in speed["rounds"]]
    two = results["rounds"]["2"]
    worker, master = ([entry[name] for entry in two] for name in ("worker_us", "master_us"))
    where, size, rate = results["machine"], results["bytes_of_a_sample"], results["requests_per_s"]
    return "\n".join(
        [
            "| one core | median (least to most) |",
            "|---|---|",
            f"| a worker as fast as it can, seconds late: INVALID | {_cell(fastest, 0)} requests/s |",
            f"| a worker that keeps its schedule | {_cell(half, 0)} requests/s |",
            f"| its p99 schedule lag at that rate | {_cell(lag, 2)} ms |",
            f"| CPU time of a worker for a request, at {rate:,}/s | {_cell(worker, 0)} µs |",
            f"| CPU time of the master for a request | {_cell(master, 1)} µs |",
            f"| a sample on its way to the master | {size:.0f} bytes |",
            "",
            f"{where['cpu']}, Linux {where['kernel']}, Python {where['python']}, Locust {where['locust']}.",
            f"The first three rows are of [load.md](load.md), the others of {len(two)} runs of two workers.",
        ]
    )


def _cell(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def measure_all() -> dict[str, Any]:
    """Three rounds of one and of two workers."""
    rounds: dict[str, list[dict[str, float]]] = {"1": [], "2": []}
    # what is started inherits both; other work on this machine must not be what is measured
    os.sched_setaffinity(0, {GENERATOR_CORE})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with tempfile.TemporaryDirectory() as folder, running(SERVER_CORE) as server:
        data = Path(folder) / "evaluation.parquet"
        write_rows(data)
        experiment = experiment_at(data, RATE / 2, SECONDS)
        for _ in range(3):
            for workers, entries in rounds.items():
                entries.append(measure(server.url, Path(folder), experiment, int(workers)))
                print(workers, entries[-1], flush=True)
    return {
        "machine": report.machine(),
        "requests_per_s": RATE,
        "rounds": rounds,
        "bytes_of_a_sample": bytes_of_a_sample(),
    }


def main(arguments: list[str]) -> int:
    """Measure, and write workers.json and the table in docs/sizing.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.workers", description=__doc__)
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the table again")
    if not parser.parse_args(arguments).tables:
        RESULTS.write_text(json.dumps(measure_all(), indent=1) + "\n")
    text = table(json.loads(RESULTS.read_text()), json.loads(SPEED.read_text()))
    PAGE.write_text(_PLACE.sub(lambda m: f"{m[1]}{text}\n{m[2]}", PAGE.read_text()))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
