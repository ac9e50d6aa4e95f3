"""Quantiles of latency where a time-out hides them: what took longer is known only to have taken longer.

A request that was given up after the time-out, or refused at once, says of its latency only that a usable
answer would have taken at least the time-out: the value is right-censored. A quantile among such requests is
"at least the time-out". What can still be tested is a threshold below it: the candidate's quantile q is above
the threshold exactly when more than 1 - q of its requests exceed it, and whether a request exceeds a
threshold up to the time-out is known of every one (Brookmeyer and Crowley 1982, A confidence interval for the
median survival time, Biometrics 38: an interval by inverting a sign test). Shares of time blocks are nearly
independent, so the jackknife over blocks gives the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loadtest.stats.estimate import StudentEstimate
from loadtest.stats.quantiles import Blocked, jackknife

Floats = NDArray[np.float64]
_HALVINGS = 60


def reaches_censored(values: Blocked, q: float, limit: float) -> bool:
    """Whether the quantile, of all values or without any one block, lies among values of ``limit`` or more.

    Args:
        values: in time blocks; a censored one is at least ``limit``.
        q: between 0 and 1.
        limit: in the unit of the values.
    """
    first = values.values.below(limit)
    total = len(values.values)
    censored = np.bincount(values.block[first:], minlength=values.blocks)
    each = values.counts
    left = np.append(total - each, total)
    known = left - np.append(total - first - censored, total - first)
    return bool(np.any((left > 0) & (np.ceil(q * (left - 1)) >= known)))


@dataclass(frozen=True)
class CensoredQuantile:
    """The candidate's quantile against a threshold, as an ``Estimate`` that knows what the time-out hides.

    It can lie above a threshold only where that is at most the time-out, and only where ``reference`` is
    known; it can lie below any.

    Args:
        values: the candidate's latencies in time blocks, seconds; a censored one is at least ``limit``.
        q: the quantile.
        limit: the time-out, seconds.
        scale: of margins: ``ratio`` is ln(quantile / reference), ``difference`` is quantile - reference.
        reference: shape (1 + blocks,): what the quantile is held against, and the same without each block:
            stable's own quantile in seconds, or 1 for a level.
        known: the reference does not lie in the censored part; else it is at least the one given.
        stretch: factor of the jackknife's standard error.
        caution: divisor of its degrees of freedom.
    """

    values: Blocked
    q: float
    limit: float
    scale: Literal["ratio", "difference"]
    reference: Floats
    known: bool
    stretch: float = 1.0
    caution: float = 1.0

    @property
    def value(self) -> float:
        """The quantile on the scale of the margins; NaN where the time-out hides it."""
        quantile = self.values.quantile(self.q)
        if quantile >= self.limit or not self.known:
            return math.nan
        return self._margin_of(quantile)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The margins that the test does not refuse; infinite where the time-out hides the end."""
        first = self._margin_of(float(self.values.values[0])) - 1e-9
        last = self._margin_of(self.limit)
        low = (
            self._edge(first, last, lambda margin: self.p_above(margin) < alpha) if self.known else -math.inf
        )
        if self.p_below(last) >= alpha:
            return low, math.inf
        return low, self._edge(first, last, lambda margin: self.p_below(margin) >= alpha)

    def p_above(self, margin: float) -> float:
        """One-sided p-value of 'the quantile is at most ``margin``'; 1 where the time-out hides it."""
        if not self.known or self._threshold(margin)[0] > self.limit:
            return 1.0
        return self._excess(margin).p_above(0.0)

    def p_below(self, margin: float) -> float:
        """One-sided p-value of 'the quantile is at least ``margin``'."""
        return self._excess(margin).p_below(0.0)

    def _margin_of(self, seconds: float) -> float:
        reference = float(self.reference[0])
        return math.log(seconds / reference) if self.scale == "ratio" else seconds - reference

    def _threshold(self, margin: float) -> Floats:
        if self.scale == "ratio":
            return np.asarray(self.reference * math.exp(margin))
        return self.reference + margin

    def _excess(self, margin: float) -> StudentEstimate:
        """By how much the share of requests beyond the threshold exceeds 1 - q."""
        threshold = np.minimum(self._threshold(margin), self.limit)
        below = np.array([self.values.values.below(end, equal=True) for end in threshold.tolist()])
        # what was given up at the time-out is beyond it
        hidden = self.values.values.below(self.limit)
        below = np.where(threshold >= self.limit, hidden, below)
        total, counts = len(self.values.values), self.values.counts.tolist()
        whole = (total - int(below[0])) / total
        without = np.array(
            [
                (total - at - own + self.values.before(block, at)) / max(total - own, 1)
                for block, (at, own) in enumerate(zip(below[1:].tolist(), counts, strict=True))
            ]
        )
        estimate = jackknife(whole, without, self.values.strata)
        return StudentEstimate(
            whole - (1 - self.q), self.stretch * estimate.error, estimate.freedom / self.caution
        )

    @staticmethod
    def _edge(low: float, high: float, holds: Callable[[float], bool]) -> float:
        """The last margin between two at which something holds that holds at the first."""
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        return low
