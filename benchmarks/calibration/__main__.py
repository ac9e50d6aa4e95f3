"""``python -m benchmarks.calibration``: measure, write results/, and put tables and figure into the docs."""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.calibration import (
    bounds,
    canary,
    control,
    latency,
    levels,
    live,
    peeking,
    rankings,
    regression,
    report,
    scores,
    sequential,
    shares,
    slices,
    split,
    until_decided,
    users,
    whole_runs,
)

RESULTS = Path(__file__).parent / "results"
SECTIONS: dict[str, Callable[[int, int], Iterable[dict[str, Any]]]] = {
    "latency": latency.measure,
    "levels": levels.measure,
    "shares": shares.measure,
    "regression": regression.measure,
    "scores": scores.measure,
    "bounds": bounds.measure,
    "slices": slices.measure,
    "rankings": rankings.measure,
    "whole_runs": whole_runs.measure,
    "control": control.measure,
    "peeking": peeking.measure,
    "sequential": sequential.measure,
    "canary": canary.measure,
    "split": split.measure,
    "users": users.measure,
    "until_decided": until_decided.measure,
}
"""A section is a module with ``measure(runs, seed)``; its rows are kept in ``results/<section>.json``."""
GO_ON: dict[str, Callable[..., Iterable[dict[str, Any]]]] = {
    "regression": regression.measure,
    "bounds": bounds.measure,
    "slices": slices.measure,
    "control": control.measure,
}
"""Those that take the rows of an earlier call, and a moment after which nothing begins."""


def main(arguments: list[str]) -> int:
    """Run the sections that were asked for; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="simulated runs a cell (default 500)")
    parser.add_argument(
        "--quick", action="store_true", help="40 runs a cell, to see that it works; writes nothing"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", choices=SECTIONS, action="append", help="these sections; others stay as they are"
    )
    parser.add_argument(
        "--continue",
        dest="goes_on",
        action="store_true",
        help=f"with --only {', '.join(GO_ON)}: keep what has as many runs, and measure the rest",
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="with --continue: begin nothing after so many"
    )
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the docs again")
    parser.add_argument(
        "--live", type=int, metavar="N", help="instead: add N live A/A runs of half a minute on the local lab"
    )
    options = parser.parse_args(arguments)
    if options.goes_on and (options.quick or not set(options.only or SECTIONS) <= set(GO_ON)):
        parser.error(f"--continue goes with --only {', '.join(GO_ON)}")
    if options.minutes != math.inf and not options.goes_on:
        parser.error("--minutes goes with --continue")
    results = {} if options.quick else report.read(RESULTS)
    for _ in range(options.live or 0):
        done = results.setdefault("live", [])
        done.append(live.measure(len(done) + 1))
        report.keep(RESULTS, "live", done)
        print(f"live: {done[-1]['verdict']}, {done[-1]['reason']}", flush=True)
    for name in [] if options.tables or options.live else options.only or SECTIONS:
        begun = time.monotonic()
        runs = 40 if options.quick else options.runs
        if options.goes_on:
            # kept at once, so that whoever ends it loses no more than one cell
            until, old = begun + 60 * options.minutes, results.get(name, [])
            results[name] = []
            for row in GO_ON[name](runs, options.seed, old, until):
                results[name].append(row)
                measured = {_key(each) for each in results[name]}
                rest = [each for each in old if _key(each) not in measured]
                report.keep(RESULTS, name, results[name] + rest)
        else:
            results[name] = list(SECTIONS[name](runs, options.seed))
        print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        if not options.quick:
            report.keep(RESULTS, name, results[name])
    print("\n".join(report.tables(results).values()))
    if not options.quick:
        report.write(results)
    missed = [bar.name for bar in report.bars(results) if not bar.met]
    print(f"bars missed: {', '.join(missed)}" if missed else "every bar is met")
    return int(bool(missed))


def _key(row: dict[str, Any]) -> tuple[str, str]:
    """What a row is about, without the true value or the margin that it was measured at."""
    size = row.get("size", row.get("host", row.get("rows", "")))
    return re.sub(r", [\d.]+$| within .*", "", row["what"]), str(size)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
