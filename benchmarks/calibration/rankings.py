"""False alarms, wrong PASS and power of the gates on ranked lists, paired by row, beside the unpaired test.

Rows want some items of a catalogue. An item's score is the shift of those that are wanted, a part that both
versions share, and one of their own; a list is the ten best scores. The candidate at the margin is noisier by
as much as costs the margin, which a root search over half a million rows finds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from loadtest.judge.ranking_tests import difference
from loadtest.stats import rankings
from loadtest.stats.estimate import Estimate
from loadtest.stats.proportions import IndependentDifference, PairedDifference

ALPHA = 0.05
MARGIN, K = 0.02, 10
SIZES = (200, 1_000, 10_000)
KINDS = {"one item": 1, "1 to 4 items": 4}
"""The most items that a row wants; of several, the gains are 1 to 3."""
METRICS = {"one item": ("ndcg", "mrr", "hit"), "1 to 4 items": ("ndcg", "mrr", "recall", "map", "hit")}
"""Of one item, recall is hit, and average precision is the reciprocal rank."""
CATALOGUE = 25
SHIFT, OWN = 1.5, 0.3
TRUTH = 500_000
"""Rows behind the candidate's noise."""

Floats = NDArray[np.float64]
Drawn = NDArray[np.float32]


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Every metric in every cell, from four times as many runs, which are quick."""
    return [row for kind in KINDS for size in SIZES for row in cell(kind, size, 4 * runs, seed)]


def cell(kind: str, rows: int, runs: int, seed: int) -> list[dict[str, Any]]:
    """Equal versions, and a candidate that is worse by the margin; all metrics of the same draws."""
    rng = np.random.default_rng([seed, 15, rows, KINDS[kind]])
    worse = {name: noise_at_margin(name, kind) for name in METRICS[kind]}
    counts = {
        name: dict.fromkeys(("alarm", "pass_equal", "usual", "wrong_pass"), 0) for name in METRICS[kind]
    }
    for _ in range(runs):
        rows_of_run = Rows.draw(rows, KINDS[kind], rng)
        stable, equal = rows_of_run.hits(rows_of_run.own, OWN), rows_of_run.hits(rows_of_run.other, OWN)
        for name in METRICS[kind]:
            one, other = (rows_of_run.values(name, hits) for hits in (stable, equal))
            low, high = _harm(estimate(name, one, other))
            count = counts[name]
            count["alarm"] += low > 0
            count["pass_equal"] += high < MARGIN
            count["usual"] += _harm(estimate(name, one, other, paired=False))[1] < MARGIN
            noisy = rows_of_run.hits(rows_of_run.other, math.hypot(OWN, worse[name]))
            count["wrong_pass"] += _harm(estimate(name, one, rows_of_run.values(name, noisy)))[1] < MARGIN
    return [
        {
            "what": f"{name}@{K} within {MARGIN:g}",
            "size": f"{rows:,} rows, {kind} wanted",
            "runs": runs,
            **{key: count / runs for key, count in counts[name].items()},
        }
        for name in METRICS[kind]
    ]


def _harm(found: Estimate) -> tuple[float, float]:
    low, high = found.interval(ALPHA)
    return -high, -low


def estimate(name: str, stable: Floats, candidate: Floats, *, paired: bool = True) -> Estimate:
    """What the judge makes of them; see ``loadtest.judge.ranking_tests``."""
    if name != "hit":
        return difference(stable, candidate, paired=paired)
    change, rows = candidate - stable, len(stable)
    if paired:
        return PairedDifference(float((change > 0).sum()), float((change < 0).sum()), rows)
    return IndependentDifference(float(candidate.sum()), rows, float(stable.sum()), rows)


class Rows:
    """Rows with what they want, and the parts of all scores.

    Args:
        gain: of each item, 0: not wanted, shape (rows, items); the wanted ones come first.
        parts: of the scores, shape (rows, items): what versions share, stable's own, the candidate's own.
    """

    def __init__(self, gain: Drawn, parts: tuple[Drawn, Drawn, Drawn]) -> None:
        self.gain, (self.shared, self.own, self.other) = gain, parts
        row, item = np.nonzero(gain)
        self.wanted = rankings.Wanted(row, item, gain[row, item].astype(np.float64))

    @classmethod
    def draw(cls, rows: int, most: int, rng: np.random.Generator) -> Rows:
        """As many rows, each of which wants 1 to ``most`` items."""
        wants = np.arange(CATALOGUE) < rng.integers(1, most + 1, rows)[:, None]
        gain = np.where(wants, rng.integers(1, 4, wants.shape) if most > 1 else 1, 0).astype(np.float32)
        shared, own, other = (rng.standard_normal(wants.shape, dtype=np.float32) for _ in range(3))
        return cls(gain, (shared + wants.astype(np.float32) * np.float32(SHIFT), own, other))

    def hits(self, own: Drawn, noise: float) -> rankings.Hits:
        """The wanted items in the lists of a version, whose own part counts ``noise`` times."""
        scores = self.shared + np.float32(noise) * own
        row, item = self.wanted.row, self.wanted.item
        rank = (scores[row] > scores[row, item][:, None]).sum(axis=1)
        order = np.lexsort((rank, row))
        found = rankings.Hits(row[order], np.arange(len(scores)), rank[order], self.wanted.gain[order])
        return found.within(K)

    def values(self, name: str, hits: rankings.Hits) -> Floats:
        """A metric of each row, shape (rows,)."""
        return rankings.METRICS[name](hits, self.wanted, len(self.gain), K)


@lru_cache
def noise_at_margin(name: str, kind: str) -> float:
    """The candidate's noise that costs the margin."""
    rows = Rows.draw(TRUTH, KINDS[kind], np.random.default_rng(15))
    stable = float(rows.values(name, rows.hits(rows.own, OWN)).mean())

    def excess(noise: float) -> float:
        hits = rows.hits(rows.other, math.hypot(OWN, noise))
        return stable - float(rows.values(name, hits).mean()) - MARGIN

    return float(optimize.brentq(excess, 0.0, 5.0, xtol=1e-3))
