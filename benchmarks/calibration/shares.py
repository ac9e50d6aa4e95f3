"""False alarms, wrong PASS and power of the gates on errors and accuracy, for one fixed run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from loadtest.stats.proportions import IndependentDifference, PairedDifference, design_effect
from loadtest.stats.quantiles import block_count

ALPHA = 0.05


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Accuracy paired by row, accuracy of two streams, and errors that come alone or in bursts."""
    rng = np.random.default_rng(seed)
    return [
        *(accuracy(rows, 0.01, discordant, 10 * runs, rng) for rows, discordant in
          ((300, 0.10), (1000, 0.10), (6173, 0.10), (6200, 0.10), (2557, 0.04))),
        accuracy_unpaired(19_709, 19_709, 0.01, 10 * runs, rng),
        accuracy_unpaired(11_239, 101_154, 0.01, 10 * runs, rng),
        *(errors(seconds, bursts, 2 * runs, rng) for seconds in (60.0, 300.0) for bursts in (False, True)),
    ]  # fmt: skip


def accuracy(
    rows: int, margin: float, discordant: float, runs: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Non-inferiority of accuracy by Tango's interval, beside McNemar's 'not significant, so the same'."""

    def draw(difference: float) -> NDArray[np.int64]:
        gained, lost = (discordant + difference) / 2, (discordant - difference) / 2
        return rng.multinomial(rows, [gained, lost, 1 - discordant], runs)

    def passes(counts: NDArray[np.int64]) -> float:
        return float(
            np.mean([PairedDifference(b, c, rows).interval(ALPHA)[0] > -margin for b, c, _ in counts])
        )

    equal, at_margin, worse = draw(0.0), draw(-margin), draw(-0.03)
    mcnemar = stats.binom.sf(worse[:, 1] - 1, worse[:, 0] + worse[:, 1], 0.5)
    return {
        "what": f"accuracy within {100 * margin:g} point, paired, {discordant:.0%} discordant",
        "size": f"{rows:,} rows",
        "rows": rows,
        "discordant": discordant,
        "runs": runs,
        "alarm": float(np.mean([PairedDifference(b, c, rows).interval(ALPHA)[1] < 0 for b, c, _ in equal])),
        "pass_equal": passes(equal),
        "wrong_pass": passes(at_margin),
        "usual": float(np.mean(mcnemar > ALPHA)),
        "usual_what": "'McNemar p > 0.05' promotes a version 3 points worse",
    }


def accuracy_unpaired(
    candidate: int, stable: int, margin: float, runs: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Non-inferiority of accuracy of two streams by Newcombe's interval, at accuracy 0.8."""

    def intervals(difference: float) -> NDArray[np.float64]:
        kc, ks = rng.binomial(candidate, 0.8 + difference, runs), rng.binomial(stable, 0.8, runs)
        pairs = zip(kc, ks, strict=True)
        return np.array([IndependentDifference(a, candidate, b, stable).interval(ALPHA) for a, b in pairs])

    equal = intervals(0.0)
    return {
        "what": f"accuracy within {100 * margin:g} point, two streams",
        "size": f"{candidate:,} and {stable:,} requests",
        "runs": runs,
        "alarm": float(np.mean(equal[:, 1] < 0)),
        "pass_equal": float(np.mean(equal[:, 0] > -margin)),
        "wrong_pass": float(np.mean(intervals(-margin)[:, 0] > -margin)),
    }


def errors(seconds: float, bursts: bool, runs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Error rates of two equal versions at 200 arrivals per second, 0.5% of errors on average."""
    blocks, n = block_count(seconds), round(200 * seconds)
    alarms, naive, passes = [], [], []
    for _ in range(runs):
        at = np.sort(rng.uniform(0, seconds, n))
        block = (at * (blocks / seconds)).astype(np.intp)
        failed = [_failures(at, seconds, bursts, rng) for _ in range(2)]
        change = failed[1].astype(float) - failed[0]
        gained, lost = float(np.sum(change > 0)), float(np.sum(change < 0))
        effect = design_effect(change, block, blocks)
        estimate = PairedDifference(gained / effect, lost / effect, n / effect)
        low, high = estimate.interval(ALPHA)
        alarms.append(low > 0)
        passes.append(high < 0.005)
        naive.append(PairedDifference(gained, lost, n).interval(ALPHA)[0] > 0)
    return {
        "what": "errors of 0.5%, " + ("in bursts of one version" if bursts else "one by one"),
        "size": f"{seconds:.0f} s at 200/s",
        "runs": runs,
        "alarm": float(np.mean(alarms)),
        "pass_equal": float(np.mean(passes)),
        "usual": float(np.mean(naive)),
        "usual_what": "Tango without design effect alarms",
    }


def _failures(
    at: NDArray[np.float64], seconds: float, bursts: bool, rng: np.random.Generator
) -> NDArray[np.bool_]:
    if not bursts:
        return rng.random(len(at)) < 0.005
    failed = np.zeros(len(at), dtype=bool)
    # half a second in which every fifth request fails, once in twenty seconds
    for begin in rng.uniform(0, seconds, rng.poisson(seconds / 20)):
        failed |= (at >= begin) & (at < begin + 0.5) & (rng.random(len(at)) < 0.2)
    return failed
