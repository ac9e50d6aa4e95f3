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

from loadtest.canary.user_spread import Users, dispute
from loadtest.experiment.role import ROLES, Role
from loadtest.stats.share_bets import SplitBets

FALSE_ALARM = 0.01
"""Chance that a true split is ever called broken while one controller runs: users and requests together."""
MOST = 200_000
"""Units of a step that one server may tell: four times what ours keeps, as pages may be read again."""
LARGEST = 2**63
"""Of a count that a server tells; a float holds it, and what follows from two of them."""
SIGMAS = 3.0
"""Standard errors from the split that the gateway's own share of requests confirms a broken one by."""
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
        squares: the sum over units of their requests of the step, squared, per arm.
        full: units were left out.
    """

    step: int
    units: tuple[Unit, ...]
    requests: Mapping[Role, int]
    full: bool = False
    squares: Mapping[Role, int] = dict.fromkeys(ROLES, 0)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ArmsPage:
        """The page that a server answered; see ``services/model_server/canary/arms.py``.

        Raises:
            KeyError, ValueError, TypeError, IndexError, OverflowError: it is none.
        """
        units = tuple(Unit(int(name), ROLES[arm], _KINDS[user]) for name, arm, user in document["units"])
        requests, squares = (
            {role: _count(document[name][role]) for role in ROLES} for name in ("requests", "squares")
        )
        return cls(int(document["step"]), units, requests, bool(document["full"]), squares)


def _count(told: object) -> int:
    """A number that a server counted.

    Raises:
        TypeError, ValueError: it is none, or none that anybody reaches by counting.
    """
    if not isinstance(told, int):
        raise TypeError(f"{told!r} is no count")
    if not 0 <= told < LARGEST:
        raise ValueError("a count beyond all that can be counted")
    return told


class TrueShares(NamedTuple):
    """What the arms of the present step truly got.

    Args:
        users: users seen, per arm.
        requests: requests, per arm, of users or not; what stable answered instead is the candidate's.
        spread: how the requests spread over users, per arm, as the arm's own server tells.
        failed: of the candidate's arm, those whom stable answered instead, as stable's server tells.
        both: users who were seen in both arms.
        covered: requests of stable's arm that the candidate answered instead, as its server tells.
        problem: why nothing that the canary counts can be trusted; None: nothing is amiss.
        confirmed: the gateway's own counts, or stable's server, show the problem, too; the candidate's word
            alone holds it back, and excuses nothing.
    """

    users: Mapping[Role, int]
    requests: Mapping[Role, int]
    spread: Mapping[Role, Users] = {}
    failed: Users = Users()
    both: int = 0
    covered: int = 0
    problem: str | None = None
    confirmed: bool = False

    def share(self, kind: Kind) -> float | None:
        """The candidate's share of users or requests; None before the first."""
        counts = self.users if kind == "users" else self.requests
        total = sum(counts.values())
        return counts[Role.CANDIDATE] / total if total else None

    @property
    def disputed(self) -> str | None:
        """What the candidate's server tells of its users and is not believed; None: nothing."""
        return dispute(self.spread, self.failed)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"users": dict(self.users), "requests": dict(self.requests)} | {
            "both": self.both, "covered": self.covered, "problem": self.problem,
            "confirmed": self.confirmed, "disputed": self.disputed,
        }  # fmt: skip


_NOBODY = dict.fromkeys(ROLES, Users())


