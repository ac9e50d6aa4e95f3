"""Paired bootstrap for metrics that are no shares: value, F1, MAE, R2 and the like.

Every such metric is a function of sums over rows, so rows are resampled as sums: at most ``GROUPS`` random
groups of rows stand for all of them, and a thousand replicates of a million rows are one small matrix
product. Intervals are BCa (Efron 1987, Better bootstrap confidence intervals, JASA 82), with the
acceleration from a jackknife over the same groups. Where an analysis is one of many and needs far tails, the
jackknife itself takes the place of the replicates; and so it does for the errors of a regression, whose few
large values replicates vary too little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import scipy  # its parts are loaded where they are used: most of a second of every command
from numpy.typing import NDArray

from loadtest.stats import means
from loadtest.stats.estimate import Estimate, StudentEstimate, independent_difference

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]
"""From sums over rows, shape (replicates, features), to the metric, shape (replicates,)."""

GROUPS = 1_000
REPLICATES = 4_000


ANYTHING = (-math.inf, math.inf)


@dataclass(frozen=True)
class Unseen:
    """Changes too rare to have been seen: an estimate from rows whose interval never closes quite.

    Args:
        value: the point estimate.
        rows: rows behind the estimate; fractions are fine.
        reach: how far the estimate would move if every row changed its answer. Changes too rare to have been
            seen in ``rows`` rows cannot be resampled, so no interval is narrower than Tango's without any
            discordant row: z^2 / (rows + z^2) of ``reach`` on each side.
        within: the values that are possible at all; no interval ends beyond them.
    """

    value: float
    rows: float
    reach: float
    within: tuple[float, float] = field(default=ANYTHING, kw_only=True)

    def widen(self, low: float, high: float, alpha: float) -> tuple[float, float]:
        """The ends of an interval that allows for them."""
        squared = float(scipy.special.ndtri(alpha)) ** 2
        unseen = self.reach * squared / (self.rows + squared)
        lowest, highest = self.within
        low, high = min(low, self.value - unseen), max(high, self.value + unseen)
        return max(low, lowest), min(high, highest)

    def bridges(self, distance: float) -> float:
        """The level at which they could bridge ``distance``."""
        if distance <= 0:
            return 1.0
        if distance >= self.reach:
            return 0.0
        return float(scipy.special.ndtr(-math.sqrt(self.rows * distance / (self.reach - distance))))


@dataclass(frozen=True)
class JackknifeEstimate(Unseen):
    """A point estimate with its standard error from a delete-one-group jackknife, and Student's t.

    Args:
        error: the standard error; of a ratio, its logarithm's.
        freedom: degrees of freedom.
        ratio: the value is a ratio of two positive numbers less 1, whose logarithm follows Student's t.
    """

    error: float
    freedom: float
    ratio: bool = field(default=False, kw_only=True)

    @property
    def _student(self) -> StudentEstimate:
        return StudentEstimate(self._scale(self.value), self.error, self.freedom)

    def _scale(self, value: float) -> float:
        if not self.ratio:
            return value
        return math.log1p(value) if value > -1 else -math.inf

    def interval(self, alpha: float) -> tuple[float, float]:
        """Student's ends."""
        low, high = self._student.interval(alpha)
        if self.ratio:
            with np.errstate(over="ignore"):
                low, high = float(np.expm1(low)), float(np.expm1(high))
        return self.widen(low, high, alpha)

    def p_below(self, margin: float) -> float:
        """The level at which the interval's upper end is ``margin``."""
        return max(self._student.p_below(self._scale(margin)), self.bridges(margin - self.value))

    def p_above(self, margin: float) -> float:
        """The level at which the interval's lower end is ``margin``."""
        return max(self._student.p_above(self._scale(margin)), self.bridges(self.value - margin))


@dataclass(frozen=True)
class BootstrapEstimate(Unseen):
    """A point estimate with its bootstrap replicates.

    Args:
        replicates: shape (b,), ascending.
        acceleration: BCa's correction for a standard error that changes with the value.
        corrected: for the replicates' bias, too, which of maxima does harm.
    """

    replicates: Floats
    acceleration: float
    corrected: bool = field(default=True, kw_only=True)

    @property
    def _bias(self) -> float:
        if not self.corrected:
            return 0.0
        below = np.mean(self.replicates < self.value) + np.mean(self.replicates == self.value) / 2
        return float(scipy.special.ndtri(self._inside(float(below))))

    def _inside(self, share: float) -> float:
        edge = 1 / (len(self.replicates) + 1)
        return min(max(share, edge), 1 - edge)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The BCa ends."""
        z = self._bias + np.array([-1.0, 1.0]) * -float(scipy.special.ndtri(alpha))
        low, high = (
            float(np.quantile(self.replicates, self._inside(float(scipy.special.ndtr(self._bias + shift)))))
            for shift in z / (1 - self.acceleration * z)
        )
        return self.widen(low, high, alpha)

    def p_below(self, margin: float) -> float:
        """The level at which the interval's upper end is ``margin``; never below 1 / (b + 1)."""
        return max(1 - self._level(margin), self.bridges(margin - self.value))

    def p_above(self, margin: float) -> float:
        """The level at which the interval's lower end is ``margin``; never below 1 / (b + 1)."""
        return max(self._level(margin), self.bridges(self.value - margin))

    def _level(self, margin: float) -> float:
        below = np.mean(self.replicates < margin) + np.mean(self.replicates == margin) / 2
        z = float(scipy.special.ndtri(self._inside(float(below)))) - self._bias
        return self._inside(float(scipy.special.ndtr(z / (1 + self.acceleration * z) - self._bias)))


