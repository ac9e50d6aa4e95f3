"""``python -m benchmarks.judging.gathered``: what a long run takes at the master, and when it was killed.

Simulated reports of 36,000,000 samples go through the master's own gathering: its memory is read on the way
and after the sample file is written. Then the same run is judged as if it had been killed before that.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.judging.cost import measure
from benchmarks.judging.run_of import RATE, load_of, write_inputs
from loadtest.data.run_folder import SAMPLES, STREAM
from loadtest.data.sample_stream import stream_facts
from loadtest.data.samples import SampleSet
from loadtest.load.cluster.gathering import Gathering
from loadtest.load.cluster.load_summary import LoadSummary
from loadtest.load.cluster.sample_totals import SampleTotals
from loadtest.load.live.counts import LiveCounts

REPORT = 10_000
"""Samples of one report: of a second of load, at a high rate."""
MOST_GROWTH = 50.0
"""MB by which the master may have grown from a tenth of the run to its end."""


def reports(tables: Iterator[object]) -> Iterator[SampleSet]:
    """Samples as they come from workers."""
    for table in tables:
        whole = SampleSet(table)
        for begin in range(0, len(whole), REPORT):
            yield SampleSet(whole.table.slice(begin, REPORT))


def summary(totals: SampleTotals, arrivals: int) -> LoadSummary:
    """The end of a run in which nothing went wrong."""
    load = load_of(arrivals)
    return LoadSummary(
        run="0", offered_rps=load["offered_rps"], achieved_rps=load["achieved_rps"],
        schedule_lag_ms_p99=1000 * (totals.lag_p99 or 0.0), duration_s=load["duration_s"],
        began_at=time.time(), ended="completed", requests={},
        warmup_requests={}, baseline={}, first_rows={}, resent={},
        not_answers={}, workers=1, clock_skew_s=[None], missing_workers=[], missing_samples=0, valid=True,
        reason=None,
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Gather, conclude, judge; exit 1 when the master grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judging.gathered", description=__doc__)
    parser.add_argument("--samples", type=int, default=36_000_000, help="of the run (default 36000000)")
    arrivals = parser.parse_args(arguments).samples // 2
    process, counts = psutil.Process(), LiveCounts(0.25)
    with tempfile.TemporaryDirectory(prefix="loadproof-bench-") as place:
        folder = Path(place, "run")
        tables = write_inputs(folder, arrivals)
        gathering, seen, spent = Gathering(folder), list[float](), 0.0
        for number, piece in enumerate(reports(tables), start=1):
            data = piece.to_bytes()
            begun = time.perf_counter()
            counts.add(SampleSet.from_bytes(data))
            settled = float(piece.scheduled_at[-1])
            gathering.add(data, stream_facts(load_of(arrivals) | {"duration_s": settled}, settled))
            spent += time.perf_counter() - begun
            if number % max(1, 2 * arrivals // REPORT // 10) == 0:
                seen.append(process.memory_info().rss / 1e6)
        killed = Path(place, "killed")
        shutil.copytree(folder, killed)
        size = (killed / STREAM).stat().st_size / 1e9
        begun = time.perf_counter()
        gathering.conclude(
            lambda: SampleTotals(counts), lambda totals: summary(totals, arrivals), lambda piece: piece
        )
        concluded, after = time.perf_counter() - begun, process.memory_info().rss / 1e6
        (folder / SAMPLES).unlink()
        cost = measure([sys.executable, "-m", "loadtest", "judge", str(killed)])
    print(f"{2 * arrivals:,} samples, {RATE:g} arrivals/s: {size:.1f} GB of samples.stream")
    tenths = ", ".join(f"{one:.0f}" for one in seen)
    print(f"  master: {tenths} MB at each tenth of the run, {after:.0f} MB at its end")
    print(f"  {1e6 * spent / (2 * arrivals):.1f} µs a sample, and {concluded:.0f} s to conclude")
    print(f"  judged as if killed: {cost.seconds:.0f} s, {cost.megabytes:.0f} MB, exit code {cost.code}")
    grew = max(seen[-1], after) - seen[0] if seen else 0.0
    print(f"  grew by at most {MOST_GROWTH:g} MB: {'yes' if grew <= MOST_GROWTH else 'NO'}")
    return int(grew > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
