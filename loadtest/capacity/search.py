"""The search: which rate to try next, and what the trials say. Knows nothing of clocks, labs or files.

::

    search = Search(Plan(start=50))
    while (step := search.next()) is not None:
        search.add(run(step))          # one open-loop trial at step.rate for step.seconds
    search.answer()

First the rate is doubled (or halved) until one trial meets the objective and one does not, and the bracket is
halved until its ends are close; these trials are short. Then trials are laid at and above the rate at which
the fitted curve crosses the objective, until the interval is as narrow as was asked, or they are used up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from loadtest.capacity.fit import Root, find_root

_CLOSE = 1.25
"""Ratio of a bracket's ends at which the curve is fitted."""
_NEAR = 0.4
"""Trials within this distance of the bracket, in log rate, take part in the fit."""
_MIN_FITTED = 8
_BEYOND = (0.0, 0.6, 1.2, 0.6)
"""Probits above the allowed share at which trials are laid in turn: rare bad answers tell little."""
_FURTHEST = 0.2
_LEAST, _MOST = 1e-2, 1e6


@dataclass(frozen=True)
class Plan:
    """How a capacity is looked for.

    Args:
        start: rate of the first trial, in requests per second.
        late: share of answers that the objective allows to be late (0.01 for p99).
        failed: share of requests that may fail.
        seconds: length of a trial near the answer; the first ones last half of it.
        requests: fewest requests of a trial: at low rates it lasts longer.
        precision: relative half-width of the interval at which the search ends.
        most_trials: trials after which it ends in any case.
        confidence: of the two-sided interval.
    """

    start: float = 50.0
    late: float = 0.01
    failed: float = 0.001
    seconds: float = 6.0
    requests: int = 400
    precision: float = 0.07
    most_trials: int = 30
    confidence: float = 0.95


class Step(NamedTuple):
    """The next trial: requests per second, for how many seconds."""

    rate: float
    seconds: float


@dataclass(frozen=True)
class Trial:
    """What one trial showed.

    Args:
        rate: requests per second.
        requests: how many were measured.
        late: those answered later than the objective's limit, or not at all.
        failed: those without a usable answer.
        overloaded: it was ended early, because the queue only grew.
    """

    rate: float
    requests: int
    late: int
    failed: int
    overloaded: bool = False

    def meets(self, plan: Plan) -> bool:
        """Whether the objective was met in this trial, chance left aside."""
        return not self.overloaded and (
            self.late <= plan.late * self.requests and self.failed <= max(plan.failed * self.requests, 1)
        )


@dataclass(frozen=True)
class Capacity:
    """The answer, in requests per second.

    Args:
        rate: the highest rate at which the objective is met; None: no rate that was tried met it.
        low: lower end of the interval.
        high: upper end; infinite where nothing that was tried was too much.
        trials: how many it took.
        requests: how many requests they sent.
        precise: the interval is as narrow as was asked.
        limit: what is exceeded first beyond it, ``latency`` or ``errors``.
    """

    rate: float | None
    low: float
    high: float
    trials: int
    requests: int
    precise: bool
    limit: str


class Search:
    """See the module; one object a search."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.trials: list[Trial] = []

    def add(self, trial: Trial) -> None:
        """Take in a trial, at whatever rate it was."""
        self.trials.append(trial)

    def next(self) -> Step | None:
        """The next trial; None when the search is over."""
        plan = self.plan
        if len(self.trials) >= plan.most_trials:
            return None
        met, missed = self._bracket()
        if not self.trials:
            return self._step(plan.start, 0.5)
        if missed is None and met is not None:
            return self._step(2 * met, 0.5) if 2 * met < _MOST else None
        if met is None and missed is not None:
            return self._step(missed / 2, 0.5) if missed / 2 > _LEAST else None
        assert met is not None  # noqa: S101 - for the type checker
        assert missed is not None  # noqa: S101 - for the type checker
        if missed / met > _CLOSE and len(self._fitted()) < _MIN_FITTED:
            return self._step(math.sqrt(met * missed), 0.5)
        root = self._root()
        if root is None:
            return self._step(math.sqrt(met * missed), 1.0)
        if len(self._fitted()) >= _MIN_FITTED and self._is_precise(root):
            return None
        beyond = _BEYOND[len(self.trials) % len(_BEYOND)]
        return self._step(root.rate * math.exp(min(beyond / root.slope, _FURTHEST)), 1.0)

    def answer(self, confidence: float | None = None) -> Capacity:
        """What the trials say by now, with an interval at the plan's confidence or another."""
        requests = sum(trial.requests for trial in self.trials)
        met, missed = self._bracket()
        if met is None:
            return Capacity(None, 0.0, missed or math.inf, len(self.trials), requests, False, "latency")
        root = self._root(confidence) if missed is not None else None
        if root is None:
            return Capacity(met, met, missed or math.inf, len(self.trials), requests, False, "latency")
        return Capacity(
            root.rate, root.low, root.high, len(self.trials), requests, self._is_precise(root), self._limit()
        )

    def _step(self, rate: float, part: float) -> Step:
        seconds = max(self.plan.seconds * part, self.plan.requests * part / rate)
        return Step(float(f"{rate:.4g}"), round(seconds, 1))

    def _bracket(self) -> tuple[float | None, float | None]:
        """The highest rate that met the objective below the lowest that did not, and that one."""
        missed = min((t.rate for t in self.trials if not t.meets(self.plan)), default=None)
        met = max(
            (t.rate for t in self.trials if t.meets(self.plan) and (missed is None or t.rate < missed)),
            default=None,
        )
        return met, missed

    def _fitted(self) -> list[Trial]:
        met, missed = self._bracket()
        if met is None or missed is None:
            return []
        middle = math.sqrt(met * missed)
        reach = _NEAR + math.log(missed / met) / 2
        return [trial for trial in self.trials if abs(math.log(trial.rate / middle)) <= reach]

    def _root(self, confidence: float | None = None) -> Root | None:
        both = self._late_root(confidence), self._failed_root(confidence)
        roots = [root for root in both if root is not None]
        return min(roots, key=lambda root: root.rate) if roots else None

    def _limit(self) -> str:
        late, failed = self._late_root(), self._failed_root()
        return "errors" if late and failed and failed.rate < late.rate else "latency"

    def _late_root(self, confidence: float | None = None) -> Root | None:
        return self._find([trial.late for trial in self._fitted()], self.plan.late, confidence)

    def _failed_root(self, confidence: float | None = None) -> Root | None:
        failed = [trial.failed for trial in self._fitted()]
        # without failures there is no curve to fit: they are not what ends it
        return self._find(failed, self.plan.failed, confidence) if sum(failed) > _MIN_FITTED else None

    def _find(self, bad: list[int], allowed: float, confidence: float | None) -> Root | None:
        trials = self._fitted()
        return find_root(
            np.array([t.rate for t in trials]),
            np.array(bad, dtype=np.float64),
            np.array([t.requests for t in trials], dtype=np.float64),
            allowed,
            1 - (confidence or self.plan.confidence),
        )

    def _is_precise(self, root: Root) -> bool:
        return math.log(max(root.high, 1e-9) / max(root.low, 1e-9)) / 2 <= self.plan.precision
