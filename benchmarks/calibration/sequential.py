"""Stopping early: false alarms under constant looking, and seconds to a decision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.calibration.simulator import CALM, HARSH, ROUGH, Host, simulate
from loadtest.stats.sequential import (
    EQUAL_ODDS,
    ERROR_ODDS,
    WRONG_ANSWER_ODDS,
    TwoSampleBets,
    lower_bounds,
    paired_log_e,
)

Floats = NDArray[np.float64]
ALPHA, MARGIN = 0.05, 0.10
HOUR, CANARY_RATE, CANARY_SHARE = 3600, 100, 0.1
LIMIT, DUET_RATE = 600, 50
LATENCY_LIMIT = 300
CANARY_WINDOW, DUET_WINDOW, TRAILING = 10.0, 5.0, 300.0
"""Seconds: windows of the latency gates, and how far back stable's quantile is looked up."""


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Canary for an hour, and duet traffic until decided."""
    rng = np.random.default_rng([seed, 7])
    return [
        *_canary_counts(runs, rng),
        *_latency_rows("canary", HARSH, HOUR, CANARY_RATE, CANARY_WINDOW, (1.0, 2.0), runs, rng),
        *_duet_answers(runs, rng),
        *(
            row
            for host in (CALM, HARSH, ROUGH)
            for row in _latency_rows(
                "duet", host, LATENCY_LIMIT, 200, DUET_WINDOW, (1.0, 1.1, 1.2), runs, rng
            )
        ),
    ]


def _row(traffic: str, what: str, method: str, decided: Floats, limit: float) -> dict[str, Any]:
    """One line of the table from the second of decision of each run, infinite where there was none."""
    share = float(np.mean(np.isfinite(decided)))
    sure = np.sort(decided)
    return {
        "traffic": traffic,
        "what": what,
        "method": method,
        "runs": len(decided),
        "limit": limit,
        "decided": share,
        "median": _finite(sure[len(sure) // 2]),
        "p90": _finite(sure[int(0.9 * len(sure))]),
    }


def _finite(seconds: float) -> float | None:
    return float(seconds) if np.isfinite(seconds) else None


def _first(hit: NDArray[np.bool_], step: float = 1.0) -> Floats:
    """The second at which each run first crosses, shape (runs, analyses) to (runs,)."""
    return np.where(hit.any(axis=-1), (hit.argmax(axis=-1) + 1) * step, np.inf)


def _canary_counts(runs: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = [
        # what, odds, above, margin, share of stable, share of candidate
        ("errors equal, 0.5%", ERROR_ODDS, True, 0.0, 0.005, 0.005),
        ("errors 0.5% to 5%", ERROR_ODDS, True, 0.0, 0.005, 0.05),
        ("wrong answers equal, 20%", WRONG_ANSWER_ODDS, True, 0.0, 0.2, 0.2),
        ("accuracy falls 5 points", WRONG_ANSWER_ODDS, True, 0.0, 0.2, 0.25),
        ("equal accuracy shown within 2 points", EQUAL_ODDS, False, 0.02, 0.2, 0.2),
        ("wrong PASS, 2 points worse", EQUAL_ODDS, False, 0.02, 0.2, 0.22),
        ("equal errors shown within 0.5 points", EQUAL_ODDS, False, 0.005, 0.005, 0.005),
    ]  # fmt: skip
    rows = []
    for what, odds, above, margin, stable, candidate in cases:
        nc = rng.poisson(CANARY_RATE * CANARY_SHARE, (runs, HOUR))
        ns = rng.poisson(CANARY_RATE * (1 - CANARY_SHARE), (runs, HOUR))
        kc, ks = rng.binomial(nc, candidate), rng.binomial(ns, stable)
        found = _bets_found(TwoSampleBets(margin, odds, above=above, shape=(runs,)), kc, nc, ks, ns)
        rows.append(_row("canary", what, "e-process", found, HOUR))
        if above:
            rows.append(_row("canary", what, "asymptotic", _windows_found(kc, nc, ks, ns), HOUR))
        if what == "errors equal, 0.5%":
            rows.append(_row("canary", what, "z-test each second", _z_found(kc, nc, ks, ns), HOUR))
    bursting = [rng.random((runs, HOUR)) < 1 / 20 for _ in range(2)]
    nc = rng.poisson(CANARY_RATE * CANARY_SHARE, (runs, HOUR))
    ns = rng.poisson(CANARY_RATE * (1 - CANARY_SHARE), (runs, HOUR))
    kc, ks = (rng.binomial(n, np.where(b, 0.1, 0.0)) for n, b in ((nc, bursting[0]), (ns, bursting[1])))
    bets = _bets_found(TwoSampleBets(0.0, ERROR_ODDS, above=True, shape=(runs,)), kc, nc, ks, ns)
    rows.append(_row("canary", "errors equal, in bursts", "e-process", bets, HOUR))
    rows.append(_row("canary", "errors equal, in bursts", "asymptotic", _windows_found(kc, nc, ks, ns), HOUR))
    return rows


Counts = NDArray[np.int64]


def _bets_found(bets: TwoSampleBets, kc: Counts, nc: Counts, ks: Counts, ns: Counts) -> Floats:
    found = np.full(len(kc), np.inf)
    for second in range(kc.shape[1]):
        bets.update(kc[:, second], nc[:, second], ks[:, second], ns[:, second])
        found[np.isinf(found) & (bets.log_e >= np.log(1 / ALPHA))] = second + 1
    return found


def _windows_found(kc: Counts, nc: Counts, ks: Counts, ns: Counts) -> Floats:
    kc, nc, ks, ns = (x.reshape(len(x), -1, int(CANARY_WINDOW)).sum(axis=2) for x in (kc, nc, ks, ns))
    return _first(lower_bounds(kc / np.maximum(nc, 1) - ks / np.maximum(ns, 1), ALPHA) > 0, CANARY_WINDOW)


def _z_found(kc: Counts, nc: Counts, ks: Counts, ns: Counts) -> Floats:
    kc, nc, ks, ns = (np.cumsum(x, axis=1)[:, 59:] for x in (kc, nc, ks, ns))
    pooled = (kc + ks) / (nc + ns)
    error = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / nc + 1 / ns), 1e-12))
    return _first((kc / nc - ks / ns) / error > stats.norm.isf(ALPHA)) + 59


def _duet_answers(runs: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Accuracy within 1 point, row by row, looked at each second; 50 new rows per second."""
    rows = []
    n = np.arange(1, LIMIT + 1) * DUET_RATE
    cases = [
        ("accuracy equal, no margin: alarm", 0.10, 0.0, 0.0, "fail"),
        ("accuracy falls 5 points, no margin", 0.10, 0.05, 0.0, "fail"),
        ("accuracy equal, shown within 1 point, 10% discordant", 0.10, 0.0, 0.01, "pass"),
        ("accuracy equal, shown within 1 point, 4% discordant", 0.04, 0.0, 0.01, "pass"),
        ("same answers, shown within 1 point", 0.0, 0.0, 0.01, "pass"),
        ("wrong PASS, 1 point worse", 0.10, 0.01, 0.01, "pass"),
    ]
    for what, discordant, worse, margin, aim in cases:
        chances = [(discordant + worse) / 2, (discordant - worse) / 2]  # wrong only: candidate, stable
        counts = rng.multinomial(DUET_RATE, [*chances, 1 - sum(chances)], (runs, LIMIT)).cumsum(axis=1)
        gained, lost = counts[..., 0], counts[..., 1]
        if aim == "fail":
            evidence = paired_log_e(gained, lost, np.broadcast_to(n, gained.shape), margin)
        else:
            evidence = paired_log_e(lost, gained, np.broadcast_to(n, gained.shape), -margin)
        rows.append(_row("duet", what, "paired bets", _first(evidence >= np.log(1 / ALPHA)), LIMIT))
    return rows


