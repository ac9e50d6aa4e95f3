"""``python -m benchmarks.serving.stress``: our server in overload, a million answers, and a lone request.

::

    overload   3 times what the server can answer, open-loop, over 256 connections, under the CPU limit
    mismatches a million answers while 64 connections keep the batches full, each compared, byte for byte,
               with the server's baseline answer to the same row
    lone       what batching costs a request that has the server to itself, in one process, block by block
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import requests
from prometheus_client import CollectorRegistry

from benchmarks.serving import report
from benchmarks.serving.measure import baseline_answers
from benchmarks.serving.models import prepare
from benchmarks.serving.running import PORT, install, running
from benchmarks.serving.sender import Sender
from benchmarks.serving.servers import CACHE, SERVERS
from contract.metric_names import BATCH_ROWS
from services.model_server.http.app import create_app, in_front_of
from services.model_server.http.inference import Settings
from services.model_server.version import load_version

ADDRESS = ("127.0.0.1", PORT)
TIMES = 3
OVERLOAD_SECONDS = 6.0
OVERLOAD_CONNECTIONS = 256
ANSWERS = 1_000_000
FULL = 64


@dataclass(frozen=True)
class Options:
    """Of the part ``mismatches``: how many answers to get, in how many minutes, and the results so far."""

    answers: int
    minutes: float
    known: dict[str, int]


def main(arguments: list[str]) -> int:
    """Measure the requested parts and write stress.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.stress", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts; others stay as they are")
    parser.add_argument("--answers", type=int, default=ANSWERS, help="how many answers `mismatches` gets")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="stop `mismatches` after this long; the next call goes on"
    )
    options = parser.parse_args(arguments)
    results = json.loads(report.STRESS.read_text()) if report.STRESS.exists() else {}
    rows, answers = prepare(CACHE / "models")
    for part in options.only or PARTS:
        known = results.get(part, {}) if part == "mismatches" else {}
        if known.get("same", 0) + known.get("different", 0) >= options.answers:
            known = {}
        wanted = Options(options.answers, options.minutes, known)
        results[part] = PARTS[part](rows.tolist(), answers, wanted)
        print(json.dumps({part: results[part]}, indent=1))
        report.STRESS.write_text(json.dumps(results, indent=1) + "\n")
    report.write()
    return 0


def overload(rows: list[list[float]], answers: dict[str, list[int]], _: Options) -> list[dict[str, Any]]:
    """Capacity with every connection busy, then three times as much."""
    cells = []
    for name, model in (("loadproof", "boosting"), ("loadproof", "forest"), ("loadproof-onnx", "forest")):
        server = next(server for server in SERVERS if server.name == name)
        folder = CACHE / "models" / model
        asked = [server.request(number, row) for number, row in enumerate(rows)]
        with running(server, install(server, CACHE), folder, CACHE / "stress.log") as (_limits, pid):
            expected = baseline_answers(server, asked, answers[model], ADDRESS)
            sender = Sender(ADDRESS, asked, expected, OVERLOAD_CONNECTIONS)
            try:
                sender.closed(0.7)
                busy = sender.closed(3.0)
                capacity = (
                    len(busy.latencies) / busy.seconds if not busy.refused else _capacity(asked, expected)
                )
                before = _memory(pid)
                flood = sender.open_loop(TIMES * capacity, OVERLOAD_SECONDS, 1, give_up=True)
            finally:
                sender.close()
            cells.append(
                {
                    "server": name,
                    "model": model,
                    "capacity_rps": capacity,
                    "offered_rps": TIMES * capacity,
                    "goodput_share": len(flood.latencies) / flood.seconds / capacity,
                    "answer_p99_ms": _quantile(flood.latencies, 0.99) * 1000,
                    "refused": flood.refused,
                    "refusal_p50_ms": _quantile(flood.refusals, 0.5) * 1000,
                    "refusal_p99_ms": _quantile(flood.refusals, 0.99) * 1000,
                    "failed": flood.failed,
                    "no_connection": flood.unsent,
                    "memory_mib": [before, _memory(pid)],
                }
            )
    return cells


def _capacity(asked: list[bytes], expected: list[bytes] | None) -> float:
    """Answers per second with 32 connections, which the queue has room for."""
    sender = Sender(ADDRESS, asked, expected, 32)
    try:
        sender.closed(0.7)
        busy = sender.closed(3.0)
    finally:
        sender.close()
    return len(busy.latencies) / busy.seconds


def mismatches(rows: list[list[float]], answers: dict[str, list[int]], options: Options) -> dict[str, Any]:
    """Answers under full batching that differ from the baseline answers by at least a byte."""
    server = next(server for server in SERVERS if server.name == "loadproof")
    asked = [server.request(number, row) for number, row in enumerate(rows)]
    same, different, refused = (options.known.get(key, 0) for key in ("same", "different", "refused"))
    end = time.monotonic() + options.minutes * 60
    with running(
        server, install(server, CACHE), CACHE / "models" / "forest", CACHE / "stress.log", cpus=None
    ):
        expected = baseline_answers(server, asked, answers["forest"], ADDRESS)
        sender = Sender(ADDRESS, asked, expected, FULL)
        try:
            while same + different < options.answers and time.monotonic() < end:
                outcome = sender.closed(10.0)
                same += len(outcome.latencies)
                different += outcome.failed
                refused += outcome.refused
        finally:
            sender.close()
        batches = _batches()
    return {"same": same, "different": different, "refused": refused, "rows_a_batch": batches}


def _batches() -> float:
    """Rows in a mean batch, by the server's own metrics."""
    lines = requests.get(f"http://127.0.0.1:{PORT}/metrics", timeout=10).text.splitlines()
    rows = [line for line in lines if line.startswith(BATCH_ROWS)]
    values = {line.split("{")[0]: float(line.split()[-1]) for line in rows}
    return values[f"{BATCH_ROWS}_sum"] / values[f"{BATCH_ROWS}_count"]


def lone(rows: list[list[float]], _: dict[str, list[int]], __: Options) -> dict[str, Any]:
    """The time of a whole request through batching, by that without, block by block."""
    server = next(server for server in SERVERS if server.name == "loadproof")
    version = load_version(CACHE / "models" / "forest" / "loadproof", compilation=False)
    body = server.request(0, rows[0]).partition(b"\r\n\r\n")[2]
    serve = {}
    for batching in (True, False):
        app = create_app(version, CollectorRegistry(), Settings(batching=batching))
        serve[batching] = in_front_of(app, app.extensions["inference"], version)
    ratios, times = [], []
    for _block in range(60):
        block = {batching: _time(serve[batching], body) for batching in (True, False)}
        ratios.append(block[True] / block[False])
        times.append(block[False])
    return {
        "ratio": statistics.median(ratios),
        "spread": [statistics.quantiles(ratios, n=10)[0], statistics.quantiles(ratios, n=10)[-1]],
        "without_us": statistics.median(times) * 1e6,
    }


def _time(serve: Callable[..., Any], body: bytes, times: int = 40) -> float:
    environ = {
        "PATH_INFO": "/v2/models/bench/infer",
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
    }
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        serve(environ | {"wsgi.input": io.BytesIO(body)}, lambda *_: None)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _memory(pid: int) -> int:
    """Resident memory of a server and its workers, in MiB."""
    process = psutil.Process(pid)
    return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) >> 20


def _quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000)[round(share * 1000) - 1] if len(values) > 1 else 0.0


PARTS: dict[str, Callable[[list[list[float]], dict[str, list[int]], Options], Any]] = {
    "overload": overload,
    "mismatches": mismatches,
    "lone": lone,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
