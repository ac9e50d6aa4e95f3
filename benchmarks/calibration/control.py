"""Runs with a control: how often it makes a run INVALID, and what that does to false alarms and power.

Each run is judged twice, with its control and as if it had none. Machines are the simulator's; where
deployments of one version differ, each of the three is slower or faster by a factor of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.calibration.simulator import HOSTS, Host, side_by_side
from benchmarks.calibration.whole_runs import SECONDS, STRICT, simulated
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.judge.judge import judge
from loadtest.judge.run import LoadFacts, Run, RunFacts
from loadtest.judge.verdict import Word

MARGINS = (
    "p50 <= stable + 10%",
    "p99 <= stable + 10%",
    "error_rate <= stable + 0.5pp",
    "accuracy >= stable - 1pp",
)
RATE = 50.0


class Case(NamedTuple):
    """What is simulated: the gates, the candidate's latency as a multiple, and how deployments spread."""

    what: str
    gates: tuple[str, ...]
    slower: float = 1.0
    spread: float = 0.0


CASES = (
    Case("equal versions, margins", MARGINS),
    Case("equal versions, five gates without margin", STRICT),
    Case("candidate 20% slower, margins", MARGINS, slower=1.2),
    Case("deployments differ by 2%, five gates without margin", STRICT, spread=0.02),
)


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Every case on every host."""
    return [
        _cell(case, host, runs, np.random.default_rng([seed, 15, i, j]))
        for i, case in enumerate(CASES)
        for j, host in enumerate(HOSTS)
    ]


def _cell(case: Case, host: Host, runs: int, rng: np.random.Generator) -> dict[str, Any]:
    with_it, without = (_experiment(case.gates, control=control) for control in (True, False))
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=RATE, achieved_rps=RATE, duration_s=SECONDS))
    words: dict[str, list[Word]] = {"control": [], "plain": []}
    for start in range(0, runs, 50):
        at, latencies = side_by_side(host, min(50, runs - start), 3, SECONDS, RATE, rng)
        for moments, *each in zip(at, *latencies, strict=True):
            factors = np.exp(rng.normal(0, case.spread, 3)) * (1, case.slower, 1)
            own = tuple(latency * factor for latency, factor in zip(each, factors, strict=True))
            samples, dataset = simulated(moments, own, 0.0, rng)
            for name, experiment in (("control", with_it), ("plain", without)):
                kept = samples if name == "control" else samples.where(~samples.is_role(Role.CONTROL))
                words[name].append(judge(Run.gather(experiment, dataset, kept, facts)).verdict)
    return {
        "what": case.what,
        "host": host.name,
        "runs": runs,
        **{
            f"{name}_{word.value.lower()}": float(np.mean([said is word for said in found]))
            for name, found in words.items()
            for word in Word
        },
    }


def _experiment(gates: tuple[str, ...], *, control: bool) -> Experiment:
    return Experiment.parse(
        {
            "name": "calibration",
            "model": {"name": "simulated", "folder": "none"},
            "data": {"path": "none.parquet"},
            "load": {"control": control},
            "gates": list(gates),
        },
        "calibration",
    )
