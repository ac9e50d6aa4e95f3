"""Latency: how much more often the candidate is slow than stable, window by window.

Histograms are enough for that: stable's quantile is looked up among the edges of their buckets, and the value
of a window is the difference of two counts at edges: the share of the candidate's requests beyond its limit,
and of stable's beyond its quantile. An edge that is needed between two edges is taken upwards, so that a
rollback is a little too slow rather than wrong.

A single user must not decide, however much they send, or how large: the gateway counts users by groups, and
the slowest group of each version and the fastest are left out. A group is the same users for a whole step, so
they are chosen by all that the step has counted so far.

Large requests take long whichever version answers them, and whoever invents users can send large ones to
one arm alone. So the gateway counts by the size of the body, too. If an arm gets more requests of a class of
sizes than the other arm's count, the split and chance explain, they count for as many as these explain. The
size is known before a version sees the request, so two equal versions stay equal.

A version with less traffic is faster. So against stable the candidate can only be called slow while it has at
most half of the traffic, and only be called fast enough while it has at least half.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from contract.arms import BODY_CLASSES, USER_GROUPS
from loadtest.canary.counts import Counts
from loadtest.canary.time_windows import Floats, Windows
from loadtest.canary.user_spread import Spread
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES, Role

TRAILING = 30
"""Windows of stable in which its quantile is looked up."""
HALF = 50.0
CHANCE = 3.0
"""Standard errors by which the arms may differ in the requests of one class of sizes."""


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
        self._step: dict[Role, Floats] = {}
        self._seen = {role: np.zeros(0) for role in ROLES}
        self._counts_for = dict.fromkeys(ROLES, np.ones(BODY_CLASSES))

    def enter(self) -> None:
        """A step begins: the groups are of other users."""
        self._step = {}
        self._counts_for = dict.fromkeys(ROLES, np.ones(BODY_CLASSES))

    def add(self, at: float, counts: Mapping[Role, Counts], split: float, edges: Sequence[float]) -> None:
        """Take in one scrape: the requests of both versions that were slower than each of ``edges``."""
        if not len(edges):
            return
        self._edges = np.asarray(edges, dtype=np.float64)
        both = np.array([self._rows(counts[role]) for role in (Role.CANDIDATE, Role.STABLE)])
        for role, rows in zip((Role.CANDIDATE, Role.STABLE), both, strict=True):
            self._seen[role] = self._seen[role] + rows if len(self._seen[role]) else rows
        self._splits.append(split)
        # an absolute bound asks nothing of stable
        trials = (0,) if self.gate.against == "absolute" else (0, 1)
        ended = self._open.add(at, [*both[:, 0, :, 0].sum(axis=1), *both.ravel().tolist()], trials)
        if ended is not None:
            self._close(*np.array(ended[2:]).reshape(both.shape))

    def _rows(self, counts: Counts) -> Floats:
        """Of all requests, and of each group: how many there were, and how many slower than each edge.

        Returns:
            Shape (1 + groups, classes of sizes, 1 + edges).
        """
        rows = np.zeros((1 + USER_GROUPS, BODY_CLASSES, 1 + len(self._edges)))
        if len(counts.groups):
            rows[1:] = counts.groups
            rows[0] = rows[1:].sum(axis=0)
        else:
            rows[0, 0] = counts.timed, *(counts.slower if len(counts.slower) else rows[0, 0, 1:])
        return rows

    def _close(self, candidate: Floats, stable: Floats) -> None:
        splits, self._splits = self._splits, []
        sizes = {Role.CANDIDATE: candidate, Role.STABLE: stable}
        for role, rows in sizes.items():
            self._step[role] = self._step.get(role, 0) + rows
        if 0 < splits[-1] < 2 * HALF:
            odds = splits[-1] / (2 * HALF - splits[-1])
            self._weigh(Role.CANDIDATE, Role.STABLE, odds)
            self._weigh(Role.STABLE, Role.CANDIDATE, 1 / odds)
        candidate, stable = (self._weighted(role, rows) for role, rows in sizes.items())
        if self.gate.against == "absolute":
            value = self._beyond(Role.CANDIDATE, candidate, self._at_least(self.gate.bound))
            if value is not None:
                self._slow.keep(value - self._tail)
                self._fast.keep(value - self._tail)
            return
        step = self._weighted(Role.STABLE, self._step[Role.STABLE])
        past = np.sum(self._past, axis=0) if self._past else step[0]
        place = self._quantile(past)
        threshold = float(self._edges[place])
        limit = threshold * (1 + self.gate.bound) if self.gate.relative else threshold + self.gate.bound
        own = self._beyond(Role.CANDIDATE, candidate, self._at_least(limit))
        theirs = self._beyond(Role.STABLE, stable, place)
        if self._past and own is not None and theirs is not None:
            if max(splits) <= HALF:
                self._slow.keep(own - theirs - self._spread.allowance(self._tail))
            if min(splits) >= HALF:
                self._fast.keep(own - theirs + self._spread.allowance(self._tail, proof=True))
        left = self._trimmed(step, stable, place)
        if left[0]:
            self._past.append(left)

    def _weigh(self, role: Role, other: Role, odds: float) -> None:
        """For how many a request of each class counts, with ``odds`` requests for one of the other arm."""
        there, explained = self._step[role][0, :, 0], self._step[other][0, :, 0] * odds
        most = explained + CHANCE * np.sqrt(explained * (1 + odds) + 1)
        self._counts_for[role] = np.minimum(1, most / np.maximum(there, 1))

    def _weighted(self, role: Role, rows: Floats) -> Floats:
        """Requests of all classes, each for as many as it counts for; shape (1 + groups, 1 + edges)."""
        return np.asarray(np.einsum("gce,c->ge", rows, self._counts_for[role]))

    def _beyond(self, role: Role, rows: Floats, place: int) -> float | None:
        """The share of a window's requests that were slower than an edge; None: nobody is left."""
        left = self._trimmed(self._weighted(role, self._step[role]), rows, place)
        return float(self._share(left)[place]) if left[0] else None

    def _trimmed(self, step: Floats, rows: Floats, place: int) -> Floats:
        """Rows without the groups that in this step were slower than an edge most often, and least often."""
        groups = rows[1:]
        if not groups.any():
            return np.asarray(rows[0])
        more = step[1:, 1 + place] - step[1:, 0] * self._share(step[0])[place]
        return np.asarray(groups.sum(axis=0) - groups[more.argmax()] - groups[more.argmin()])

    @staticmethod
    def _share(row: Floats) -> Floats:
        return np.asarray(row[1:] / row[0])

    def _quantile(self, row: Floats) -> int:
        """The first edge that no more than the gate's share exceeds."""
        within = self._share(row) <= self._tail
        return int(within.argmax()) if within.any() else len(self._edges) - 1

    def _at_least(self, limit: float) -> int:
        return min(int(np.searchsorted(self._edges, limit - 1e-9)), len(self._edges) - 1)

    def value(self, role: Role, *, whole: bool = False) -> float | None:
        """The version's quantile so far in seconds, by the edges; None before its first answer.

        ``whole``: of all users, also those who are left out.
        """
        if not len(self._seen[role]) or not self._seen[role][0, :, 0].any():
            return None
        rows = self._seen[role].sum(axis=1) if whole else self._weighted(role, self._seen[role])
        left = self._trimmed(rows, rows, self._quantile(rows[0]))
        return float(self._edges[self._quantile(rows[0] if whole or not left[0] else left)])

    def left_out(self, role: Role) -> float:
        """The share of the step's requests that count for nothing: the other arm got fewer of their size."""
        if role not in self._step:
            return 0.0
        there = self._step[role][0, :, 0]
        return float(1 - there @ self._counts_for[role] / there.sum()) if there.any() else 0.0

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
