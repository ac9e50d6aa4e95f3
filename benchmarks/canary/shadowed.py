"""Whether users notice a shadow whose candidate takes two seconds: blocks with and without it, in turn."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.canary.rollbacks import set_split
from benchmarks.canary.steady import Load, Record
from loadtest.experiment.experiment import Fault
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Lab
from loadtest.stats.estimate import StudentEstimate

DELAY = 2.0
BLOCK, REST = 6.0, 2.0
"""Seconds of one block, and those at its beginning that belong to the change and not to the block."""

_ALPHA = 0.025
_QUANTILES = {"p50": 0.5, "p99": 0.99}

Floats = NDArray[np.float64]


def measure(lab: Lab, model: str, rate: float, pairs: int) -> dict[str, Any]:
    """Ask at a steady rate while the shadow comes and goes.

    Returns:
        Milliseconds of stable's answers with and without the shadow, over all blocks, and the ratio with its
        95% interval, by a jackknife that leaves one pair of blocks out at a time (Künsch 1989).
    """
    lab.inject("candidate", Fault(kind="slowed", delay=DELAY))
    set_split(lab, 0)
    load = Load(lab, model, rate, pairs * 2 * (BLOCK + 0.3) + 3)
    began: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs * 2):
        # the order changes from pair to pair: what drifts does not favour one of the two
        shadow = number % 4 in (1, 2)
        if shadow:
            lab.canary.update(lambda state: state.shadow(sign("a benchmark")))
        else:
            set_split(lab, 0)
        began[shadow].append(time.monotonic())
        time.sleep(BLOCK)
    records = load.records()
    set_split(lab, 0)
    lab.heal("candidate")

    inside = [r for r in records if any(at + REST <= r.scheduled_at < at + BLOCK for at in began[True])]
    return {
        "rate": rate,
        "delay_s": DELAY,
        "pairs": pairs,
        "requests": len(inside),
        "failed": sum(r.status != 200 for r in records),
        "by_candidate": sum(r.version == "candidate" for r in records),
    } | of_blocks(records, began)


def of_blocks(records: list[Record], began: dict[bool, list[float]]) -> dict[str, Any]:
    """Users' latencies in blocks with (True) and without what is measured, by when each began."""

    def block(at: float) -> Floats:
        return np.array(
            [r.done - r.scheduled_at for r in records if at + REST <= r.scheduled_at < at + BLOCK]
        )

    blocks = {with_it: [block(at) for at in times] for with_it, times in began.items()}
    return {name: _compare(blocks, quantile) for name, quantile in _QUANTILES.items()}


def _compare(blocks: dict[bool, list[Floats]], quantile: float) -> dict[str, Any]:
    def ratio(left_out: int = -1) -> float:
        with_it, without = (
            np.quantile(np.concatenate([b for n, b in enumerate(blocks[shadow]) if n != left_out]), quantile)
            for shadow in (True, False)
        )
        return float(np.log(with_it / without))

    count = len(blocks[True])
    left = np.array([ratio(number) for number in range(count)])
    error = float(np.sqrt((count - 1) / count * np.sum((left - left.mean()) ** 2)))
    estimate = StudentEstimate(ratio(), error, count - 1)
    pooled = {shadow: float(np.quantile(np.concatenate(blocks[shadow]), quantile)) for shadow in blocks}
    return {
        "with_ms": round(pooled[True] * 1000, 2),
        "without_ms": round(pooled[False] * 1000, 2),
        "ratio": round(float(np.exp(ratio())), 3),
        "interval": [round(float(np.exp(end)), 3) for end in estimate.interval(_ALPHA)],
    }
