"""The best precision at a recall, and the best recall at a precision, over all thresholds of a score.

Definitions are those of TorchMetrics' ``BinaryPrecisionAtFixedRecall`` and ``BinaryRecallAtFixedPrecision``;
equal scores are one threshold. A maximum over thresholds has no influence per row, so it is bootstrapped:
groups of rows are drawn, and of each draw the best threshold is found anew. A version's own level also has to
hold by a count (``OwnLevel``): of a few rows the best threshold looks too good, and so do all their draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

from loadtest.stats.bootstrap import BootstrapEstimate, draws, groups

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Kind = Literal["precision", "recall"]

THRESHOLDS = 512
"""How many are tried in each draw: the scores of positive rows, or quantiles of them."""
_REPLICATES = 1_000
_ROUNDING = 1e-12


class Tallies(NamedTuple):
    """Rows by group and by the threshold that they first reach, shape (groups, thresholds + 1) each.

    Rows below all thresholds are in the last column.
    """

    positive: NDArray[np.float32]
    negative: NDArray[np.float32]


class Counted(NamedTuple):
    """How many rows lie above a threshold, from the highest positive row down, shape (positive rows,) each.

    At the threshold of the i-th, ``hits[i]`` positive rows and ``alarms[i]`` negative ones are at least as
    high.
    """

    hits: Floats
    alarms: Floats


@dataclass(frozen=True)
class OwnLevel:
    """One version's own best, with an interval that is as wide as draws and counts ask for.

    Either end is that of the draws or of their mirror image about ``value``, whichever is further away: draws
    of a maximum are larger than it by as much as it is too large. The lower end is also the one by counts.
    Rows above the threshold of a given recall are positive with the chance of the precision there (Clopper
    and Pearson 1934), so a recall is shown where one of at least that size has a precision that is.

    Args:
        drawn: the draws.
        counted: all rows.
        least: what the other of the two is held at.
        kind: what is maximised.
    """

    drawn: BootstrapEstimate
    counted: Counted
    least: float
    kind: Kind

    @property
    def value(self) -> float:
        """The best of all rows."""
        return self.drawn.value

    def interval(self, alpha: float) -> tuple[float, float]:
        """The ends, within 0 and 1."""
        low, high = self.drawn.interval(alpha)
        mirrored_low, mirrored_high = 2 * self.value - high, 2 * self.value - low
        lowest = max(0.0, min(low, mirrored_low, self._counted_low(alpha)))
        return lowest, min(1.0, max(high, mirrored_high))

    def p_above(self, margin: float) -> float:
        """The level at which the lower end is ``margin``."""
        by_draws = max(self.drawn.p_above(margin), self.drawn.p_below(2 * self.value - margin))
        return max(by_draws, self._counted_p(margin))

    def p_below(self, margin: float) -> float:
        """The level at which the upper end is ``margin``."""
        return max(self.drawn.p_below(margin), self.drawn.p_above(2 * self.value - margin))

    @property
    def above(self) -> int:
        """The positive rows above the threshold that decides."""
        if self.kind == "precision":
            return int(self.counted.hits[self._held])
        return round(self.value * len(self.counted.hits))

    @property
    def _held(self) -> int:
        """The first positive row that reaches the recall which is held."""
        return int(np.argmax(self.counted.hits >= self.least * len(self.counted.hits) - _ROUNDING))

    @property
    def _p_by_count(self) -> Floats:
        """The chance of so few negative rows at each threshold, where the precision is the one held."""
        return np.asarray(scipy.special.betainc(self.counted.hits, self.counted.alarms + 1, self.least))

    def _counted_low(self, alpha: float) -> float:
        hits, alarms = self.counted
        if self.kind == "precision":
            return float(scipy.special.betaincinv(hits[self._held], alarms[self._held] + 1, alpha))
        shown = self._p_by_count < alpha
        return float(hits[shown].max(initial=0.0)) / len(hits)

    def _counted_p(self, margin: float) -> float:
        hits, alarms = self.counted
        if self.kind == "precision":
            inside = min(max(margin, 0.0), 1.0)
            return float(scipy.special.betainc(hits[self._held], alarms[self._held] + 1, inside))
        beyond = hits / len(hits) > margin
        return float(self._p_by_count[beyond].min(initial=1.0))


def counted(positive: Flags, score: Floats) -> Counted:
    """The rows above each positive one; ``positive`` and ``score`` as in ``best``."""
    scores = np.sort(score[positive])[::-1]
    hits, alarms = (
        len(side) - np.searchsorted(np.sort(side), scores, "left")
        for side in (score[positive], score[~positive])
    )
    return Counted(hits.astype(np.float64), alarms.astype(np.float64))


def best(positive: Flags, score: Floats, least: float, kind: Kind) -> float:
    """The best ``kind`` where the other of the two is at least ``least``; of recall 0 where none is.

    ``least`` is in (0, 1], and at least one row is positive.
    """
    scores = np.unique(score[positive])[::-1]
    return float(_best(*_counts(positive, score, scores), least, kind))


def tallies(positive: Flags, score: Floats) -> Tallies:
    """What the draws are made of: the rows in at most a thousand groups, and at most ``THRESHOLDS``."""
    scores = np.unique(score[positive])[::-1]
    if len(scores) > THRESHOLDS:
        scores = np.unique(np.quantile(score[positive], np.linspace(0, 1, THRESHOLDS), method="lower"))[::-1]
    group, place = groups(len(score)), _places(score, scores)
    count, width = int(group.max()) + 1, len(scores) + 1
    flat = group * width + place
    sides = (np.bincount(flat[side], minlength=count * width) for side in (positive, ~positive))
    return Tallies(*(side.reshape(count, width).astype(np.float32) for side in sides))


def replicates(of: Tallies, least: float, kind: Kind, seed: int = 0) -> Floats:
    """The metric of each draw minus that of all rows at the same thresholds, shape (replicates,).

    NaN of a draw without a positive row. Two versions of the same rows get the same draws by the same seed.
    """
    times = draws(len(of.positive), seed)[:_REPLICATES].astype(np.float32)
    drawn = _best(times @ of.positive, times @ of.negative, least, kind)
    return np.asarray(drawn - _best(of.positive.sum(axis=0), of.negative.sum(axis=0), least, kind))


def _places(score: Floats, descending: Floats) -> NDArray[np.intp]:
    """The first of the thresholds that each score reaches."""
    return np.searchsorted(-descending, -score)


def _counts(positive: Flags, score: Floats, descending: Floats) -> tuple[Floats, Floats]:
    place, width = _places(score, descending), len(descending) + 1
    return tuple(np.bincount(place[side], minlength=width) * 1.0 for side in (positive, ~positive))  # type: ignore[return-value]


def _best(positive: NDArray[np.floating], negative: NDArray[np.floating], least: float, kind: Kind) -> Floats:
    """From rows per threshold, the last axis, to the metric; NaN where no row is positive."""
    hits = np.cumsum(positive, axis=-1, dtype=np.float64)
    answered = hits + np.cumsum(negative, axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        recall = hits / hits[..., -1:]
        precision = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
    held, wanted = (recall, precision) if kind == "precision" else (precision, recall)
    found: Floats = np.where(held >= least - _ROUNDING, wanted, 0.0).max(axis=-1)
    return np.where(hits[..., -1] > 0, found, np.nan)
