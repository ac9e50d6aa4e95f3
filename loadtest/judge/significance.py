"""How sure the judge must be: at the end of a run, at every moment of it, and over several gates at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadtest.stats.censored import CensoredQuantile
from loadtest.stats.estimate import Estimate, Known, StudentEstimate
from loadtest.stats.sequential import PairedBets, anytime_p, level_at
from loadtest.stats.share_bets import ShareBets


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

    def p_beyond(self, estimate: Estimate, margin: float, *, below: bool) -> float:
        """The p-value of 'not ``below`` the margin' at this level, or of 'not above' it."""
        anyway = self._holds_anyway(estimate)
        tested = estimate if anyway else _cautious(estimate)
        p = tested.p_below(margin) if below else tested.p_above(margin)
        return p if anyway else anytime_p(p, self.seconds or 0.0)

    def _holds_anyway(self, estimate: Estimate) -> bool:
        return self.seconds is None or isinstance(estimate, Known | PairedBets | ShareBets)


def _cautious(estimate: Estimate) -> Estimate:
    """An estimate whose standard error is estimated again at each analysis, of which the smallest counts.

    Half the degrees of freedom allow for that: found by simulation, see docs/statistics.md.
    """
    if isinstance(estimate, CensoredQuantile):
        return replace(estimate, caution=2 * estimate.caution)
    if isinstance(estimate, StudentEstimate):
        return replace(estimate, freedom=estimate.freedom / 2)
    return estimate


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses are refused with a chance of at most ``alpha`` of one false refusal among them all.

    Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    """
    refused = [False] * len(p_values)
    for done, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] > alpha / (len(p_values) - done):
            break
        refused[index] = True
    return refused
