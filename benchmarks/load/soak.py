"""``python -m benchmarks.load.soak --minutes 10``: does the load generator stay as it is for so long?

Three workers send 500 arrivals a second (``--rate``) to both versions of a server that is never the
bottleneck. Memory, connections and open files of every process are read every five seconds; how late
requests were sent comes from the samples of the first and of the last minute. Exit 1 when any of these grew
by more than it may.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.load.__main__ import SERVER_CORE, experiment_at, write_rows
from benchmarks.load.run import launch
from benchmarks.load.server import running
from loadtest.data.run_folder import SAMPLES
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode

RATE, WORKERS = 500.0, 3
SETTLED = 60.0
"""Seconds after which a process has made what it needs once."""
MOST_GROWTH, MOST_FILES, MOST_CONNECTIONS = 20.0, 2, 20
"""MB by which a process may have grown from the first minute to the end, and files and connections that it
may hold more. Connections stay open, so they are as many as were ever needed at the same time."""
_EVERY = 5.0
LEAST_MINUTES = 0.5
"""Of a load that lasts until a process has settled and is seen."""


class Seen(NamedTuple):
    """One process at one moment: resident memory in MB, open files, and connections."""

    name: str
    memory: float
    files: int
    connections: int


def see(master: psutil.Process) -> list[Seen]:
    """The master and its workers now."""
    found = []
    for number, process in enumerate([master, *sorted(master.children(), key=lambda one: one.pid)]):
        with contextlib.suppress(psutil.Error):
            name = f"worker {number}" if number else "master"
            connections = len(process.net_connections("inet"))
            files = process.num_fds() - connections
            found.append(Seen(name, process.memory_info().rss / 1e6, files, connections))
    return found


def soak(url: str, job: Path, data: Path, rate: float, seconds: float) -> list[list[Seen]]:
    """Run the load; the processes every five seconds, from the first minute on."""
    (job / "experiment.toml").write_text(experiment_at(data, rate, seconds).to_toml())
    load, over, seen = launch(job, url, WORKERS), threading.Event(), list[list[Seen]]()

    def watch() -> None:
        master = psutil.Process(load.process.pid)
        over.wait(min(SETTLED, seconds / 3))
        while not over.wait(_EVERY):
            seen.append(see(master))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for line in load.lines():
            if json.loads(line).get("elapsed", 0.0) > seconds - 2 * _EVERY:
                over.set()  # before it concludes and its workers leave
        code = load.wait()
    finally:
        over.set()
        watcher.join()
    if code not in (ExitCode.PASS, ExitCode.INVALID):
        raise RuntimeError(f"the load failed with code {code}: {(job / 'load.log').read_text()[-400:]}")
    return seen


def grown(seen: list[list[Seen]]) -> dict[str, tuple[Seen, Seen]]:
    """The first and the last that was seen of each process that was there at first."""
    return {
        first.name: (first, [each for moment in seen for each in moment if each.name == first.name][-1])
        for first in seen[0]
    }


def lag_ms(samples: SampleSet, begin: float, end: float) -> float:
    """How late requests were sent that were due from ``begin`` to ``end``: the 99th percentile."""
    at = samples.scheduled_at
    lag = (samples.sent_at - at)[(at >= begin) & (at < end)]
    return 1000 * float(np.quantile(lag, 0.99))


def main(arguments: list[str]) -> int:
    """Soak, and say what grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the load (default 10)")
    parser.add_argument("--rate", type=float, default=RATE, help="arrivals a second (default 500)")
    options = parser.parse_args(arguments)
    if options.minutes < LEAST_MINUTES:
        parser.error(f"--minutes is at least {LEAST_MINUTES:g}")
    rate, seconds = options.rate, 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="loadproof-bench-") as place, running(SERVER_CORE) as server:
        job, data = Path(place, "job"), Path(place, "rows.parquet")
        job.mkdir()
        write_rows(data)
        seen = soak(server.url, job, data, rate, seconds)
        samples = SampleSet.read(job / SAMPLES)
        facts = json.loads((job / "load.json").read_text())
        minute = min(60.0, seconds / 3)
        # columns are read from the file when they are asked for
        first, last = lag_ms(samples, 0, minute), lag_ms(samples, seconds - minute, seconds)
    print(f"{seconds:.0f} s at {rate:g}/s to both versions, {WORKERS} workers: {len(samples):,} samples")
    grew = False
    for name, (begin, end) in grown(seen).items():
        memory, files = end.memory - begin.memory, end.files - begin.files
        connections = end.connections - begin.connections
        grew |= memory > MOST_GROWTH or files > MOST_FILES or connections > MOST_CONNECTIONS
        print(
            f"  {name:9} {begin.memory:6.1f} to {end.memory:6.1f} MB, "
            f"{begin.files} to {end.files} open files, {begin.connections} to {end.connections} connections"
        )
    print(
        f"  sent late, p99: {first:.1f} ms in the first minute, {last:.1f} ms in the last; "
        f"{facts['reason'] or 'valid'}"
    )
    print(
        f"  within {MOST_GROWTH:g} MB, {MOST_FILES} files and {MOST_CONNECTIONS} connections of each process:"
        f" {'NO' if grew else 'yes'}"
    )
    return int(grew)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
