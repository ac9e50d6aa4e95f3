"""Coverage of the interval of one version's own level, such as ``p99 <= 250ms`` is decided by.

Of what is it an interval? Drift slower than the run cannot be known from the run. So two truths are held
against it: the level under the conditions of this run (the machine's drift and shared neighbours as they
were, arrivals and all else drawn again), which is what such a gate claims, and the level over all days.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.calibration.latency import ALPHA, QUANTILES, RATE
from benchmarks.calibration.simulator import CALM, HARSH, ROUGH, replicate
from loadtest.stats.quantiles import LEVEL_BLOCKS, Blocked, log_level

CELLS = ((CALM, 60.0), (HARSH, 60.0), (HARSH, 300.0), (ROUGH, 60.0), (ROUGH, 300.0))
COPIES, JUDGED, PATHS = 25, 5, 8
"""Copies of a run behind its truth; those of them whose interval is looked at; runs simulated at once."""


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Every cell, from ``runs`` intervals each."""
    rows = []
    for host, seconds in CELLS:
        rng = np.random.default_rng([seed, 11, round(seconds), *map(ord, host.name)])
        intervals: dict[str, list[tuple[float, float, float]]] = {name: [] for name in QUANTILES}
        pooled = []
        while len(intervals["p50"]) < runs:
            for at, latency in zip(*replicate(host, PATHS, COPIES, seconds, RATE, rng), strict=True):
                truth = np.log(np.quantile(latency, list(QUANTILES.values())))
                pooled.append(np.quantile(latency, np.linspace(0, 1, 2001)))
                for moment, one in zip(at[:JUDGED], latency[:JUDGED], strict=True):
                    blocked = Blocked.sort(one, moment, seconds, LEVEL_BLOCKS)
                    for (name, q), known in zip(QUANTILES.items(), truth, strict=True):
                        intervals[name].append((*log_level(blocked, q).interval(ALPHA), float(known)))
        for name, q in QUANTILES.items():
            low, high, known = np.array(intervals[name]).T
            ever = np.log(np.quantile(np.concatenate(pooled), q))
            rows.append(
                {
                    "host": host.name,
                    "seconds": seconds,
                    "quantile": name,
                    "runs": len(low),
                    "coverage": float(np.mean((low <= known) & (known <= high))),
                    "too_low": float(np.mean(high < known)),
                    "coverage_ever": float(np.mean((low <= ever) & (ever <= high))),
                    "width": float(np.exp(np.median(high - low))),
                }
            )
        print(f"  {host.name}, {seconds:.0f} s", flush=True)
    return rows
