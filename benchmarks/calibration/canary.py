"""The canary controller on simulated traffic: the very code that watches and decides in a live lab.

Each second it gets a scrape, as from live counters: Poisson traffic split as it decided, errors one by one or
in bursts, and feedback that arrives seconds later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.simulator import HARSH, simulate
from loadtest.canary.counts import Counts, Scrape
from loadtest.canary.decision import Position, decide
from loadtest.canary.live_evidence import Watch
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role

Floats = NDArray[np.float64]
LIMIT, FEEDBACK = 900, 5.0
"""Seconds: the longest episode, and the mean delay of feedback."""
LATENCY_RATE, LATENCY_SECONDS = 100, 400
EDGES = np.array([0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, *np.geomspace(0.01, 10, 61)])
"""Seconds; edges like those of the gateway's histograms."""
BURST = 1 / 20, 0.1
"""Share of the seconds in which a version has a burst of errors, and the share of errors in it."""


@dataclass(frozen=True)
class Case:
    """A kind of candidate.

    Args:
        what: what the table calls it.
        rate: requests per second.
        errors: shares of stable and of the candidate; None: bursts of both.
        wrong: shares of wrong answers of stable and of the candidate.
        steps: the splits.
    """

    what: str
    rate: float
    errors: tuple[float, float] | None = (0.005, 0.005)
    wrong: tuple[float, float] = (0.2, 0.2)
    steps: tuple[float, ...] = (1, 5, 10, 25, 50, 100)


FROM_TEN = (10.0, 25.0, 50.0, 100.0)
CASES = (
    Case("honest", 200),
    Case("honest", 100),
    Case("honest, errors of both in bursts", 200, errors=None),
    Case("errors 0.5% to 5%, from 10%", 100, errors=(0.005, 0.05), steps=FROM_TEN),
    Case("errors 0.5% to 5%, from 1%", 200, errors=(0.005, 0.05)),
    Case("accuracy falls 5 points, from 10%", 100, wrong=(0.2, 0.25), steps=FROM_TEN),
    Case("accuracy falls 5 points, from 1%", 200, wrong=(0.2, 0.25)),
    Case("accuracy falls 15 points, from 1%", 200, wrong=(0.2, 0.35)),
)


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Episodes of every case, and p99 doubled."""
    rows = []
    for number, case in enumerate(CASES):
        experiment = _experiment(case)
        episodes = [
            _episode(experiment, case, np.random.default_rng([seed, number, run])) for run in range(runs)
        ]
        rows.append(_row(case.what, case.rate, episodes))
    rng = np.random.default_rng([seed, len(CASES)])
    for what, factor in (("p99 equal, held at 10%", 1.0), ("p99 doubled, held at 10%", 2.0)):
        rows.append(_row(what, LATENCY_RATE, _latencies(factor, runs, rng)))
    return rows


def _experiment(case: Case) -> Experiment:
    return Experiment.load_file("canary", {"canary": {"steps": list(case.steps)}})


@dataclass
class Episode:
    """How one candidate fared: the last verb, when, and when it was first taken out of the traffic."""

    verb: str
    seconds: float
    out: float
    paused: bool


def _row(what: str, rate: float, episodes: list[Episode]) -> dict[str, Any]:
    promoted = np.array([e.seconds for e in episodes if e.verb == "promote"])
    out = np.sort([e.out for e in episodes])
    return {
        "what": what,
        "rate": rate,
        "runs": len(episodes),
        "promoted": len(promoted) / len(episodes),
        "rolled_back": float(np.mean([e.verb == "rollback" for e in episodes])),
        "paused": float(np.mean([e.paused for e in episodes])),
        "to_everybody": float(np.median(promoted)) if len(promoted) > len(episodes) / 2 else None,
        "out": _finite(out[len(out) // 2]),
        "out_p90": _finite(out[int(0.9 * len(out))]),
    }


def _finite(seconds: float) -> float | None:
    return float(seconds) if np.isfinite(seconds) else None


def _episode(experiment: Experiment, case: Case, rng: np.random.Generator) -> Episode:
    late = np.zeros((2, 2, LIMIT + 120))  # feedback to come: version, (judged, wrong), second

    def counts(second: int, split: float) -> dict[str, Counts]:
        found = {}
        for version, role in enumerate((Role.STABLE, Role.CANDIDATE)):
            share = split / 100 if version else 1 - split / 100
            requests = int(rng.poisson(case.rate * share))
            if case.errors is not None:
                failing = case.errors[version]
            else:
                failing = BURST[1] if rng.random() < BURST[0] else 0.0
            errors = int(rng.binomial(requests, failing))
            arrives = second + np.minimum(rng.exponential(FEEDBACK, requests - errors), 100).astype(int)
            np.add.at(late[version, 0], arrives, 1)
            np.add.at(late[version, 1], arrives, rng.random(len(arrives)) < case.wrong[version])
            found[role] = Counts(requests, errors, *late[version, :, second])
        return found

    watch, position = Watch(experiment), Position(0.0, 0.0)
    watch.enter(0.0, 0.0)
    out, paused = np.inf, False
    for second in range(1, LIMIT):
        watch.add(Scrape(float(second), counts(second, position.split)))
        decision = decide(experiment.canary, position, watch.evidence())
        if decision.verb == "hold":
            continue
        if decision.verb in ("pause", "rollback"):
            out = min(out, second)
        if decision.verb not in ("step", "pause"):
            return Episode(decision.verb, second, out, paused)
        resting = decision.verb == "pause"
        watch.enter(float(second), decision.split, again=resting or position.paused)
        position = Position(decision.split, float(second), position.alarms + resting, resting)
        paused |= resting
    return Episode("hold", LIMIT, out, paused)


def _latencies(factor: float, runs: int, rng: np.random.Generator) -> list[Episode]:
    """A candidate that is ``factor`` as slow, at 10%, on the harsh host: when does its gate fail?"""
    experiment = Experiment.load_file(
        "canary", {"canary": {"steps": [10, 100], "rollback": ["p99 <= stable + 10%"], "hold": LIMIT}}
    )
    episodes = []
    for begin in range(0, runs, 10):
        batch = simulate(HARSH, min(10, runs - begin), LATENCY_SECONDS, LATENCY_RATE, rng)
        for at, stable, candidate in zip(*batch, strict=True):
            mine = rng.random(len(at)) < 0.1
            episodes.append(
                _latency(experiment, (at[~mine], stable[~mine]), (at[mine], candidate[mine] * factor))
            )
    return episodes


def _latency(
    experiment: Experiment, stable: tuple[Floats, Floats], candidate: tuple[Floats, Floats]
) -> Episode:
    watch = Watch(experiment)
    watch.enter(0.0, 10.0)
    for second in range(1, LATENCY_SECONDS):
        counts = {}
        for role, (at, latency) in ((Role.STABLE, stable), (Role.CANDIDATE, candidate)):
            seen = latency[np.searchsorted(at, second - 1) : np.searchsorted(at, second)]
            slower = len(seen) - np.searchsorted(np.sort(seen), EDGES, side="right")
            counts[role] = Counts(len(seen), 0, 0, 0, len(seen), slower.tolist())
        watch.add(Scrape(float(second), counts, EDGES.tolist()))
        if watch.evidence().alarms[0].finding == "fail":
            return Episode("rollback", second, second, paused=False)
    return Episode("hold", LATENCY_SECONDS, np.inf, paused=False)