def _latency_rows(
    traffic: str,
    host: Host,
    seconds: float,
    rate: float,
    window: float,
    factors: tuple[float, ...],
    runs: int,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """p99 within 10% of stable: the windows of each run, for a candidate that is ``factors`` as slow."""
    quantiles = {"p99": 0.99} if traffic == "canary" else {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    share = CANARY_SHARE if traffic == "canary" else None
    windows: dict[tuple[str, float], list[Floats]] = {(q, f): [] for q in quantiles for f in factors}
    chunk = 25
    for start in range(0, runs, chunk):
        batch = simulate(host, min(chunk, runs - start), seconds, rate, rng)
        for at, stable, candidate in zip(*batch, strict=True):
            chosen = rng.random(len(at)) < share if share else np.ones(len(at), dtype=bool)
            kept = ~chosen if share else chosen
            arms = (at[kept], stable[kept], at[chosen], candidate[chosen])
            found = _exceedances(arms, quantiles, factors, window, seconds)
            for key, values in found.items():
                windows[key].append(values)
    rows = []
    for (name, factor), series in windows.items():
        d = np.array(series)
        method, equal = (
            f"asymptotic, {window:g} s windows",
            "equal" if factor == 1 else f"{factor:g} times as slow",
        )
        fail = _first(lower_bounds(d, ALPHA) > 0, window) + window
        rows.append(_row(traffic, f"{name} {equal}, {host.name}: FAIL at +10%", method, fail, seconds))
        if traffic == "duet":
            ok = _first(lower_bounds(-d, ALPHA) > 0, window) + window
            rows.append(_row(traffic, f"{name} {equal}, {host.name}: PASS at +10%", method, ok, seconds))
    return rows


def exceedance(stable: Floats, candidate: Floats, threshold: float, limit: float) -> float:
    """One window of a latency gate: how much more often the candidate exceeds its limit than stable its own.

    With ``threshold`` stable's own quantile (of the windows before) and ``limit`` that quantile plus the
    margin, its mean is above 0 exactly when the candidate's quantile is beyond the margin.
    """
    return float(np.mean(candidate > limit) - np.mean(stable > threshold))


def _exceedances(
    arms: tuple[Floats, Floats, Floats, Floats],
    quantiles: dict[str, float],
    factors: tuple[float, ...],
    window: float,
    seconds: float,
) -> dict[tuple[str, float], Floats]:
    """One value a window for each quantile and factor; the first window only sets the threshold."""
    stable_at, stable, candidate_at, candidate = arms
    edges = np.arange(0, seconds + window / 2, window)
    s_cut, c_cut = np.searchsorted(stable_at, edges), np.searchsorted(candidate_at, edges)
    back = int(TRAILING // window)
    found = {(name, factor): np.zeros(len(edges) - 2) for name in quantiles for factor in factors}
    for w in range(1, len(edges) - 1):
        past = stable[s_cut[max(0, w - back)] : s_cut[w]]
        s, c = stable[s_cut[w] : s_cut[w + 1]], candidate[c_cut[w] : c_cut[w + 1]]
        ranks = [int(q * len(past)) for q in quantiles.values()]
        ordered = np.partition(past, ranks)
        for name, rank in zip(quantiles, ranks, strict=True):
            threshold = float(ordered[rank])
            for factor in factors:
                if len(c) and len(s):
                    value = exceedance(s, c * factor, threshold, (1 + MARGIN) * threshold)
                    found[name, factor][w - 1] = value
    return found
