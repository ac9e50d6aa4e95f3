"""``python -m benchmarks.load.protocols``: what a request costs the sender in each protocol, in CPU time.

Every protocol sends the same rows at the same rate, below what a core can do, with every sample recorded;
the server has the other core. What a core can send is the inverse of the CPU time. The bar: gRPC and
templates reach half of plain HTTP's. Real-time priority keeps other work out of the lag, where it is allowed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import report
from benchmarks.load.__main__ import SERVER_CORE, experiment_at, write_rows
from benchmarks.load.known_delays import prefer
from benchmarks.load.protocol_server import SCORE, config
from benchmarks.load.server import running
from benchmarks.load.workers import SECONDS, measure
from loadtest.experiment.experiment import Experiment

RESULTS = Path(__file__).with_name("protocols.json")
PLAIN = "oip"
TARGETS: dict[str, dict[str, str]] = {
    PLAIN: {},
    "oip-grpc": {},
    "template": {"path": SCORE, "body": '{"customer": {{ row }}, "k": 10}', "answer": "$.result.label"},
}
RATE = 1000
"""Requests per second: enough that what a worker does each second is a small part of the CPU time."""
LEAST = 0.5
_PLACE = re.compile(r"(<!-- protocols -->\n).*?(<!-- /protocols -->)", re.S)


def main(arguments: list[str]) -> int:
    """Measure, write protocols.json and the table in docs/load.md; exit 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.protocols", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the table again")
    options = parser.parse_args(arguments)
    if not options.tables:
        busy = os.getloadavg()[0]
        results = {"machine": report.machine(), "busy": busy, "rounds": measure_all(options.rounds)}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    text = table(results)
    report.PAGE.write_text(_PLACE.sub(lambda m: f"{m[1]}{text}\n{m[2]}", report.PAGE.read_text()))
    print(text)
    met = bar(results)
    print("the bar is met" if met else "the bar is missed")
    return int(not met)


def measure_all(rounds: int) -> list[dict[str, dict[str, float]]]:
    """Per round and protocol: CPU time in microseconds of a request, and the p99 lag in milliseconds."""
    done = []
    with tempfile.TemporaryDirectory() as folder, running(SERVER_CORE, config, {}) as server:
        data = Path(folder) / "evaluation.parquet"
        write_rows(data)
        plain = experiment_at(data, RATE / 2, SECONDS).model_dump(mode="json", exclude_unset=True)
        for _ in range(rounds):
            entry = {}
            for name in random.sample(list(TARGETS), len(TARGETS)):
                target = {"protocol": name, "stable": server.url, "candidate": server.url, **TARGETS[name]}
                experiment = Experiment.model_validate({**plain, "target": target})
                entry[name] = measure(server.url, Path(folder), experiment, 1, prefer)
            done.append(entry)
            print(entry, flush=True)
    return done


def bar(results: dict[str, Any]) -> bool:
    """Whether every protocol reaches its share of plain HTTP, by the median round."""
    return all(median(_ratios(results, name)) >= LEAST for name in TARGETS if name != PLAIN)


def table(results: dict[str, Any]) -> str:
    """The table of docs/load.md: medians, and in brackets the least and the most."""
    priority = ", real-time priority" if results["machine"]["real_time"] else ""
    where, word = results["machine"], "met" if bar(results) else "**missed**"
    lines = [
        "| protocol | CPU time of a request, µs | rate per core, of plain HTTP's | p99 lag, ms |",
        "|---|---|---|---|",
    ]
    for name in TARGETS:
        rate = _cell(_column(results, name, "worker_us"), 0)
        share = "" if name == PLAIN else _cell(_ratios(results, name), 2)
        lines.append(f"| `{name}` | {rate} | {share} | {_cell(_column(results, name, 'lag_ms_p99'), 2)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{len(results['rounds'])} rounds of {RATE:,} requests/s in random order, every sample recorded;",
            f"{where['cpus']} cores of {where['cpu']}{priority},",
            f"Linux {where['kernel']}, Python {where['python']}, gevent {where['gevent']}.",
            f"Load average before: {results['busy']:.1f}. The bar, {LEAST:.0%} of plain HTTP: {word}.",
        ]
    )


def _cell(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def _column(results: dict[str, Any], name: str, key: str) -> list[float]:
    return [entry[name][key] for entry in results["rounds"]]


def _ratios(results: dict[str, Any], name: str) -> list[float]:
    return [entry[PLAIN]["worker_us"] / entry[name]["worker_us"] for entry in results["rounds"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
