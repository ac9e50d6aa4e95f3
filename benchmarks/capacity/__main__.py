"""``python -m benchmarks.capacity``: live searches of queues whose capacity is known, into docs/capacity.md.

Each run of ``loadproof capacity``'s own flow searches two M/D/1 queues (fixed service, Poisson arrivals),
whose answers are held back until the queue would have come to them. The truth is the rate at which 1% of
a very long run's answers are late.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.capacity import report
from benchmarks.capacity.lab import running
from benchmarks.capacity.queues import LIMIT, Queue, fixed, sweep_requests
from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.workflows.capacity import Questions, capacity
from loadtest.workflows.prepare import Ready

PAIRS = ((0.004, 0.005), (0.003, 0.006), (0.0035, 0.0045), (0.0025, 0.007), (0.002, 0.0055))
"""Service times of the two queues of a run, in seconds."""


class _Silent:
    def step(self, text: str) -> None:
        """Show nothing."""


def main(arguments: list[str]) -> int:
    """Add the runs that are missing; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=len(PAIRS), help="at most so many runs, each two searches"
    )
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the table again")
    options = parser.parse_args(arguments)
    known = {"machine": report.machine(), "searches": []} if options.again else report.read()
    begun = len(known["searches"]) // 2
    for pair in [] if options.tables else PAIRS[begun : begun + options.runs]:
        known["searches"] += search(pair)
        report.keep(known)
    for row in known["searches"]:
        print(json.dumps(row))
    report.write(known)
    missed = [name for name, met in report.bars(known).items() if not met]
    print(f"bars missed: {', '.join(missed)}" if missed else "every bar is met")
    return int(bool(missed))


def search(pair: tuple[float, float]) -> list[dict[str, Any]]:
    """One run: what was found for both queues, and the truth."""
    service = dict(zip(("stable", "candidate"), pair, strict=True))
    with tempfile.TemporaryDirectory() as folder, running(service) as lab:
        data = Path(folder) / "evaluation.parquet"
        index = np.arange(2000, dtype=float)
        pq.write_table(pa.table({"row": index, "zero": index * 0, "label": ["1"] * len(index)}), data)
        experiment = Experiment.model_validate(
            {
                "name": "known",
                "model": {"name": "m", "folder": "m"},
                "data": {"path": data},
                "capacity": {"latency": LIMIT},
            }
        )
        began = time.monotonic()
        # the double is no whole lab, and has no versions
        ready = Ready(experiment, Dataset.read(experiment.data), (None, None), lambda _: lab)  # type: ignore[arg-type]
        outcome = capacity(ready, Path(folder) / "results", _Silent(), Questions())  # type: ignore[arg-type]
        took = time.monotonic() - began
    rows = []
    for role, seconds in service.items():
        truth = Queue(role, fixed(seconds)).capacity()
        (found,) = outcome.report.versions[role]
        rows.append(
            {
                "service_ms": 1000 * seconds,
                "truth": truth,
                "found": found.capacity,
                "interval": found.interval,
                "requests_of_a_sweep": found.requests / sweep_requests(truth),
                "seconds": took / 2,
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
