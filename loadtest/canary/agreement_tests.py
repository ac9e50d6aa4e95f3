"""Agreement in the shadow: does the candidate answer users as stable does? Without labels, by bets.

A user is one trial, by the first request of theirs that stable answered; a request that names no user is a
trial of its own. A trial counts for the share of its rows on which the candidate's answer is stable's, and
for nothing where the candidate gave none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeGuard

import numpy as np

from contract.label_text import label_text
from contract.shadow import MOST_ITEMS
from loadtest.canary.counts import Pair
from loadtest.canary.share_tests import Bursts
from loadtest.data.baseline import AGREEMENT_TOLERANCE, Nearness
from loadtest.experiment.gate import Gate
from loadtest.stats.share_bets import ShareBets

_ROUNDING = 1 + 1e-9
_SINGLE = 1e-6
"""Scores come in single precision."""
SPREAD_FROM = 50
"""Users whose numbers say how far stable's answers spread, before any number is compared."""
SPREAD_OF = 1000
"""The most users that say it, and the most requests of nobody in particular."""


class _Tally:
    """How many trials are alike so far, and of how many."""

    def __init__(self) -> None:
        self.alike, self.trials = 0.0, 0
        self._bursts = Bursts(streams=1)

    @property
    def bets(self) -> ShareBets | None:
        """What is known of the share of trials that agree; None before the first.

        Answers depend on their rows alone, but missing ones come in bursts, and then all trials count for
        fewer.
        """
        effect = self._bursts.effect
        return ShareBets(self.alike / effect, self.trials / effect) if self.trials else None

    def _count(self, pairs: Sequence[Pair], shares: Iterable[float]) -> None:
        """Trials of one scrape, each with the share of its rows that are alike."""
        self.alike += sum(shares)
        self.trials += len(pairs)
        self._bursts.scale([sum(pair.candidate is None for pair in pairs)], [len(pairs)])


class Agreement(_Tally):
    """How many trials agree so far, and of how many, by their labels.

    Args:
        within: how far apart numbers may lie to be alike; None: as follows.

    Numbers are alike where they lie within 0.1% of the spread of stable's: of one number of each of the first
    ``SPREAD_OF`` users, and as long as fewer than ``SPREAD_FROM`` are named, of each request of nobody in
    particular too. They wait until there are so many, and until they differ. Everything else is alike where
    ``contract.label_text`` writes it alike.
    """

    def __init__(self, within: float | None = None) -> None:
        super().__init__()
        self._within = within
        self._waiting: list[Pair] = []
        self._named: list[float] = []
        self._nameless: list[float] = []
        self._near: Nearness | None = None

    def add(self, pairs: Iterable[Pair]) -> None:
        """Take in what one scrape saw."""
        came = list(pairs)
        self._waiting += came
        if self._within is None and not self._know_spread(came):
            return
        ready, self._waiting = self._waiting, []
        self._count(ready, map(self._alike, ready))

    def _know_spread(self, pairs: Iterable[Pair]) -> bool:
        """Whether numbers can be compared, if there are any."""
        for pair in pairs:
            number = next(filter(_is_number, pair.stable), None)
            known = self._named if pair.named else self._nameless
            if number is not None and len(known) < SPREAD_OF:
                known.append(number)
        # a stranger makes as many requests as they like, and then decides what counts as alike
        known = self._named if len(self._named) >= SPREAD_FROM else [*self._named, *self._nameless]
        if not known:
            return True
        if len(known) < SPREAD_FROM:
            return False
        self._near = Nearness(np.asarray(known, np.float64), AGREEMENT_TOLERANCE)
        return self._near.apart > 0 or len(known) >= SPREAD_OF

    def _alike(self, pair: Pair) -> float:
        if pair.candidate is None:
            return 0.0
        # a row that the candidate says nothing of is not alike
        both = zip(pair.stable, pair.candidate, strict=False)
        return sum(self._same(*labels) for labels in both) / len(pair.stable)

    def _same(self, stable: object, candidate: object) -> bool:
        if self._within is not None:
            if not isinstance(stable, float | int) or not isinstance(candidate, float | int):
                return False
            return abs(candidate - stable) <= self._within * _ROUNDING
        if _is_number(stable) and _is_number(candidate) and self._near is not None:
            if not self._near.apart:
                return math.isclose(stable, candidate, rel_tol=_SINGLE)
            one, other = np.asarray([candidate], np.float64), np.asarray([stable], np.float64)
            return bool(self._near.of(one, other)[0])
        return label_text(stable) == label_text(candidate)


class ListAgreement(_Tally):
    """How many trials agree so far, and of how many, by their scores or ranked lists.

    A trial of which stable told no scores, or no lists, is none: it came before these were asked for. What
    the candidate did not tell of one is not alike.

    Args:
        alike: from a pair to the share of its rows that are alike, in [0, 1]; None: stable told none.
    """

    def __init__(self, alike: Callable[[Pair], float | None]) -> None:
        super().__init__()
        self._alike = alike

    def add(self, pairs: Iterable[Pair]) -> None:
        """Take in what one scrape saw."""
        told = [(pair, share) for pair in pairs if (share := self._alike(pair)) is not None]
        self._count([pair for pair, _ in told], (share for _, share in told))


