"""False alarms, power, wrong PASS and coverage of the latency gates, beside the usual ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import rivals
from benchmarks.calibration.simulator import CALM, HARSH, ROUGH, Host, Runs, simulate
from loadtest.stats.quantiles import Blocked, block_count, difference, log_ratio

ALPHA, MARGIN, RATE = 0.05, 0.10, 200.0
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
CELLS = (
    (CALM, 30.0),
    (CALM, 60.0),
    (HARSH, 60.0),
    (HARSH, 300.0),
    (HARSH, 600.0),
    (ROUGH, 60.0),
    (ROUGH, 300.0),
)
CHUNK_SECONDS, CHUNK_RUNS = 30_000.0, 100
"""How much is simulated at once: more needs more memory, less more time."""


def chunks(host: Host, seconds: float, runs: int, rate: float, seed: int) -> Iterator[Runs]:
    """``runs`` runs, a few at a time; the same seed gives the same runs."""
    rng = np.random.default_rng([seed, round(seconds), *map(ord, host.name)])
    chunk = min(CHUNK_RUNS, int(CHUNK_SECONDS // seconds))
    for start in range(0, runs, chunk):
        yield simulate(host, min(chunk, runs - start), seconds, rate, rng)


def measure_cell(host: Host, seconds: float, runs: int, seed: int) -> list[dict[str, Any]]:
    """All latency figures of one host and length, a row per quantile.

    The candidate is the same model (A/A). One that is c times slower has every latency times c, which
    moves ln ratio by ln c and leaves its error alone: so one A/A run answers for every c.
    """
    blocks = block_count(seconds)
    ratio: dict[str, list[tuple[float, float, float]]] = {name: [] for name in QUANTILES}
    shift: dict[str, list[tuple[float, float]]] = {name: [] for name in QUANTILES}
    usual: list[tuple[bool, bool, bool, bool]] = []
    dispersion = []
    rng = np.random.default_rng(seed)
    for batch in chunks(host, seconds, runs, RATE, seed):
        for at, stable, candidate in zip(*batch, strict=True):
            s, c = (Blocked.sort(v, at, seconds, blocks) for v in (stable, candidate))
            for name, q in QUANTILES.items():
                estimate = log_ratio(s, c, q)
                low, high = estimate.interval(ALPHA)
                ratio[name].append((estimate.value, low, high))
                shift[name].append(difference(s, c, q).interval(ALPHA))
            usual.append(_usual(at, stable, candidate, seconds, rng))
            slow = at[stable > s.quantile(0.99)].astype(int)
            counts = np.bincount(slow, minlength=int(seconds))
            dispersion.append(float(counts.var() / counts.mean()))
    rows = []
    for name in QUANTILES:
        rows.append(
            {"host": host.name, "seconds": seconds, "quantile": name, "runs": runs}
            | _rates(np.array(ratio[name]))
            | {
                "alarm_difference": _share(np.array(shift[name])[:, 0] > 0),
                "coverage_difference": _covered(np.array(shift[name]), 0.0),
                "dispersion": float(np.mean(dispersion)),
            }
            | dict(zip(("mann_whitney", "mann_whitney_in_turn", "bootstrap", "threshold"),
                       map(float, np.mean(usual, axis=0)), strict=True))
        )  # fmt: skip
    return rows


def _rates(results: NDArray[np.float64]) -> dict[str, float]:
    """Rates of verdicts from ln ratio and its interval, shape (runs, 3), of A/A runs."""
    value, low, high = results.T
    margin = np.log1p(MARGIN)
    return {
        "alarm": _share(low > 0),
        "coverage": _covered(results[:, 1:], 0.0),
        "finds_10": _share(low + np.log(1.1) > 0),
        "finds_20": _share(low + np.log(1.2) > 0),
        "fail_20": _share(low + np.log(1.2) > margin),
        "pass_equal": _share(high < margin),
        "wrong_pass": _share(high + margin < margin),
        "deviation": float(np.std(value)),
    }


def _usual(
    at: NDArray[np.float64],
    stable: NDArray[np.float64],
    candidate: NDArray[np.float64],
    seconds: float,
    rng: np.random.Generator,
) -> tuple[bool, bool, bool, bool]:
    first = at < seconds / 2
    return (
        rivals.mann_whitney(stable, candidate, ALPHA),
        rivals.mann_whitney(stable[first], candidate[~first], ALPHA),
        rivals.independent_bootstrap(stable, candidate, 0.99, ALPHA, rng),
        rivals.fixed_threshold(at, stable, candidate, 0.99, 1 + MARGIN, 30.0),
    )


def _share(hits: NDArray[np.bool_]) -> float:
    return float(np.mean(hits))


def _covered(intervals: NDArray[np.float64], truth: float) -> float:
    return _share((intervals[:, 0] <= truth) & (truth <= intervals[:, 1]))


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Every cell of ``CELLS``."""
    rows: list[dict[str, Any]] = []
    for host, seconds in CELLS:
        rows += measure_cell(host, seconds, runs, seed)
        print(f"  {host.name}, {seconds:.0f} s", flush=True)
    return rows
