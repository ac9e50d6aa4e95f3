"""One cell of the benchmark: one server with one model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.running import PORT, running
from benchmarks.serving.sender import Outcome, Sender
from benchmarks.serving.servers import Server

CONNECTIONS = 32
OBJECTIVE = 0.1
"""Seconds: the 99th percentile of latency that the highest rate keeps, at most 0.1% wrong or missing."""

_ERRORS = 0.001
_WARM_UP = 0.7
_STEPS = 5


@dataclass(frozen=True)
class Effort:
    """How long a cell takes: seconds of the closed loop, and of one trial of a rate."""

    closed: float = 3.0
    trial: float = 3.0


def measure(
    server: Server, programs: Path, model: Path, rows: list[Any], answers: list[int], effort: Effort
) -> dict[str, Any]:
    """Start a server, measure it, stop it.

    Raises:
        RuntimeError: it does not start, or does not give scikit-learn's own labels.
    """
    log = model.parent / f"{server.name}-{model.name}.log"
    requests = [server.request(number, row) for number, row in enumerate(rows)]
    with running(server, programs, model, log, asked=requests[0]) as (limits, pid):
        address = ("127.0.0.1", PORT)
        expected = baseline_answers(server, requests, answers, address)
        sender = Sender(address, requests, expected, CONNECTIONS)
        try:
            sender.closed(_WARM_UP)
            closed = sender.closed(effort.closed)
            capacity = len(closed.latencies) / closed.seconds
            rate, trials = highest_rate(
                lambda rate, seed: sender.open_loop(rate, effort.trial, seed), capacity
            )
        finally:
            sender.close()
        return {
            "server": server.name,
            "model": model.name,
            "cpus": limits.cpus(pid),
            "closed": {
                "rps": capacity,
                "p50_ms": closed.quantile(0.5) * 1000,
                "p99_ms": closed.quantile(0.99) * 1000,
                "failed": closed.failed,
                "refused": closed.refused,
            },
            "highest_rate": rate,
            "trials": trials,
        }


def baseline_answers(
    server: Server, requests: list[bytes], answers: list[int], address: tuple[str, int]
) -> list[bytes] | None:
    """The body that each request gets without load.

    Raises:
        RuntimeError: the labels in them are not scikit-learn's.
    """
    if server.name == "floor":
        return None
    sender = Sender(address, requests, None, 1)
    try:
        bodies = [sender.ask(number) for number in range(len(requests))]
    finally:
        sender.close()
    wrong = sum(server.label(body) != answer for body, answer in zip(bodies, answers, strict=True))
    if wrong:
        raise RuntimeError(f"{server.name}: {wrong} of {len(answers)} labels are not scikit-learn's")
    return bodies


def highest_rate(trial: Any, capacity: float) -> tuple[float, list[dict[str, float]]]:
    """The highest rate at which the objective holds, by bisection between nothing and the closed loop's rate.

    Args:
        trial: (requests per second, seed) to the ``Outcome`` of an open-loop run.
        capacity: answers per second with every connection busy; no server can do more.

    Returns:
        The highest rate that passed (0: none did), and what was tried.
    """
    low, high = 0.0, capacity * 1.05
    tried = []
    rate = capacity * 0.9
    for step in range(_STEPS):
        # a second try where it was close: the machine, not the server, may have paused
        for retry in range(2):
            outcome: Outcome = trial(rate, 2 * step + retry)
            p99 = outcome.quantile(0.99)
            wanted = outcome.sent + outcome.unsent
            bad = wanted - len(outcome.latencies)
            met = p99 <= OBJECTIVE and bad <= _ERRORS * wanted
            if met or p99 > 2 * OBJECTIVE:
                break
        tried.append({"rate": rate, "p99_ms": min(p99, 1e3) * 1000, "bad": bad, "met": met})
        low, high = (rate, high) if met else (low, rate)
        rate = (low + high) / 2
    return low, tried