def groups(rows: int) -> NDArray[np.intp]:
    """A random group for each row, shape (rows,): at most ``GROUPS`` of them, of nearly equal size."""
    if rows <= GROUPS:
        return np.arange(rows)
    return np.random.default_rng(0).permutation(rows) % GROUPS


def difference(
    stable: Floats,
    candidate: Floats,
    metric: Metric,
    *,
    relative: bool,
    paired: bool,
    rows: float,
    reach: float,
    resample: bool = True,
    errors: bool = False,
) -> Estimate:
    """The estimate of metric(candidate) - metric(stable), or of metric(candidate) / metric(stable) - 1.

    Args:
        stable: shape (groups, features): what each group of rows adds to the sums behind ``metric``.
        candidate: the same for the candidate; the same groups in the same order when ``paired``.
        metric: from sums to the metric.
        relative: the share of stable's value instead of the difference.
        paired: resample both versions together.
        rows: rows behind the sums.
        reach: see ``Unseen``.
        resample: bootstrap; False: the jackknife alone, for many analyses.
        errors: ``metric`` is of a regression's errors, where few rows may decide: Student's t.
    """

    def contrast(s: Floats, c: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return metric(c) / metric(s) - 1 if relative else metric(c) - metric(s)

    s_sum, c_sum = stable.sum(axis=0, keepdims=True), candidate.sum(axis=0, keepdims=True)
    value = float(contrast(s_sum, c_sum)[0])
    without = (
        [contrast(s_sum - stable, c_sum - candidate)]
        if paired
        else [contrast(s_sum - stable, c_sum), contrast(s_sum, c_sum - candidate)]
    )
    if errors or not resample:
        return _jackknifed(value, without, rows, reach, ratio=errors and relative and value > -1)
    s_times = draws(len(stable), 0)
    c_times = s_times if paired else draws(len(candidate), 1)
    replicates = contrast(s_times @ stable, c_times @ candidate)
    return _estimate(value, replicates, np.concatenate(without), rows, reach)


def level(
    sums: Floats, metric: Metric, *, rows: float, reach: float, resample: bool = True
) -> JackknifeEstimate | BootstrapEstimate:
    """One version's own metric; ``sums``, shape (groups, features), and the rest as in ``difference``."""
    whole = sums.sum(axis=0, keepdims=True)
    value, without = float(metric(whole)[0]), metric(whole - sums)
    if not resample:
        return _jackknifed(value, [without], rows, reach)
    return _estimate(value, metric(draws(len(sums), 0) @ sums), without, rows, reach)


@lru_cache(maxsize=4)
def draws(count: int, seed: int) -> Floats:
    """How often each of ``count`` groups is drawn in each replicate, shape (replicates, count)."""
    # as rng.multinomial with equal chances, in a tenth of its time
    drawn = np.random.default_rng(seed).integers(count, size=(REPLICATES, count), dtype=np.int32)
    drawn += np.arange(REPLICATES, dtype=np.int32)[:, None] * count
    times = np.bincount(drawn.ravel(), minlength=REPLICATES * count)
    return times.reshape(REPLICATES, count).astype(np.float64)


def _jackknifed(
    value: float, without: list[Floats], rows: float, reach: float, *, ratio: bool = False
) -> JackknifeEstimate:
    """From the metric without each group, an array per version (or one for both, of pairs).

    The degrees of freedom are those of ``means``: a few groups with large values count as few.
    """
    parts = []
    for each in without:
        with np.errstate(divide="ignore"):
            scaled = np.log1p(each) if ratio else each
        finite = scaled[np.isfinite(scaled)]
        most = len(finite) - 1
        if most < 1:
            return JackknifeEstimate(value, rows, reach, math.inf, 1, ratio=ratio)
        pseudo = most * (finite - finite.mean())
        parts.append(StudentEstimate(0.0, means.standard_error(pseudo), means.freedom(pseudo, most)))
    both = parts[0] if len(parts) == 1 else independent_difference(*parts)
    return JackknifeEstimate(value, rows, reach, both.error, both.freedom, ratio=ratio)


def _estimate(
    value: float, replicates: Floats, without: Floats, rows: float, reach: float
) -> BootstrapEstimate:
    finite = np.sort(replicates[np.isfinite(replicates)])
    without = without[np.isfinite(without)]
    influence = without.mean() - without if len(without) else without
    # scaled by a power of two, which rounds nothing, or cubes of large numbers would overflow
    influence = np.ldexp(influence, -np.frexp(np.max(np.abs(influence), initial=0.0))[1])
    scale = float(np.sum(influence**2)) ** 1.5
    acceleration = float(np.sum(influence**3)) / (6 * scale) if scale > 0 else 0.0
    replicates = finite if len(finite) else np.array([value])
    return BootstrapEstimate(value, rows, reach, replicates, acceleration)
