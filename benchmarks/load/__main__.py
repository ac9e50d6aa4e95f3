"""``python -m benchmarks.load``: how many requests per second one core sends, beside a bare Locust user.

Both drive the same server, which has the other core to itself. A round measures, in random order: the peer
(a bare ``FastHttpUser`` that records nothing, as fast as it goes), our generator as fast as it goes with
every sample recorded, and our generator at half of the peer's rate for the schedule lag. Both run at
real-time priority where that is allowed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.load import report
from benchmarks.load.server import FEATURES, MODEL, running
from loadtest.data.dataset import Dataset
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.load.protocols.oip import OpenInference

RESULTS = Path(__file__).parent / "results.json"
ROWS = 5000
USERS = 16
"""Of 8, 16, 32 and 64 those with which the peer is fastest."""

GENERATOR_CORE, SERVER_CORE = 0, 1
_BEYOND = 3.0
"""The rate that is asked for, in multiples of the peer's: more than any generator here can send."""


def main(arguments: list[str]) -> int:
    """Measure, write results.json and the table in docs/load.md; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the table again")
    options = parser.parse_args(arguments)
    if not options.tables:
        results = measure(options.rounds, options.seconds)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    print(report.table(results))
    report.write(results)
    missed = [name for name, met in report.bars(results).items() if not met]
    print(f"bars missed: {', '.join(missed)}" if missed else "every bar is met")
    return int(bool(missed))


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """All rounds, and the machine that they ran on."""
    if (psutil.cpu_count() or 1) < 2:
        sys.exit("benchmarks.load: two cores are needed, one for the generator and one for the server")
    done = []
    with tempfile.TemporaryDirectory() as folder, running(SERVER_CORE) as server:
        data = Path(folder) / "evaluation.parquet"
        write_rows(data)
        rate = _bare(server.url, data, seconds)["rate"]  # also warms the server up
        for number in range(rounds):
            steps = {
                "bare": partial(_bare, server.url, data, seconds),
                "ours": partial(_ours, server.url, data, rate * _BEYOND, seconds),
                "half": partial(_ours, server.url, data, rate / 2, seconds),
            }
            entry: dict[str, Any] = {}
            for name in random.sample(list(steps), len(steps)):
                before, began = server.cpu_seconds(), time.monotonic()
                entry[name] = steps[name]()
                entry[name]["server_busy"] = (server.cpu_seconds() - before) / (time.monotonic() - began)
            rate = entry["bare"]["rate"]
            done.append(entry)
            print(f"round {number + 1}: " + ", ".join(f"{n} {e['rate']:,.0f}/s" for n, e in entry.items()))
    return {"machine": report.machine(), "users": USERS, "rounds": done}


def write_rows(data: Path) -> None:
    """Write the evaluation set."""
    rng = np.random.default_rng(0)
    columns = {f"f{i}": rng.normal(size=ROWS) for i in range(FEATURES)}
    pq.write_table(pa.table({**columns, "label": ["1"] * ROWS}), data)


def _bare(url: str, data: Path, seconds: float) -> dict[str, float]:
    codec = OpenInference(MODEL, "x", "FP64")
    experiment = experiment_at(data, 1, 1)
    body = codec.encode(Dataset.read(experiment.data).row(0))
    command = ["-m", "locust", "-f", str(Path(__file__).with_name("bare.py")), "--headless", "--json"]
    command += ["--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", f"{seconds + 2:g}s"]
    done = _run_pinned([*command, "--host", url], {"BARE_BODY": body.decode(), "BARE_PATH": codec.path})
    (row,) = json.loads(done.stdout)
    if row["num_failures"]:
        raise RuntimeError(f"the peer failed {row['num_failures']} times")
    # whole seconds only: neither the one that it starts in nor the one that it ends in
    whole = [count for _, count in sorted(row["num_reqs_per_sec"].items())][1:-1]
    return {"rate": median(whole)}


def _ours(url: str, data: Path, rate: float, seconds: float) -> dict[str, float]:
    """One run of our generator at ``rate`` requests per second, half of them to each version."""
    job = data.parent
    (job / "experiment.toml").write_text(experiment_at(data, rate / 2, seconds).to_toml())
    _run_pinned(["-m", "loadtest.load", "--job", str(job), "--host", url], {})
    samples, facts = SampleSet.read(job / "samples.parquet"), json.loads((job / "load.json").read_text())
    if samples.failed.any() or facts["missing_samples"]:
        raise RuntimeError(f"{samples.failed.sum()} requests failed, {facts['missing_samples']} were lost")
    return {
        "rate": len(samples) / float(samples.sent_at.max() - samples.sent_at.min()),
        "lag_ms_p99": facts["schedule_lag_ms_p99"],
    }


def experiment_at(data: Path, rate: float, seconds: float) -> Experiment:
    """Duet load of so many arrivals per second for so long."""
    return Experiment.model_validate(
        {
            "name": "bench",
            "model": {"name": MODEL, "folder": MODEL},
            "data": {"path": data},
            "load": {"rate": rate, "duration": seconds, "warmup": 1, "baseline": 0},
        }
    )


def _run_pinned(arguments: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    def pin() -> None:
        os.sched_setaffinity(0, {GENERATOR_CORE})
        with contextlib.suppress(PermissionError):
            # other work on this machine must not be what is measured
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | variables,
        preexec_fn=pin,
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
