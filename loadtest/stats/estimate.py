"""What every test of this package returns: a value, an interval at any level, and a p-value at any margin.

All intervals are two-sided with ``alpha`` on *each* side, so ``alpha = 0.05`` gives a 90% interval whose
upper end is a one-sided 95% bound. An interval and its p-values agree: ``p_above(m) < alpha`` exactly
when the interval at ``alpha`` lies above ``m``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import scipy  # its parts are loaded where they are used: most of a second of every command


class Estimate(Protocol):
    """An estimated quantity with its uncertainty."""

    @property
    def value(self) -> float:
        """The point estimate."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """The ends of the interval, ``alpha`` outside on each side; infinite where unbounded."""

    def p_above(self, margin: float) -> float:
        """One-sided p-value of 'the true value is at most ``margin``': small when it is above."""

    def p_below(self, margin: float) -> float:
        """One-sided p-value of 'the true value is at least ``margin``': small when it is below."""


@dataclass(frozen=True)
class Known:
    """A quantity that was read, not sampled (memory, a count of proven faults): no uncertainty."""

    value: float

    def interval(self, alpha: float) -> tuple[float, float]:  # noqa: ARG002 - the protocol's shape
        """The value itself, twice."""
        return self.value, self.value

    def p_above(self, margin: float) -> float:
        """0 when the value lies above the margin, else 1."""
        return 0.0 if self.value > margin else 1.0

    def p_below(self, margin: float) -> float:
        """0 when the value lies below the margin, else 1."""
        return 0.0 if self.value < margin else 1.0


@dataclass(frozen=True)
class StudentEstimate:
    """An estimate whose error follows Student's t.

    Args:
        value: the point estimate.
        error: its standard error.
        freedom: degrees of freedom.
    """

    value: float
    error: float
    freedom: float

    def interval(self, alpha: float) -> tuple[float, float]:
        """``value`` +/- t(1 - alpha, freedom) standard errors."""
        half = float(scipy.special.stdtrit(self.freedom, 1 - alpha)) * self.error
        return self.value - half, self.value + half

    def p_above(self, margin: float) -> float:
        """The t test of 'at most ``margin``'."""
        return self._tail(self.value - margin)

    def p_below(self, margin: float) -> float:
        """The t test of 'at least ``margin``'."""
        return self._tail(margin - self.value)

    def _tail(self, distance: float) -> float:
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(scipy.special.stdtr(self.freedom, -distance / self.error))


def independent_difference(one: StudentEstimate, other: StudentEstimate) -> StudentEstimate:
    """``other`` minus ``one``, which know nothing of each other.

    Welch 1947, The generalization of 'Student's' problem when several different population variances are
    involved, Biometrika 34: the degrees of freedom.
    """
    parts = [(e.error**2, e.freedom) for e in (one, other)]
    variance = sum(v for v, _ in parts)
    spread = sum(v**2 / freedom for v, freedom in parts)
    freedom = variance**2 / spread if spread else min(f for _, f in parts)
    return StudentEstimate(other.value - one.value, math.sqrt(variance), freedom)


class Inverted(Estimate, Protocol):
    """An estimate without a closed test: its p-values are levels at which its interval touches a margin."""

    def p_above(self, margin: float) -> float:
        """The level at which the interval's lower end is ``margin``."""
        return _level_at(lambda alpha: self.interval(alpha)[0] - margin)

    def p_below(self, margin: float) -> float:
        """The level at which the interval's upper end is ``margin``."""
        return _level_at(lambda alpha: margin - self.interval(alpha)[1])


def _level_at(gap: Callable[[float], float]) -> float:
    """The level at which a gap closes that grows with it."""
    smallest, largest = math.log(1e-12), math.log(0.5)
    if gap(math.exp(smallest)) > 0:
        return 1e-12
    if gap(math.exp(largest)) <= 0:
        return 1.0
    root = scipy.optimize.brentq(lambda log: gap(math.exp(log)), smallest, largest, xtol=1e-6)
    return math.exp(float(root))
