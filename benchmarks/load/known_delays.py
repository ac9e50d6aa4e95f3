"""``python -m benchmarks.load.known_delays``: are the latencies that are measured those that there were?

A server waits 5, 20 or 100 ms before it answers a row, and in half of the rounds stands still for a second.
What each request waited, from the instant at which it was to be sent, is then known twice beside the samples:
by the server's clock, and by arithmetic from the settings alone. A closed-loop Locust test of the same rate
stands beside them. Real-time priority keeps other work out of the figures, where that is allowed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.load import report
from benchmarks.load.run import launch
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment, Load
from loadtest.fetch import get
from loadtest.load.sending.arrivals import Schedule, draw

RESULTS = Path(__file__).with_name("known_delays.json")
QUANTILES = (0.5, 0.95, 0.99)
LOW = (0.1, 0.3)
DELAYS = [0.005] * 4 + [0.02] * 5 + [0.1] * 11
"""20% wait 5 ms, 25% 20 ms, 55% 100 ms: p50 is 100 ms, whose 2% is more than what sockets and timers take."""

WITHIN = 0.02
"""How far p50, p95 and p99 of the samples may be from what they were, of it."""
WITHIN_SECONDS = 0.003
"""How far the short delays may be, where sockets and timers count for more."""
_ROWS = 5000
_SECONDS = 6
_STALL = 1.0
_SLOW = 0.2
"""Seconds that no request waits without a stall."""
_RATES = {"steady": 80, "stall": 20}
"""Arrivals per second: what piled up in a stall must be worked off at once; else more samples say more."""
_PLACE = re.compile(r"(<!-- clock -->\n).*?(<!-- /clock -->)", re.S)


def main(arguments: list[str]) -> int:
    """Measure, write known_delays.json and the table in docs/load.md; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.known_delays", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the table again")
    options = parser.parse_args(arguments)
    if not options.tables:
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in _RATES}
        for _ in range(options.rounds):
            for name, entries in rounds.items():
                entries.append(measure(name))
                print(name, entries[-1], flush=True)
        results = {"machine": report.machine(), "rounds": rounds}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    text = table(results)
    report.PAGE.write_text(_PLACE.sub(lambda m: f"{m[1]}{text}\n{m[2]}", report.PAGE.read_text()))
    print(text)
    missed = [name for name, met in bars(results).items() if not met]
    print(f"bars missed: {', '.join(missed)}" if missed else "every bar is met")
    return int(bool(missed))


def measure(name: str) -> dict[str, Any]:
    """One round: quantiles in seconds by each source, and the share of requests that saw the stall."""
    rate = _RATES[name]
    stall = {"stall": _STALL if name == "stall" else 0.0}
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder)
        load = _prepare(job, rate)
        with serving(stall | {"stall_after": 2 * rate * 3}) as url:
            generator = launch(job, url)
            prefer(generator.process.pid)
            for _ in generator.lines():
                pass
            code = generator.wait()
            facts = json.loads((job / "load.json").read_text())
            if code != ExitCode.PASS:
                raise RuntimeError(f"the load failed with code {code}: {facts['reason']}")
            answer = get(f"{url}/seen", 10)
            if answer is None:
                raise RuntimeError("the server does not say what it saw")
            seen = json.loads(answer.body)
        ours = SampleSet.read(job / "samples.parquet").latency
    with serving(stall | {"stall_after": rate * 3}) as url:
        plain = _plain(url, rate)
    began = facts["began_at"]
    stalled = tuple(moment - began for moment in seen["stalled"]) or None
    told = by_arithmetic(draw(load, _ROWS), stalled)
    sources = {
        "samples": ours,
        "server": _by_server(load, began, seen["answered"]),
        "arithmetic": told,
        "plain": plain,
    }
    return {
        "quantiles": {source: np.quantile(x, QUANTILES).tolist() for source, x in sources.items()},
        "low": {"samples": np.quantile(ours, LOW).tolist(), "arithmetic": np.quantile(told, LOW).tolist()},
        "slow": {source: float((sources[source] > _SLOW).mean()) for source in ("samples", "plain")},
    }


def _prepare(job: Path, rate: int) -> Load:
    index = np.arange(_ROWS, dtype=float)
    data = job / "evaluation.parquet"
    pq.write_table(pa.table({"row": index, "zero": index * 0, "label": ["1"] * _ROWS}), data)
    load = {"rate": rate, "duration": _SECONDS, "warmup": 1, "baseline": 0.3, "max_lag": 0.5}
    experiment = Experiment.model_validate(
        {"name": "known", "model": {"name": "m", "folder": "m"}, "data": {"path": data}, "load": load}
    )
    (job / "experiment.toml").write_text(experiment.to_toml())
    return experiment.load


