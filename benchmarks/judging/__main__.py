"""``python -m benchmarks.judging``: what ``loadproof judge --write`` takes on a million samples.

Once with labels alone, and once with the scores of ten classes (``--only labels`` or ``scores``).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from benchmarks.judging.cost import measure
from benchmarks.judging.run_of import GATES, SCORED_GATES, write_run

BARS = {"labels": (5.0, 500.0), "scores": (8.0, 1500.0)}
"""What a million samples may cost: seconds, and megabytes at the peak."""
REPORT_MEGABYTES = 3.0
RESAMPLES = 100


def bootstrap_seconds(samples: Path) -> float:
    """The peer: ``scipy.stats.bootstrap`` of one p99, a few resamples, which assumes independent requests."""
    table = pq.read_table(samples, columns=["scheduled_at", "done_at"])
    latency = table["done_at"].to_numpy() - table["scheduled_at"].to_numpy()
    begun = time.perf_counter()
    stats.bootstrap(
        (latency,), lambda x, axis: np.quantile(x, 0.99, axis=axis), n_resamples=RESAMPLES,
        method="percentile", batch=1, rng=1,
    )  # fmt: skip
    return time.perf_counter() - begun


def main(arguments: list[str]) -> int:
    """Write each run, judge it, say what it took; exit 1 when one took more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judging", description=__doc__)
    parser.add_argument("--arrivals", type=int, default=500_000, help="each is two samples (default 500000)")
    parser.add_argument("--only", choices=BARS, help="one of the two runs")
    parser.add_argument("--keep", type=Path, help="keep the run folder there, to look at it")
    options = parser.parse_args(arguments)
    fits = [_judged(what, options.arrivals, options.keep) for what in BARS if options.only in (None, what)]
    return int(not all(fits))


def _judged(what: str, arrivals: int, keep: Path | None) -> bool:
    """Write a run, judge it, and say what it took; whether that is within the bars."""
    seconds, megabytes = BARS[what]
    with tempfile.TemporaryDirectory(prefix="loadproof-bench-") as place:
        folder = Path(place, "run")
        write_run(folder, arrivals, scored=what == "scores")
        cost = measure([sys.executable, "-m", "loadtest", "judge", str(folder), "--write"])
        if cost.code not in (0, 1, 3):
            raise SystemExit(cost.code)
        report = (folder / "report.html").stat().st_size / 1e6
        peer = bootstrap_seconds(folder / "samples.parquet") if what == "labels" else None
        if keep:
            shutil.copytree(folder, keep / what)
    gates = (
        f"{len(GATES)} gates" if what == "labels" else f"{len(SCORED_GATES)} gates, 10 classes with scores"
    )
    print(f"loadproof judge --write, {2 * arrivals:,} samples, {gates}")
    print(
        f"  {cost.seconds:.1f} s, of CPU time {cost.cpu_seconds:.1f} s, {cost.megabytes:.0f} MB at the peak, "
        f"report.html {report:.2f} MB"
    )
    if peer:
        print(f"  {peer / cost.seconds:.1f} times as fast as {RESAMPLES} resamples of one p99 "
              f"by scipy.stats.bootstrap ({peer:.1f} s)")  # fmt: skip
    fits = cost.seconds <= seconds and cost.megabytes <= megabytes and report <= REPORT_MEGABYTES
    print(f"  within {seconds:g} s, {megabytes:g} MB and {REPORT_MEGABYTES:g} MB: {'yes' if fits else 'NO'}")
    return fits


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
