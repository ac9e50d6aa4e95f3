"""Errors and wrong answers: shares of a version's requests, followed by bets on every scrape.

Two questions are asked of the same counts, each with its own always-valid evidence:

* is the candidate worse than the rollback gate allows (an ``Alarm``)?
* would the users whom the next split harms be fewer than the promotion gate's margin (a ``Proof``)? A
  candidate with ``d`` more wrong answers at a split ``s`` harms ``d * s`` of all users. So the step to ``s``
  needs ``d < margin / s`` to be shown: a handful of answers for 5%, the whole margin for 100%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from loadtest.canary.counts import Counts
from loadtest.canary.time_windows import Windows
from loadtest.canary.user_spread import Spread
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES, Role
from loadtest.stats.proportions import IndependentDifference
from loadtest.stats.sequential import EQUAL_ODDS, ERROR_ODDS, WRONG_ANSWER_ODDS, TwoSampleBets, level_at

BEYOND_DOUBT = 1e-6
"""Chance of evidence, under equality, that needs no second look."""
LATE = 0.5
"""Share of the stake for harm that begins after the first scrape: costs nothing that can be measured."""


class Tally:
    """Hits of trials of both versions since the beginning."""

    def __init__(self) -> None:
        self.hits = dict.fromkeys(ROLES, 0.0)
        self.trials = dict.fromkeys(ROLES, 0.0)

    def add(self, role: Role, hits: float, trials: float) -> None:
        """Add what one scrape saw."""
        self.hits[role] += hits
        self.trials[role] += trials

    def share(self, role: Role) -> float | None:
        """Hits by trials; None before the first trial."""
        return self.hits[role] / self.trials[role] if self.trials[role] else None

    def interval(self, seconds: float, alpha: float) -> tuple[float, float] | None:
        """How much more often the candidate was hit than stable: an interval that holds at all analyses.

        For people: the bets decide. It takes hits for independent, and misses more often where they are not.

        Args:
            seconds: since the first trial.
            alpha: on each side.

        Returns:
            Both ends within -1 and 1; None before both versions had a trial.
        """
        if seconds <= 0 or not min(self.trials.values()):
            return None
        hits, trials = self.hits, self.trials
        difference = IndependentDifference(
            hits[Role.CANDIDATE], trials[Role.CANDIDATE], hits[Role.STABLE], trials[Role.STABLE]
        )
        return difference.interval(level_at(seconds, alpha))


def outcomes(gate: Gate, counts: Counts) -> tuple[float, float]:
    """The harmful outcomes that a gate counts, and how many there could have been."""
    return (counts.errors, counts.requests) if gate.entry.live == "errors" else (counts.wrong, counts.judged)


class Bursts:
    """Estimates the correlation of outcomes within a scrape, and scales counts down by it.

    Of ``n`` outcomes with the correlation ``rho`` only ``n / (1 + (n - 1) rho)`` count (Rao and Scott 1992, A
    simple method for the analysis of clustered binary data, Biometrics 48). ``rho`` is what all
    streams have shown so far: pairs of hits in one scrape, against the pairs that chance would give.

    Args:
        streams: counted beside each other, such as one per version.
    """

    def __init__(self, streams: int = 2) -> None:
        # rows: hits, trials, ordered pairs of hits, ordered pairs of trials; a column per stream
        self._seen = np.zeros((4, streams))

    @property
    def correlation(self) -> float:
        """Between two outcomes of one version in one scrape, 0 to 1."""
        hits, trials, hit_pairs, pairs = self._seen
        share = (hits + 0.5) / (trials + 1)
        chance = float(np.sum(pairs * share * (1 - share)))
        return float(np.clip(np.sum(hit_pairs - pairs * share**2) / chance, 0, 1)) if chance else 0.0

    @property
    def effect(self) -> float:
        """How many of all outcomes so far count as one; at least 1."""
        _, trials, _, pairs = self._seen.sum(axis=1)
        return 1 + self.correlation * float(pairs / trials) if trials else 1.0

    def scale(self, hits: Sequence[float], trials: Sequence[float]) -> tuple[list[float], list[float]]:
        """Take in one scrape's counts, one of each version, and return what they count for."""
        k, n = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
        self._seen += np.stack([k, n, k * np.maximum(k - 1, 0), n * np.maximum(n - 1, 0)])
        effect = 1 + np.maximum(n - 1, 0) * self.correlation
        return (k / effect).tolist(), (n / effect).tolist()


def _usual(tally: Tally) -> float:
    """Stable's share so far, above 0 from the beginning."""
    return (tally.hits[Role.STABLE] + 0.5) / (tally.trials[Role.STABLE] + 1)