class _Step:
    """What is known of one step."""

    def __init__(self, serial: int, split: float) -> None:
        self.serial, self.chance = serial, split / 100
        self.spread: dict[Role, dict[Role, Users]] = {}
        self.users: dict[Role, set[int]] = {role: set() for role in ROLES}
        self.asked = dict.fromkeys(ROLES, 0.0)
        self.noted = dict.fromkeys(ROLES, 0)
        self.full = False

    @property
    def seen_in_both(self) -> int:
        return len(self.users[Role.STABLE] & self.users[Role.CANDIDATE])

    @property
    def off(self) -> float:
        """Standard errors by which the gateway's share of requests is off; needs no word of the candidate.

        The requests count for as many as stable's users make them.
        """
        total, told = sum(self.asked.values()), self.spread.get(Role.STABLE, _NOBODY)[Role.STABLE]
        if not total or not told.requests or not 0 < self.chance < 1:
            return 0.0
        error = math.sqrt(self.chance * (1 - self.chance) * told.per_user / total)
        return (self.asked[Role.CANDIDATE] / total - self.chance) / error


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
        self._confirmed = False
        self._more: bool | None = None

    def enter(self, step: int, split: float) -> None:
        """A step begins: the serial of its entry in the history, and the percentage."""
        if step != self._step.serial:
            self._step, self._pending = _Step(step, split), []
            self._requests_seen.clear()

    def add(self, pages: Mapping[Role, ArmsPage | None], asked: Mapping[Role, float] | None = None) -> None:
        """Take in what both servers told since the last time; None: one did not.

        Units of one server alone are kept until the other has told too, or it would seem to have nobody.
        The gateway sends stable's arm to nobody but stable, so what else is told of it is left out.

        ``asked`` are requests of each arm since the last time, as the gateway counted them; None: not known.
        """
        step = self._step
        for role, requests in (asked or {}).items():
            step.asked[role] += requests
        told = {role: page for role, page in pages.items() if page is not None and page.step <= step.serial}
        for role, page in told.items():
            # a server that nobody came to in this step is still at the one before
            if page.step == step.serial:
                step.noted[role] += len(page.units)
                step.full |= page.full or step.noted[role] > MOST
                step.spread[role] = {arm: Users(page.requests[arm], page.squares[arm]) for arm in ROLES}
                if not step.full:
                    self._pending += [unit for unit in page.units if role in (Role.STABLE, unit.arm)]
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
        by_stable, by_candidate = (step.spread.get(role, _NOBODY) for role in (Role.STABLE, Role.CANDIDATE))
        # stable's arm comes to stable alone; what the candidate failed at came to both, and is one request
        told = {
            Role.STABLE: by_stable[Role.STABLE],
            Role.CANDIDATE: max(by_stable[Role.CANDIDATE], by_candidate[Role.CANDIDATE]),
        }
        return TrueShares(
            users={role: len(step.users[role]) for role in ROLES},
            requests={role: int(found.requests) for role, found in told.items()},
            spread=told,
            failed=by_stable[Role.CANDIDATE],
            both=step.seen_in_both,
            covered=int(by_candidate[Role.STABLE].requests),
            problem=self._problem,
            confirmed=self._problem is not None and self._confirmed,
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
        if low < split < high:
            self._parts[name] = (low, split) if arm == Role.CANDIDATE else (split, high)
            return (split - low) / (high - low)
        return None

    def _look(self) -> None:
        step, needed = self._step, math.log(len(self._bets) / FALSE_ALARM)
        for kind, bets in self._bets.items():
            if self._problem is None and bets.log_e >= needed:
                counts = self._counts[kind]
                total, got = sum(counts.values()), counts[Role.CANDIDATE]
                self._more = got > self._expected[kind]
                self._problem = (
                    f"the split is broken: of {total:,} {_WHAT[kind]} {got:,} came to the candidate's arm, "
                    f"where {self._expected[kind]:,.0f} were to be expected; see the gateway's routes"
                )
        both, users = step.seen_in_both, len(set().union(*step.users.values()))
        if self._problem is None and both >= max(BOTH_USERS, BOTH * users):
            # stable's server told of each of them that the gateway routed it to stable
            self._confirmed = True
            self._problem = (
                f"the split is broken: {both:,} of {users:,} users came to both arms in one step; "
                "the gateway does not keep users of one x-user-id together"
            )
        elif self._more is not None and 0 < step.chance < 1:
            self._confirmed = (step.off if self._more else -step.off) >= SIGMAS