def _within(bound: float, *, labels: bool) -> Callable[[Pair], float | None]:
    """Scores of no class further apart than ``bound``, and where ``labels`` are asked for the same ones."""

    def alike(pair: Pair) -> float | None:
        stable, candidate = pair.scores
        if stable is None:
            return None
        if candidate is None or pair.candidate is None or len(pair.candidate) != len(pair.stable):
            return 0.0
        apart = np.abs(candidate.astype(np.float64) - stable).max(axis=1)
        same = apart <= bound + _SINGLE
        if labels:
            same &= [label_text(s) == label_text(c) for s, c in zip(pair.stable, pair.candidate, strict=True)]
        return float(same.mean())

    return alike


def _overlap(k: int) -> Callable[[Pair], float | None]:
    """The share of the first ``k`` items that both lists have, whatever their order."""

    def alike(pair: Pair) -> float | None:
        stable, candidate = pair.rankings
        if stable is None:
            return None
        if candidate is None or len(candidate) != len(stable):
            return 0.0
        firsts = [(set(s[:k]), set(c[:k])) for s, c in zip(stable, candidate, strict=True)]
        shares = [len(s & c) / most if (most := max(len(s), len(c))) else 1.0 for s, c in firsts]
        return float(np.mean(shares))

    return alike


class AgreementTest:
    """Evidence that a gate on the agreement holds, or does not; both hold however often they are looked at.

    A quantile of how far values moved is such a share, too: ``score_shift[0.9] <= 5`` says that at least 90%
    of the values lie within 5.

    Args:
        gate: ``agreement >= 99%``, ``agreement[scores=0.01] >= 99%``, ``agreement@10 >= 90%``, or
            ``score_shift[0.9] <= 0.05``.
        alpha: chance that a candidate at the bound ever gives an alarm, or is ever shown to hold.
        sure: chance that it ever fails.
        task: of a regression the answers are compared, else the scores.
    """

    def __init__(self, gate: Gate, alpha: float, sure: float, task: str = "classification") -> None:
        self.gate = gate
        self._alpha, self._sure = alpha, sure
        shift = gate.entry.name == "score_shift"
        self.least = (gate.number or 0.0) if shift else gate.bound
        self._within = gate.bound if shift else None
        self._agreement = _agreement_of(gate, task)

    def add(self, pairs: Iterable[Pair]) -> None:
        """Take in the trials of one scrape."""
        self._agreement.add(pairs)

    @property
    def evidence(self) -> float:
        """Evidence that the agreement lies below the bound, by that which an alarm needs: 1 is an alarm."""
        bets = self._agreement.bets
        return _nats(bets.p_below(self.least)) / -math.log(self._alpha) if bets else 0.0

    @property
    def alarmed(self) -> bool:
        """An alarm."""
        return self.evidence >= 1

    @property
    def failed(self) -> bool:
        """The agreement lies below the bound."""
        bets = self._agreement.bets
        return bets is not None and bets.p_below(self.least) <= self._sure

    @property
    def shown(self) -> float:
        """How much of the evidence is there that the agreement reaches the bound; 1: it is shown."""
        bets = self._agreement.bets
        return min(_nats(bets.p_above(self.least)) / -math.log(self._alpha), 1.0) if bets else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The share of users to whom the versions answer differently; holds at all analyses. For people."""
        bets = self._agreement.bets
        if bets is None:
            return None
        low, high = bets.interval(self._alpha)
        return 1 - high, 1 - low

    @property
    def text(self) -> str:
        """What is known, for people."""
        bets = self._agreement.bets
        if bets is None:
            return f"{self.gate.metric}: no answers compared"
        within = "" if self._within is None else f" within {self._within:g}"
        return f"{self.gate.metric}: {bets.value:.2%} of {self._agreement.trials:,.0f} users{within}"


def _agreement_of(gate: Gate, task: str) -> Agreement | ListAgreement:
    if gate.of_lists:
        return ListAgreement(_overlap(gate.k or MOST_ITEMS))
    if gate.entry.name == "score_shift":
        if task == "regression":
            return Agreement(gate.bound)
        return ListAgreement(_within(gate.bound, labels=False))
    within = next((float(text) for key, text in gate.arguments if key == "scores"), None)
    return Agreement() if within is None else ListAgreement(_within(within, labels=True))


def _nats(p: float) -> float:
    return 0.0 - math.log(p) if p > 0 else math.inf


def _is_number(label: object) -> TypeGuard[float]:
    """Whether it is a value of a regression; whole numbers may be labels."""
    return isinstance(label, float)
