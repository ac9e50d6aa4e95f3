"""False alarms, wrong PASS and power of the gates on scores, paired by row, beside the unpaired test.

Rows of two classes. A row's score is the true class's shift, a part that both versions share, and one of
their own; probabilities are what the score says of the class. The candidate at the margin is noisier by as
much as costs the margin, which a root search over a million rows finds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import expit

from loadtest.judge.score_tests import COMMON
from loadtest.stats import discrimination, losses, means
from loadtest.stats.estimate import Estimate

ALPHA = 0.05
MARGINS = {"roc_auc": 0.02, "average_precision": 0.04, "log_loss": 0.02, "brier_score": 0.005}
CELLS = ((200, 0.1), (200, 0.5), (1_000, 0.01), (1_000, 0.1), (1_000, 0.5), (10_000, 0.01), (10_000, 0.1))
"""Rows, and the share of positive ones; 200 rows with 1% have two of them, and decide nothing."""
SHIFT, OWN = 1.5, 0.3
TRUTH = 500_000
"""Rows of each class behind the candidate's noise."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Every metric in every cell, from four times as many runs, which are quick."""
    return [
        cell(name, *size, 4 * runs, seed)
        for name in MARGINS
        for size in CELLS
        # with fewer positive rows, such a gate is refused
        if name != "average_precision" or size[1] >= COMMON
    ]


def cell(name: str, rows: int, share: float, runs: int, seed: int) -> dict[str, Any]:
    """Equal versions, and a candidate that is worse by the margin."""
    rng = np.random.default_rng([seed, 14, rows, round(1000 * share), *map(ord, name)])
    margin, worse = MARGINS[name], noise_at_margin(name, share)
    sign = 1.0 if name in ("log_loss", "brier_score") else -1.0
    alarm = wrong = passed = unpaired = measured = 0
    while measured < runs:
        positive = rng.random(rows) < share
        if not 2 <= positive.sum() <= rows - 2:
            continue
        measured += 1
        equal = draw(positive, share, 0.0, rng)
        harm = _harm(estimate(name, positive, *equal), sign)
        alarm += harm[0] > 0
        passed += harm[1] < margin
        unpaired += _harm(estimate(name, positive, *equal, paired=False), sign)[1] < margin
        at_margin = draw(positive, share, worse, rng)
        wrong += _harm(estimate(name, positive, *at_margin), sign)[1] < margin
    return {
        "what": f"{name} within {margin:g}",
        "size": f"{rows:,} rows, {share:.0%} positive",
        "runs": runs,
        "alarm": alarm / runs,
        "pass_equal": passed / runs,
        "wrong_pass": wrong / runs,
        "usual": unpaired / runs,
    }


def _harm(found: Estimate, sign: float) -> tuple[float, float]:
    low, high = sorted(sign * end for end in found.interval(ALPHA))
    return low, high


def draw(positive: Flags, share: float, noise: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Probabilities by stable and by the candidate; ``noise`` is the candidate's, beyond what stable has."""
    shared = SHIFT * positive + rng.normal(size=len(positive))
    stable = shared + OWN * rng.normal(size=len(positive))
    candidate = shared + math.hypot(OWN, noise) * rng.normal(size=len(positive))
    # the chance of the positive class given a score as noisy as stable's
    slope, prior = SHIFT / (1 + OWN**2), math.log(share / (1 - share))
    return expit(slope * (stable - SHIFT / 2) + prior), expit(slope * (candidate - SHIFT / 2) + prior)


def estimate(
    name: str, positive: Flags, stable: Floats, candidate: Floats, *, paired: bool = True
) -> Estimate:
    """What the judge makes of them; see ``loadtest.judge.score_tests``."""
    if name in ("roc_auc", "average_precision"):
        metric = discrimination.roc_auc if name == "roc_auc" else discrimination.average_precision
        s, c = metric(positive, stable), metric(positive, candidate)
        influence = discrimination.contrast(s.influence, c.influence, paired=paired)
        reach = abs(c.value - (0.5 if name == "roc_auc" else float(positive.mean())))
        rarest = int(min(positive.sum(), (~positive).sum()))
        return discrimination.estimate(c.value - s.value, influence, rarest, reach)
    one, other = (_losses(name, positive, scores) for scores in (stable, candidate))
    return means.difference(one, other, paired=paired, relative=False)


def _losses(name: str, positive: Flags, scores: Floats) -> Floats:
    loss = losses.log_loss if name == "log_loss" else losses.brier_score
    return loss(np.column_stack([1 - scores, scores]), positive.astype(np.intp))


@lru_cache
def noise_at_margin(name: str, share: float) -> float:
    """The candidate's noise that costs the margin."""
    positive = np.arange(2 * TRUTH) < TRUTH

    def excess(noise: float) -> float:
        scores = draw(positive, share, noise, np.random.default_rng(14))
        stable, candidate = (_value(name, positive, share, each) for each in scores)
        return abs(candidate - stable) - MARGINS[name]

    return float(optimize.brentq(excess, 0.0, 5.0, xtol=1e-3))


def _value(name: str, positive: Flags, share: float, scores: Floats) -> float:
    """The metric where a ``share`` of all rows is positive, from as many rows of each class."""
    if name == "roc_auc":
        return discrimination.roc_auc(positive, scores).value
    if name == "average_precision":
        hit = positive[np.argsort(-scores)]
        hits, others = share * np.cumsum(hit), (1 - share) * np.cumsum(~hit)
        return float((hits / (hits + others))[hit].mean())
    values = _losses(name, positive, scores)
    return share * float(values[positive].mean()) + (1 - share) * float(values[~positive].mean())
