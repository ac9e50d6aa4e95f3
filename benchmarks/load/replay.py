"""``python -m benchmarks.load.replay``: are the instants of a log met, in bursts of ten times its mean?

A log at a constant rate with short bursts is replayed against a server that answers after 5 ms. What counts
is the lag: how much later than in the log a request is sent. Real-time priority keeps other work out of the
figures, where that is allowed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.load import report
from benchmarks.load.known_delays import prefer, serving
from benchmarks.load.run import launch
from loadtest.data.recorded import Recorded, with_arrivals
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment

RESULTS = Path(__file__).with_name("replay.json")
WITHIN = 0.002
"""Seconds that the p99 of the lag may be, in the bursts, too."""
SECONDS = 20
BURSTS = 4
BURST = 0.25
"""Seconds that one lasts."""
MEAN = 150
"""Arrivals per second on average; each sends two requests, in a burst ten times as many."""
_ROWS = 1000
_PLACE = re.compile(r"(<!-- replay -->\n).*?(<!-- /replay -->)", re.S)


def main(arguments: list[str]) -> int:
    """Measure, write replay.json and the table in docs/load.md; exit 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.replay", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the table again")
    options = parser.parse_args(arguments)
    if not options.tables:
        rounds = []
        for number in range(options.rounds):
            rounds.append(measure(number))
            print(rounds[-1], flush=True)
        RESULTS.write_text(json.dumps({"machine": report.machine(), "rounds": rounds}, indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    text = table(results)
    report.PAGE.write_text(_PLACE.sub(lambda m: f"{m[1]}{text}\n{m[2]}", report.PAGE.read_text()))
    print(text)
    met = bar(results)
    print("the bar is met" if met else f"missed: p99 lag within {1000 * WITHIN:g} ms")
    return int(not met)


def recorded(seed: int) -> tuple[Recorded, NDArray[np.bool_]]:
    """A log, and which of its arrivals are in a burst, shape (arrivals,)."""
    rng = np.random.default_rng(seed)
    begins = (np.arange(BURSTS) + 0.5) * SECONDS / BURSTS
    in_bursts = np.concatenate([rng.uniform(b, b + BURST, int(10 * MEAN * BURST)) for b in begins])
    others = rng.uniform(0, SECONDS, MEAN * SECONDS - len(in_bursts))
    times = np.sort(np.concatenate([in_bursts, others]))
    burst: NDArray[np.bool_] = ((times[:, None] >= begins) & (times[:, None] < begins + BURST)).any(axis=1)
    return Recorded(times, rng.integers(0, _ROWS, len(times), dtype=np.int32)), burst


def measure(seed: int) -> dict[str, Any]:
    """One round: lag in seconds, of all requests and of those in bursts; whether none is missing; and the
    load average of the machine before."""
    log, burst = recorded(seed)
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        _prepare(job, log)
        with serving({"delays": [0.005], "stall": 0.0}) as url:
            generator = launch(job, url)
            prefer(generator.process.pid)
            for _ in generator.lines():
                pass
            code = generator.wait()
        if code != ExitCode.PASS:
            raise RuntimeError(f"the load failed with code {code}: {(job / 'load.json').read_text()}")
        samples = SampleSet.read(job / "samples.parquet")
        at = samples.scheduled_at
        lag = samples.sent_at - at
    place = np.searchsorted(log.times, at)
    return {
        "arrivals": len(log),
        "busy": busy,
        "instants_of_the_log": bool(
            np.array_equal(np.sort(at), np.repeat(log.times, 2))  # each goes to both versions
        ),
        "lag": np.quantile(lag, (0.5, 0.99, 1)).tolist(),
        "lag_in_bursts": np.quantile(lag[burst[place]], (0.5, 0.99, 1)).tolist(),
    }


def _prepare(job: Path, log: Recorded) -> None:
    index = np.arange(_ROWS, dtype=float)
    data = job / "evaluation.parquet"
    rows = pa.table({"row": index, "zero": index * 0, "label": ["1"] * _ROWS})
    data.write_bytes(with_arrivals(rows, log))
    load = {
        "replay": "log.jsonl",
        "phases": [{"duration": SECONDS, "rate": len(log) / SECONDS}],
        "warmup": 1,
        "baseline": 0.3,
        "max_lag": 0.5,
    }
    experiment = Experiment.model_validate(
        {"name": "replay", "model": {"name": "m", "folder": "m"}, "data": {"path": data}, "load": load}
    )
    (job / "experiment.toml").write_text(experiment.to_toml())


def bar(results: dict[str, Any]) -> bool:
    """Whether every instant was the log's, and the lag in bursts is within the bar by the median round."""
    rounds = results["rounds"]
    late = median(entry["lag_in_bursts"][1] for entry in rounds)
    return late <= WITHIN and all(entry["instants_of_the_log"] for entry in rounds)


def table(results: dict[str, Any]) -> str:
    """The table of docs/load.md."""
    rounds, where = results["rounds"], results["machine"]
    busy = median(entry["busy"] for entry in rounds)
    word = "met" if bar(results) else "**missed**"
    priority = ", real-time priority" if where["real_time"] else ""
    lines = ["| lag, ms | p50 | p99 | most |", "|---|---|---|---|"]
    for key, name in (("lag", "all requests"), ("lag_in_bursts", "in the bursts")):
        cells = [f"{1000 * median(entry[key][i] for entry in rounds):.2f}" for i in range(3)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"Medians of {len(rounds)} rounds of {rounds[0]['arrivals']:,} arrivals, two requests each:",
            f"{MEAN} arrivals a second on average, ten times as many in {BURSTS} bursts of {BURST:g} s.",
            f"One worker; {where['cpus']} cores of {where['cpu']}{priority},",
            f"Linux {where['kernel']}, Python {where['python']}; load average before each round: {busy:.1f}.",
            f"The bar, a p99 of {1000 * WITHIN:g} ms in the bursts: {word}.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
