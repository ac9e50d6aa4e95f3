"""Whether the split is what it should be: a test of its shares, and users who are seen in both arms.

Without users who stay in their arm, and arms that differ by chance alone, nothing that is counted says
anything about the candidate. Pure::

    check = SplitCheck()
    check.enter(step=17, split=10)      # the serial of the entry that set it
    check.add({Role.STABLE: page, Role.CANDIDATE: None})    # once a second
    check.summary().problem     # "the split is broken: of 3,512 users 421 came to the candidate's arm ..."
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from loadtest.experiment.role import ROLES, Role
from loadtest.stats.split_bets import SplitBets

FALSE_ALARM = 0.01
"""Chance that a true split is ever called broken while one controller runs: users and requests together."""
BOTH, BOTH_USERS = 0.005, 5
"""Share and number of users in both arms that mean something. A gateway that works leaves none."""

Kind = Literal["users", "requests"]
_WHAT: dict[Kind, str] = {"users": "users", "requests": "requests without a user"}
_KINDS: tuple[Kind, Kind] = ("requests", "users")


class Unit(NamedTuple):
    """A user, or a request that names none, and the arm; ``name`` is a hash, the same on both servers."""

    name: int
    arm: Role
    kind: Kind


class ArmsPage(NamedTuple):
    """What one server tells of a step.

    Args:
        step: the serial of the entry that the gateway's routes derive from.
        units: those that are new since the last page.
        requests: of the step so far, per arm.
        full: units were left out.
    """

    step: int
    units: tuple[Unit, ...]
    requests: Mapping[Role, int]
    full: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ArmsPage:
        """The page that a server answered; see ``services/model_server/canary/arms.py``.

        Raises:
            KeyError, ValueError, TypeError, IndexError: it is none.
        """
        units = tuple(Unit(int(name), ROLES[arm], _KINDS[user]) for name, arm, user in document["units"])
        requests = {role: int(document["requests"][role]) for role in ROLES}
        return cls(int(document["step"]), units, requests, bool(document["full"]))


class TrueShares(NamedTuple):
    """What the arms of the present step truly got.

    Args:
        users: users seen, per arm.
        requests: requests, per arm, of users or not; what stable answered instead is the candidate's.
        both: users who were seen in both arms.
        problem: why nothing that the canary counts can be trusted; None: nothing is amiss.
    """

    users: Mapping[Role, int]
    requests: Mapping[Role, int]
    both: int = 0
    problem: str | None = None

    def share(self, kind: Kind) -> float | None:
        """The candidate's share of users or requests; None before the first."""
        counts = self.users if kind == "users" else self.requests
        total = sum(counts.values())
        return counts[Role.CANDIDATE] / total if total else None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"users": dict(self.users), "requests": dict(self.requests)} | {
            "both": self.both, "problem": self.problem,
        }  # fmt: skip


class _Step:
    """What is known of one step."""

    def __init__(self, serial: int, split: float) -> None:
        self.serial, self.chance = serial, split / 100
        self.requests: dict[Role, dict[Role, int]] = {}
        self.users: dict[Role, set[int]] = {role: set() for role in ROLES}
        self.full = False

    @property
    def seen_in_both(self) -> int:
        return len(self.users[Role.STABLE] & self.users[Role.CANDIDATE])


class SplitCheck:
    """Follows the arms over the steps of one controller; knows no clock.

    A user is one trial when first seen, and another one at a step whose split could move this user: the
    gateway places users on a line once and for all, and a step that cuts the part of the line where a user
    may be cuts it with a known chance. So the evidence is one martingale over all steps.
    """

    def __init__(self) -> None:
        self._step = _Step(-1, 0.0)
        self._bets: dict[Kind, SplitBets] = {kind: SplitBets() for kind in _WHAT}
        self._counts: dict[Kind, Counter[Role]] = {kind: Counter() for kind in _WHAT}
        self._expected: dict[Kind, float] = dict.fromkeys(_WHAT, 0.0)
        self._parts: dict[int, tuple[float, float]] = {}
        self._pending: list[Unit] = []
        self._requests_seen: set[int] = set()
        self._problem: str | None = None

    def enter(self, step: int, split: float) -> None:
        """A step begins: the serial of its entry in the history, and the percentage."""
        if step != self._step.serial:
            self._step, self._pending = _Step(step, split), []
            self._requests_seen.clear()

    def add(self, pages: Mapping[Role, ArmsPage | None]) -> None:
        """Take in what both servers told since the last time; None: one did not.

        Units of one server alone are kept until the other has told too, or it would seem to have nobody.
        """
        step = self._step
        told = {role: page for role, page in pages.items() if page is not None and page.step <= step.serial}
        for role, page in told.items():
            # a server that nobody came to in this step is still at the one before
            if page.step == step.serial:
                step.full |= page.full
                step.requests[role] = dict(page.requests)
                self._pending += page.units
        if len(told) < len(ROLES):
            return
        ready, self._pending = self._pending, []
        # the servers stop to note units at different moments: from then on the arms cannot be compared
        if not step.full:
            self._note(ready)
            self._look()

    def summary(self) -> TrueShares:
        """The shares of this step, and what was found in any step so far."""
        step = self._step
        counted = step.requests.values()
        return TrueShares(
            users={role: len(step.users[role]) for role in ROLES},
            # what the candidate failed at came to stable too, and is one request of the candidate's arm
            requests={arm: max((counts[arm] for counts in counted), default=0) for arm in ROLES},
            both=step.seen_in_both,
            problem=self._problem,
        )

    def _note(self, units: Iterable[Unit]) -> None:
        trials: dict[Kind, dict[float, list[int]]] = {kind: {} for kind in _WHAT}
        for name, arm, kind in units:
            if kind == "users":
                self._step.users[arm].add(name)
                chance = self._place(name, arm)
            elif name in self._requests_seen:
                chance = None
            else:
                self._requests_seen.add(name)
                chance = self._step.chance
            if chance is not None and 0 < chance < 1:
                count = trials[kind].setdefault(chance, [0, 0])
                count[0] += arm == Role.CANDIDATE
                count[1] += 1
                self._counts[kind][arm] += 1
        for kind, counts in trials.items():
            for chance, (hits, number) in counts.items():
                self._bets[kind].update(hits, number, chance)
                self._expected[kind] += number * chance

    def _place(self, name: int, arm: Role) -> float | None:
        """The chance that this user had of the candidate's arm; None: it is no trial."""
        low, high = self._parts.get(name, (0.0, 1.0))
        split = self._step.chance
        inside = low < split < high
        if inside:
            self._parts[name] = (low, split) if arm == Role.CANDIDATE else (split, high)
            return (split - low) / (high - low)
        return None

    def _look(self) -> None:
        needed = math.log(len(self._bets) / FALSE_ALARM)
        for kind, bets in self._bets.items():
            if self._problem is None and bets.log_e >= needed:
                counts = self._counts[kind]
                total, got = sum(counts.values()), counts[Role.CANDIDATE]
                self._problem = (
                    f"the split is broken: of {total:,} {_WHAT[kind]} {got:,} came to the candidate's arm, "
                    f"where {self._expected[kind]:,.0f} were to be expected; see the gateway's routes"
                )
        both, users = self._step.seen_in_both, len(set().union(*self._step.users.values()))
        if self._problem is None and both >= max(BOTH_USERS, BOTH * users):
            self._problem = (
                f"the split is broken: {both:,} of {users:,} users came to both arms in one step; "
                "the gateway does not keep users of one x-user-id together"
            )