def _of_users(
    gate: Gate, spread: Spread, tally: Tally, kc: float, nc: float, ks: float, ns: float, *, proof: bool
) -> list[float]:
    """Counts of requests as what they count for, because users differ; those of users as they are."""
    if gate.entry.live != "errors":
        return [kc, nc, ks, ns]
    of_candidate, of_stable = (
        spread.effect(role, _usual(tally), proof=proof) for role in (Role.CANDIDATE, Role.STABLE)
    )
    return [kc / of_candidate, nc / of_candidate, ks / of_stable, ns / of_stable]


class ShareAlarm:
    """Evidence that the candidate is worse than a rollback gate allows.

    Args:
        gate: ``error_rate`` or ``accuracy`` against stable.
        spread: of users; outcomes of answers are users' already.
        alpha: chance that an equal candidate ever gives an alarm.
        sure: chance that its windows ever fail (errors only).
        window: seconds.
    """

    def __init__(self, gate: Gate, spread: Spread, alpha: float, sure: float, window: float) -> None:
        self.gate, self._spread = gate, spread
        self.tally = Tally()
        self._alpha, self._sure = alpha, sure
        # answers are right or wrong independently of each other, errors are not
        self._bursts = Bursts() if gate.entry.live == "errors" else None
        self._windows = Windows(window)
        self.again()

    def again(self) -> None:
        """Begin the bets anew: what made an alarm is no evidence for the next one."""
        odds = ERROR_ODDS if self._bursts else WRONG_ANSWER_ODDS
        self._bets = TwoSampleBets(self.gate.bound, odds, above=True, late=LATE)

    def add(self, at: float, counts: Mapping[Role, Counts], split: float) -> None:  # noqa: ARG002 - as for tails
        """Take in one scrape."""
        (kc, nc), (ks, ns) = (outcomes(self.gate, counts[role]) for role in (Role.CANDIDATE, Role.STABLE))
        self.tally.add(Role.CANDIDATE, kc, nc)
        self.tally.add(Role.STABLE, ks, ns)
        if self._bursts:
            ended = self._windows.add(at, [kc, nc, ks, ns], trials=(1, 3))
            if ended is not None:
                allowed = self.gate.bound + self._spread.allowance(_usual(self.tally))
                self._windows.keep(ended[0] / ended[1] - ended[2] / ended[3] - allowed)
            (kc, ks), (nc, ns) = self._bursts.scale((kc, ks), (nc, ns))
        self._bets.update(*_of_users(self.gate, self._spread, self.tally, kc, nc, ks, ns, proof=False))

    @property
    def evidence(self) -> float:
        """The bets' evidence of harm, by the evidence that an alarm needs: 1 is an alarm."""
        return max(float(self._bets.log_e) / -math.log(self._alpha), 0.0)

    @property
    def alarmed(self) -> bool:
        """The bets are won: harm, unless it was a burst."""
        return self.evidence >= 1

    @property
    def failed(self) -> bool:
        """Harm beyond doubt: in window after window, or so much at once that no burst explains it."""
        return bool(self._bets.log_e >= -math.log(BEYOND_DOUBT)) or self._windows.above(self._sure)


class ShareProof:
    """Evidence that the next splits harm fewer users than a promotion gate's margin.

    Args:
        gate: ``error_rate`` or ``accuracy`` with a margin on stable.
        spread: see ``ShareAlarm``.
        steps: the splits in percent.
        alpha: chance that a step is taken although it harms as many.
    """

    def __init__(self, gate: Gate, spread: Spread, steps: Sequence[float], alpha: float) -> None:
        self.gate, self._spread = gate, spread
        self.tally = Tally()
        self._limit = -math.log(alpha)
        margins = {step: gate.bound * 100 / step for step in steps}
        # a difference of shares cannot exceed 1: there is nothing to show
        self._bets = {
            step: TwoSampleBets(margin, EQUAL_ODDS, above=False)
            for step, margin in margins.items()
            if margin < 1
        }

    def add(self, at: float, counts: Mapping[Role, Counts], split: float) -> None:  # noqa: ARG002 - as for tails
        """Take in one scrape."""
        seen = {role: outcomes(self.gate, counts[role]) for role in ROLES}
        for role, (hits, trials) in seen.items():
            self.tally.add(role, hits, trials)
        counts_of = (*seen[Role.CANDIDATE], *seen[Role.STABLE])
        both = _of_users(self.gate, self._spread, self.tally, *counts_of, proof=True)
        for step, bets in self._bets.items():
            if step > split:
                bets.update(*both)

    def shown(self, step: float) -> float:
        """How much of the evidence that a step to this split needs is there; 1: it is shown."""
        bets = self._bets.get(step)
        return 1.0 if bets is None else float(np.clip(bets.log_e / self._limit, 0.0, 1.0))
