"""How sure an analysis of a run must be: once, at its end, or at every moment of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loadtest.stats.estimate import Estimate, Known, StudentEstimate
from loadtest.stats.sequential import PairedBets, anytime_p, level_at


@dataclass(frozen=True)
class Level:
    """The level of an analysis: ``Level(0.05)`` for one at the end, ``Level(0.05, seconds=42)`` for one of
    many.

    Args:
        alpha: chance, on each side, that an interval misses the truth; of many analyses, that any of them
            does.
        seconds: of load that the analysis sees, when there are others; None: it is the only one.
    """

    alpha: float
    seconds: float | None = None

    @property
    def words(self) -> str:
        """How sure, as a person reads it."""
        return f"with {1 - self.alpha:.0%} confidence" + (
            "" if self.seconds is None else " at every analysis"
        )

    def interval(self, estimate: Estimate) -> tuple[float, float]:
        """The interval of an estimate at this level."""
        if self._holds_anyway(estimate):
            return estimate.interval(self.alpha)
        return _cautious(estimate).interval(level_at(self.seconds or 0.0, self.alpha))

    def p_above(self, estimate: Estimate, margin: float) -> float:
        """The p-value of 'at most ``margin``' at this level."""
        if self._holds_anyway(estimate):
            return estimate.p_above(margin)
        return anytime_p(_cautious(estimate).p_above(margin), self.seconds or 0.0)

    def p_below(self, estimate: Estimate, margin: float) -> float:
        """The p-value of 'at least ``margin``' at this level."""
        if self._holds_anyway(estimate):
            return estimate.p_below(margin)
        return anytime_p(_cautious(estimate).p_below(margin), self.seconds or 0.0)

    def _holds_anyway(self, estimate: Estimate) -> bool:
        return self.seconds is None or isinstance(estimate, Known | PairedBets)


def _cautious(estimate: Estimate) -> Estimate:
    """An estimate whose standard error is estimated anew at each analysis, of which the smallest counts.

    Half the degrees of freedom allow for that: found by simulation, see docs/statistics.md.
    """
    if isinstance(estimate, StudentEstimate):
        return replace(estimate, freedom=estimate.freedom / 2)
    return estimate
