"""Latency: how much more often the candidate is slow than stable, window by window.

Histograms are enough for that: stable's quantile is looked up among the edges of their buckets, and the value
of a window is the difference of two counts at edges: the share of the candidate's requests beyond its limit,
and of stable's beyond its quantile. An edge that is needed between two edges is taken upwards, so that a
rollback is a little too slow rather than wrong.

A version with less traffic is faster. So against stable the candidate can only be called slow while it has at
most half of the traffic, and only be called fast enough while it has at least half.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from loadtest.canary.counts import Counts
from loadtest.canary.time_windows import Floats, Windows
from loadtest.canary.user_spread import Spread
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES, Role

TRAILING = 30
"""Windows of stable in which its quantile is looked up."""
HALF = 50.0


class LatencyTest:
    """Follows one latency gate.

    Args:
        gate: a quantile, against stable or absolute.
        alpha: chance that a candidate on the margin ever fails, or is ever shown to be within it.
        window: seconds.
        spread: of users; a bound that is absolute asks nothing of stable's users.
    """

    def __init__(self, gate: Gate, alpha: float, window: float, spread: Spread) -> None:
        if gate.quantile is None:
            raise ValueError(f"{gate} is not a latency gate")
        self.gate = gate
        self._tail = 1 - gate.quantile
        self._alpha, self._spread = alpha, spread
        self._open, self._slow, self._fast = Windows(window), Windows(window), Windows(window)
        self._splits: list[float] = []
        self._edges: Floats = np.zeros(0)
        self._past: deque[Floats] = deque(maxlen=TRAILING)
        self._seen = {role: np.zeros(0) for role in ROLES}

    def add(self, at: float, counts: Mapping[Role, Counts], split: float, edges: Sequence[float]) -> None:
        """Take in one scrape: the requests of both versions that were slower than each of ``edges``."""
        if not len(edges):
            return
        self._edges = np.asarray(edges, dtype=np.float64)
        both = [self._row(counts[role]) for role in (Role.CANDIDATE, Role.STABLE)]
        for role, row in zip((Role.CANDIDATE, Role.STABLE), both, strict=True):
            self._seen[role] = self._seen[role] + row if len(self._seen[role]) else row
        self._splits.append(split)
        width = len(self._edges) + 1
        # an absolute bound asks nothing of stable
        trials = (0,) if self.gate.against == "absolute" else (0, width)
        ended = self._open.add(at, np.concatenate(both).tolist(), trials)
        if ended is not None:
            self._close(np.array(ended[:width]), np.array(ended[width:]))

    def _row(self, counts: Counts) -> Floats:
        slower = counts.slower if len(counts.slower) else np.zeros(len(self._edges))
        return np.array([counts.timed, *slower], dtype=np.float64)

    def _close(self, candidate: Floats, stable: Floats) -> None:
        splits, self._splits = self._splits, []
        slow = self._share(candidate)
        if self.gate.against == "absolute":
            value = slow[self._at_least(self.gate.bound)] - self._tail
            self._slow.keep(float(value))
            self._fast.keep(float(value))
            return
        if self._past:
            place = self._quantile(np.sum(self._past, axis=0))
            threshold = float(self._edges[place])
            limit = threshold * (1 + self.gate.bound) if self.gate.relative else threshold + self.gate.bound
            value = float(slow[self._at_least(limit)] - self._share(stable)[place])
            if max(splits) <= HALF:
                self._slow.keep(value - self._spread.allowance(self._tail))
            if min(splits) >= HALF:
                self._fast.keep(value + self._spread.allowance(self._tail, proof=True))
        self._past.append(stable)

    @staticmethod
    def _share(row: Floats) -> Floats:
        return np.asarray(row[1:] / row[0])

    def _quantile(self, row: Floats) -> int:
        """The first edge that no more than the gate's share exceeds."""
        within = self._share(row) <= self._tail
        return int(within.argmax()) if within.any() else len(self._edges) - 1

    def _at_least(self, limit: float) -> int:
        return min(int(np.searchsorted(self._edges, limit - 1e-9)), len(self._edges) - 1)

    def value(self, role: Role) -> float | None:
        """The version's quantile so far in seconds, by the edges; None before its first answer."""
        row = self._seen[role]
        return float(self._edges[self._quantile(row)]) if len(row) and row[0] else None

    @property
    def windows(self) -> int:
        """Windows in which the candidate could have been called slow."""
        return len(self._slow)

    def interval(self, *, slow: bool) -> tuple[float, float] | None:
        """How much more often than allowed the candidate was slow, in windows that may call it so (or fast).

        Returns:
            An interval that holds at every moment; None before there are enough windows.
        """
        return (self._slow if slow else self._fast).interval(self._alpha)

    @property
    def failed(self) -> bool:
        """Slower than the gate allows, beyond doubt."""
        return self._slow.above(self._alpha)

    @property
    def shown(self) -> bool:
        """Within the gate, beyond doubt."""
        return self._fast.below(self._alpha)
