"""Plain descriptions of latencies: no inference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def latency_quantiles(latency: NDArray[np.float64]) -> dict[str, float | None]:
    """``p50`` to ``p999`` and ``max`` in the unit of ``latency``, shape (n,); None for each when n is 0."""
    if not len(latency):
        return dict.fromkeys((*QUANTILES, "max"))
    found = np.quantile(latency, list(QUANTILES.values()))
    return {**dict(zip(QUANTILES, map(float, found), strict=True)), "max": float(latency.max())}