@contextmanager
def serving(settings: dict[str, Any]) -> Iterator[str]:
    """The URL of a delay server with these settings, beside ``DELAYS``."""
    program = str(Path(__file__).with_name("delay_server.py"))
    command = [sys.executable, program, json.dumps({"delays": DELAYS} | settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            prefer(process.pid)
            assert process.stdout is not None  # noqa: S101 - it was asked for
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def prefer(pid: int) -> None:
    """Keep other work on this machine out of the figures, where that is allowed."""
    with contextlib.suppress(AttributeError, PermissionError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def _by_server(load: Load, began_at: float, answered: list[tuple[int, float]]) -> NDArray[np.float64]:
    """Latency of each measured request from its intended send, by the server's own clock."""
    schedule = draw(load, _ROWS)
    due = dict(zip(schedule.row.tolist(), schedule.scheduled_at.tolist(), strict=True))
    ended = [(due[row], at - began_at) for row, at in answered]
    return np.array([end - begin for begin, end in ended if begin >= 0])


def by_arithmetic(schedule: Schedule, stalled: tuple[float, float] | None) -> NDArray[np.float64]:
    """Latencies from the settings alone: the delay of the row, and what the stall adds to it.

    Args:
        schedule: what was drawn; the measured arrivals count, and each went to both versions.
        stalled: when the server stood still, seconds since time zero; None: never.
    """
    at, delay = schedule.scheduled_at, np.asarray(DELAYS)[schedule.row % len(DELAYS)]
    begin, end = stalled or (0.0, 0.0)
    done = at + delay
    done = np.where((done > begin) & (at < begin), np.maximum(done, np.where(done < end, end, 0)), done)
    done = np.where((at >= begin) & (at < end), end + delay, done)
    both: NDArray[np.float64] = np.repeat((done - at)[at >= 0], 2)
    return both


def _plain(url: str, rate: int) -> NDArray[np.float64]:
    """Latencies that a closed-loop Locust test shows, in seconds; Locust rounds them."""
    command = ["-m", "locust", "-f", str(Path(__file__).with_name("plain.py")), "--headless", "--json"]
    command += ["--users", "4", "--spawn-rate", "4", "--run-time", f"{_SECONDS}s", "--host", url]
    variables = os.environ | {"PLAIN_USERS": "4", "PLAIN_RATE": str(rate)}
    with subprocess.Popen(
        [sys.executable, *command], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as locust:
        prefer(locust.pid)
        (row,) = json.loads(locust.communicate()[0])
    times = sorted((int(float(ms)), count) for ms, count in row["response_times"].items())
    return np.repeat([ms / 1000 for ms, _ in times], [count for _, count in times])


def bars(results: dict[str, Any]) -> dict[str, bool]:
    """Each bar and whether it is met, by the median of the rounds."""
    met = {}
    for name, rounds in results["rounds"].items():
        for source, words in (("server", "the server's clock"), ("arithmetic", "arithmetic")):
            far = median(_furthest(entry["quantiles"], source) for entry in rounds)
            met[f"{name}: p50, p95 and p99 within {WITHIN:.0%} of {words}"] = far <= WITHIN
        low = median(
            max(np.abs(np.subtract(entry["low"]["samples"], entry["low"]["arithmetic"]))) for entry in rounds
        )
        met[f"{name}: p10 and p30 within {WITHIN_SECONDS * 1000:g} ms of arithmetic"] = low <= WITHIN_SECONDS
    # users that wait for their answers send nothing during the stall, and so hardly see it
    stall = results["rounds"]["stall"]
    ours, plain = (median(entry["slow"][source] for entry in stall) for source in ("samples", "plain"))
    met["stall: plain Locust sees less than 60% of what waited"] = plain < 0.6 * ours
    return met


def _furthest(quantiles: dict[str, list[float]], source: str) -> float:
    true = np.asarray(quantiles[source])
    return float(np.max(np.abs(np.asarray(quantiles["samples"]) / true - 1)))


def table(results: dict[str, Any]) -> str:
    """The medians of the rounds as Markdown, in milliseconds."""
    rounds, where = results["rounds"], results["machine"]
    names = {
        "samples": "Loadproof's samples",
        "server": "the server's clock",
        "arithmetic": "arithmetic",
        "plain": "closed-loop Locust users",
    }

    def cells(source: str) -> str:
        return " | ".join(
            f"{median(entry['quantiles'][source][index] for entry in rounds[name]) * 1000:,.1f}"
            for name in _RATES
            for index in range(len(QUANTILES))
        )

    slow = {s: median(entry["slow"][s] for entry in rounds["stall"]) for s in ("samples", "plain")}
    priority = "real-time priority," if where["real_time"] else ""
    return "\n".join(
        [
            "| ms | p50 | p95 | p99 | with a stall: p50 | p95 | p99 |",
            "|---|---|---|---|---|---|---|",
            *(f"| {words} | {cells(source)} |" for source, words in names.items()),
            "",
            f"Medians of {len(rounds['steady'])} rounds; {where['cpus']} cores of {where['cpu']}, {priority}",
            f"Linux {where['kernel']}, Python {where['python']}, Locust {where['locust']}. Around the stall",
            f"{slow['samples']:.0%} of Loadproof's requests waited for more than 200 ms, and",
            f"{slow['plain']:.0%} of the closed-loop users'.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
