"""Runs with a control: how often it makes a run INVALID, and what that does to false alarms and power.

Each run is judged twice, with its control and as if it had none. Machines are the simulator's; where
deployments of one version differ, each of the three is slower or faster by a factor of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
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
BLOCK = 50
"""Runs that are drawn together, from a seed of their own."""


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


def measure(
    runs: int, seed: int, done: Sequence[dict[str, Any]] = (), until: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Every case on every host.

    Args:
        runs: a cell, those that are done included.
        seed: the same gives the same rows, measured at once or in pieces of whole blocks.
        done: rows of an earlier call, to go on from.
        until: on the clock ``time.monotonic``; no cell begins after it.
    """
    before = {(row["what"], row["host"]): row for row in done}
    for i, case in enumerate(CASES):
        for j, host in enumerate(HOSTS):
            old = before.get((case.what, host.name), {})
            if time.monotonic() <= until:
                yield cell(case, host, runs, [seed, 15, i, j], old)
            elif old:
                yield old


def cell(
    case: Case, host: Host, runs: int, seed: list[int], before: dict[str, Any], block: int = BLOCK
) -> dict[str, Any]:
    """One case on one host; see ``measure``."""
    done = before.get("runs", 0)
    counts = {
        f"{name}_{word.value.lower()}": round(before.get(f"{name}_{word.value.lower()}", 0.0) * done)
        for name in ("control", "plain")
        for word in Word
    }
    for start in range(done, runs, block):
        rng = np.random.default_rng([*seed, start])
        for with_it, without in _block(case, host, min(block, runs - start), rng):
            counts[f"control_{with_it.value.lower()}"] += 1
            counts[f"plain_{without.value.lower()}"] += 1
    runs = max(runs, done)
    return {
        "what": case.what,
        "host": host.name,
        "runs": runs,
        **{name: count / runs for name, count in counts.items()},
    }


def _block(case: Case, host: Host, runs: int, rng: np.random.Generator) -> Iterator[tuple[Word, Word]]:
    """The verdicts of each run, with its control and without."""
    with_it, without = (_experiment(case.gates, control=control) for control in (True, False))
    facts = RunFacts(backend="local", load=LoadFacts(offered_rps=RATE, achieved_rps=RATE, duration_s=SECONDS))
    at, latencies = side_by_side(host, runs, 3, SECONDS, RATE, rng)
    for moments, *each in zip(at, *latencies, strict=True):
        factors = np.exp(rng.normal(0, case.spread, 3)) * (1, case.slower, 1)
        own = tuple(latency * factor for latency, factor in zip(each, factors, strict=True))
        samples, dataset = simulated(moments, own, 0.0, rng)
        said = plain = judge(Run.gather(with_it, dataset, samples, facts)).verdict
        if said is Word.INVALID:
            # any other verdict is that of the gates, which know nothing of the control
            kept = samples.where(~samples.is_role(Role.CONTROL))
            plain = judge(Run.gather(without, dataset, kept, facts)).verdict
        yield said, plain


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
