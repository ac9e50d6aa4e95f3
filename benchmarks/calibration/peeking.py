"""What looking again and again does to each way of deciding, on two copies of the same version.

A run that stops at the first analysis that says 'worse' is wrong as often as *any* of its analyses is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.calibration import rivals
from benchmarks.calibration.latency import ALPHA, MARGIN, RATE, chunks
from benchmarks.calibration.sequential import (
    CANARY_RATE,
    CANARY_SHARE,
    DUET_WINDOW,
    HOUR,
    TRAILING,
    exceedance,
)
from benchmarks.calibration.simulator import CALM, HARSH, ROUGH, simulate
from loadtest.stats.quantiles import Blocked, block_count, log_ratio
from loadtest.stats.sequential import lower_bounds, paired_log_e

Floats = rivals.Floats
CELLS = (
    (CALM, 60.0, 1.0),
    (HARSH, 60.0, 1.0),
    (ROUGH, 60.0, 1.0),
    (HARSH, 300.0, 10.0),
    (ROUGH, 300.0, 10.0),
)
"""Host, seconds, and seconds between two analyses; the first analysis is at half a minute."""
FIRST, Q = 30.0, 0.99


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Duet traffic by every method, canary traffic by the usual ones, and answers."""
    rows = []
    for host, seconds, every in CELLS:
        rng = np.random.default_rng([seed, 13])
        analyses = np.arange(FIRST, seconds + every / 2, every)
        found: dict[str, list[tuple[bool, bool]]] = {}
        for batch in chunks(host, seconds, runs, RATE, seed + 1):
            for at, stable, candidate in zip(*batch, strict=True):
                for method, alarms in _duet(at, stable, candidate, analyses, rng):
                    found.setdefault(method, []).append((bool(alarms[-1]), any(alarms)))
        where = f"duet, {host.name}, {seconds:.0f} s, p99"
        rows += [_row(where, f"{every:.0f} s", method, alarms) for method, alarms in found.items()]
        print(f"  {where}", flush=True)
    # an hour of latencies is dear to simulate: fewer runs, as the table says
    return [*rows, *_canary(-(-runs // 5), seed), *_answers(runs, seed)]


def _row(what: str, every: str, method: str, alarms: list[tuple[bool, bool]]) -> dict[str, Any]:
    last, ever = np.mean(alarms, axis=0)
    return {
        "what": what,
        "every": every,
        "method": method,
        "runs": len(alarms),
        "once": float(last),
        "peeked": float(ever),
    }


def _duet(
    at: Floats, stable: Floats, candidate: Floats, analyses: Floats, rng: np.random.Generator
) -> Iterator[tuple[str, list[bool]]]:
    ends = np.searchsorted(at, analyses)
    p_values = rivals.mann_whitney_analysed_at(at, stable, at, candidate, analyses)
    yield "Mann-Whitney", list(p_values < ALPHA)
    yield (
        "independent bootstrap",
        [rivals.independent_bootstrap(stable[:n], candidate[:n], Q, ALPHA, rng) for n in ends],
    )
    starts = np.searchsorted(at, analyses - FIRST)
    yield (
        "over 1.1 times in the last 30 s",
        [
            bool(np.quantile(candidate[a:b], Q) > (1 + MARGIN) * np.quantile(stable[a:b], Q))
            for a, b in zip(starts, ends, strict=True)
        ],
    )
    fixed = []
    for n, now in zip(ends, analyses, strict=True):
        blocks = block_count(now)
        s, c = (Blocked.sort(v[:n], at[:n], now, blocks) for v in (stable, candidate))
        fixed.append(log_ratio(s, c, Q).interval(ALPHA)[0] > 0)
    yield "our gate for a fixed run", fixed
    yield "our always-valid sequence", _sequence(at, stable, candidate, float(analyses[-1]))


def _sequence(at: Floats, stable: Floats, candidate: Floats, seconds: float) -> list[bool]:
    edges = np.searchsorted(at, np.arange(0, seconds + DUET_WINDOW / 2, DUET_WINDOW))
    back = int(TRAILING // DUET_WINDOW)
    windows = []
    for w in range(1, len(edges) - 1):
        limit = float(np.quantile(stable[edges[max(0, w - back)] : edges[w]], Q))
        now = slice(edges[w], edges[w + 1])
        windows.append(exceedance(stable[now], candidate[now], limit, limit))
    return list(lower_bounds(np.array(windows), ALPHA) > 0)


def _canary(runs: int, seed: int) -> list[dict[str, Any]]:
    """An hour of canary traffic, 10% to the candidate, looked at each minute."""
    rng = np.random.default_rng([seed, 17])
    analyses = np.arange(60.0, HOUR + 1, 60.0)
    ranks, ratios = [], []
    for start in range(0, runs, 20):
        batch = simulate(HARSH, min(20, runs - start), HOUR, CANARY_RATE, rng)
        for at, stable, candidate in zip(*batch, strict=True):
            chosen = rng.random(len(at)) < CANARY_SHARE
            arms = (at[~chosen], stable[~chosen], at[chosen], candidate[chosen])
            alarms = rivals.mann_whitney_analysed_at(*arms, analyses) < ALPHA
            ranks.append((bool(alarms[-1]), bool(alarms.any())))
            high = np.array([_p99_ratio(arms, now - 60.0, now) > 1 + MARGIN for now in analyses])
            five = np.convolve(high, np.ones(5), mode="valid") == 5
            ratios.append((bool(high[-1]), bool(five.any())))
    what = "canary, harsh, 1 h"
    return [
        _row(what, "60 s", "Mann-Whitney", ranks),
        _row(what, "60 s", "p99 over 1.1 times, five minutes in a row", ratios),
    ]


def _p99_ratio(arms: tuple[Floats, Floats, Floats, Floats], begin: float, end: float) -> float:
    s_at, stable, c_at, candidate = arms
    s, c = (v[slice(*np.searchsorted(t, (begin, end)))] for t, v in ((s_at, stable), (c_at, candidate)))
    return float(np.quantile(c, Q) / np.quantile(s, Q))


def _answers(runs: int, seed: int) -> list[dict[str, Any]]:
    """Accuracy of two versions that disagree on a tenth of the rows, 50 rows per second for two minutes."""
    counts = np.random.default_rng([seed, 19]).multinomial(50, [0.05, 0.05, 0.9], (10 * runs, 120))
    gained, lost = counts[..., 0].cumsum(axis=1), counts[..., 1].cumsum(axis=1)
    n = np.broadcast_to(50 * np.arange(1, 121), gained.shape)
    z = (gained - lost) / np.sqrt(np.maximum(gained + lost, 1))
    limit = stats.norm.isf(ALPHA)
    evidence = paired_log_e(gained, lost, n, 0.0) >= np.log(1 / ALPHA)
    what = "accuracy, duet, 120 s"
    return [
        _row(what, "1 s", "McNemar", list(zip(z[:, -1] > limit, (z > limit).any(axis=1), strict=True))),
        _row(
            what,
            "1 s",
            "our always-valid bets",
            list(zip(evidence[:, -1], evidence.any(axis=1), strict=True)),
        ),
    ]
