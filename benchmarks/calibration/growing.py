"""Quantile ratios of a run while it grows, at hundreds of analyses: fast, for simulation.

``loadtest.stats.quantiles`` sorts at each analysis. Here latencies are counted once into fine logarithmic
bins for each quarter of a second, and every analysis is a few differences of cumulated counts. A test holds
both against each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

_LOWEST, _HIGHEST, _BINS = 3e-4, 6e1, 3_000
_STEP = np.log(_HIGHEST / _LOWEST) / _BINS
TICKS = 4
"""Counts per second: block edges are rounded to them."""


class AnalysisSeries(NamedTuple):
    """ln ratio of a quantile at each analysis, shape (analyses,) each.

    ``beyond``: latencies above the quantile (of the version with fewer), as independent ones would count.
    """

    value: Floats
    error: Floats
    blocks: NDArray[np.intp]
    beyond: Floats


def analyses_of(
    at: Floats,
    stable: Floats | None,
    candidate: Floats,
    quantiles: dict[str, float],
    analyses: list[tuple[float, int]],
) -> dict[str, AnalysisSeries]:
    """ln(candidate / stable) of each quantile, or ln(candidate) alone, with its jackknife error.

    Args:
        at: arrivals, seconds, shape (n,).
        stable: latencies, seconds; None: the candidate's own quantile.
        candidate: the same of the candidate.
        quantiles: by name.
        analyses: seconds of the run that each sees, and into how many blocks it cuts them.
    """
    seconds = analyses[-1][0]
    arms = [_cumulated(at, latency, seconds) for latency in (stable, candidate) if latency is not None]
    found: dict[str, list[tuple[float, float, int, float]]] = {name: [] for name in quantiles}
    for until, blocks in analyses:
        edges = np.round(np.linspace(0, until, blocks + 1) * TICKS).astype(int)
        measured = [_quantiles(counts, edges, list(quantiles.values())) for counts in arms]
        for i, name in enumerate(quantiles):
            row = measured[-1][0][i] - (measured[0][0][i] if stable is not None else 0.0)
            pseudo = blocks * row[0] - (blocks - 1) * row[1:]
            error = float(np.std(pseudo, ddof=1)) / blocks**0.5
            found[name].append((float(row[0]), error, blocks, min(beyond[i] for _, beyond in measured)))
    return {
        name: AnalysisSeries(*(np.array(column) for column in zip(*rows, strict=True)))
        for name, rows in found.items()
    }


def _cumulated(at: Floats, latency: Floats, seconds: float) -> NDArray[np.int32]:
    """How many latencies are below the end of each bin, until each tick, shape (ticks + 1, bins)."""
    ticks = round(seconds * TICKS)
    tick = np.minimum((at * TICKS).astype(int), ticks - 1)
    place = np.clip((np.log(latency / _LOWEST) / _STEP).astype(int), 0, _BINS - 1)
    counts = np.bincount(tick * _BINS + place, minlength=ticks * _BINS).reshape(ticks, _BINS)
    whole = np.zeros((ticks + 1, _BINS), dtype=np.int32)
    np.cumsum(counts.cumsum(axis=1, dtype=np.int32), axis=0, out=whole[1:])
    return whole


def _quantiles(
    whole: NDArray[np.int32], edges: NDArray[np.intp], quantiles: list[float]
) -> tuple[Floats, list[float]]:
    """ln of each quantile of all and without each block, shape (quantiles, 1 + blocks); what is beyond it."""
    total = whole[edges[-1]]
    below = np.vstack([total, total - np.diff(whole[edges], axis=0)]).astype(np.int32)
    n = below[:, -1]
    row = np.arange(len(below))
    found, beyond = np.empty((len(quantiles), len(below))), []
    for i, q in enumerate(quantiles):
        rank = q * (n - 1) + 0.5
        place = np.minimum((below <= rank[:, None]).sum(axis=1), _BINS - 1)
        before = np.where(place > 0, below[row, np.maximum(place - 1, 0)], 0)
        inside = below[row, place] - before
        share = np.where(inside > 0, (rank - before) / np.maximum(inside, 1), 0.5)
        found[i] = np.log(_LOWEST) + (place + np.clip(share, 0, 1)) * _STEP
        size, above = n[0] - n[1:], n[0] - n[1:] - (below[0, place[0]] - below[1:, place[0]])
        beyond.append(float(above.sum()) / _effect(above, size))
    return found, beyond


def _effect(hits: NDArray[np.int32], size: NDArray[np.int32]) -> float:
    """``design_effect`` of the blocks' hits."""
    share = hits.sum() / size.sum()
    independent = share * (1 - share) * size.sum()
    excess = hits - share * size
    blocks = len(hits)
    widened = float(special.stdtrit(blocks - 1, 0.05) / special.ndtri(0.05)) ** 2
    clustered = float(np.sum(excess**2)) * blocks / (blocks - 1)
    return max(1.0, clustered / independent * widened) if independent else 1.0
