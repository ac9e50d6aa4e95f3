"""The canary's state: an append-only history, whose last entry is in force.

::

    state = State.begin(Deployment(Role.STABLE, "v1"), Deployment(Role.CANDIDATE, "v2"), note)
    state = state.set(10, Note("ann", "first step", now))
    state.now.percent, state.now.mode       # 10.0, "split"
    state = state.promote(Note("ann", "better", now))
    state.now.stable                        # Deployment(Role.CANDIDATE, "v2"): roles swap, nothing is rebuilt
    state.services                          # {Role.STABLE: Role.CANDIDATE, Role.CANDIDATE: Role.STABLE}
    state = state.rollback(Note("ann", "worse after all", now))

Every change is a pure function from a state to the next one; ``codec`` turns a state into the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from loadtest.errors import UsageError
from loadtest.experiment.role import Role

Mode = Literal["split", "shadow", "off"]
"""What unpinned traffic does: a share goes to the candidate, all of it is mirrored, or neither."""

Action = Literal["begin", "set", "shadow", "hold", "promote", "rollback"]


class Deployment(NamedTuple):
    """A running version: its service, named once after its first role, and what it serves ("": unknown)."""

    service: Role
    version: str


@dataclass(frozen=True)
class Note:
    """What a change of the state carries with it: ``Note("ann", "first step", datetime.now(UTC))``.

    Args:
        by: the person, or ``auto``.
        why: one line.
        at: when, with a time zone.
        evidence: what a controller decided upon; whatever JSON can carry.
    """

    by: str
    why: str
    at: datetime
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One entry of the history: what was done, and what has been in force since.

    Args:
        serial: 1, 2, 3 ... without a hole.
        action: what was done.
        mode: see ``Mode``.
        percent: the split, 0 to 100; 0 unless the mode is ``split``.
        stable: which deployment plays stable from now on.
        candidate: and which the candidate.
        note: by whom, why, when, on what evidence.
        fallback: what stable fails at, the candidate answers; only while it has users of its own.
    """

    serial: int
    action: Action
    mode: Mode
    percent: float
    stable: Deployment
    candidate: Deployment
    note: Note
    fallback: bool = False


@dataclass(frozen=True)
class State:
    """The whole history, oldest first; never empty."""

    history: tuple[Entry, ...]

    @property
    def now(self) -> Entry:
        """What is in force."""
        return self.history[-1]

    @property
    def services(self) -> dict[Role, Role]:
        """Per role the service that plays it now."""
        return {Role.STABLE: self.now.stable.service, Role.CANDIDATE: self.now.candidate.service}

    @property
    def since(self) -> datetime:
        """When the split, the mode and the roles in force were set; holding changes none of them."""
        return self.last_change.note.at

    @property
    def last_change(self) -> Entry:
        """The entry that brought about what is in force: the last one that did not only hold."""
        return next(entry for entry in reversed(self.history) if entry.action != "hold")

    @classmethod
    def begin(cls, stable: Deployment, candidate: Deployment, note: Note, percent: float = 0.0) -> State:
        """The state of a new lab.

        Raises:
            UsageError: the percentage is not one.
        """
        percent = check_percent(percent)
        return cls((Entry(1, "begin", "split" if percent else "off", percent, stable, candidate, note),))

    def begin_again(self, stable: Deployment, candidate: Deployment, note: Note) -> State:
        """Other versions were deployed: the candidate, of which nothing is known, gets no traffic."""
        return self._next("begin", note, mode="off", percent=0.0, stable=stable, candidate=candidate)

    def set(self, percent: float, note: Note, *, fallback: bool = False) -> State:
        """Give the candidate this share of unpinned traffic.

        ``percent`` is 0 to 100. ``fallback`` lets the candidate also answer what stable fails at; without a
        share it gets nothing.

        Raises:
            UsageError: the percentage is not one.
        """
        percent = check_percent(percent)
        mode: Mode = "split" if percent else "off"
        return self._next("set", note, mode=mode, percent=percent, fallback=fallback and percent > 0)

    def shadow(self, note: Note) -> State:
        """Mirror unpinned traffic to the candidate; users get stable's answers only."""
        return self._next("shadow", note, mode="shadow", percent=0.0)

    def hold(self, note: Note) -> State:
        """Record that what is in force stays in force."""
        return self._next("hold", note, fallback=self.now.fallback)

    def promote(self, note: Note) -> State:
        """Make the candidate the new stable; the old one stays deployed, as the candidate without traffic."""
        now = self.now
        return self._next(
            "promote", note, mode="off", percent=0.0, stable=now.candidate, candidate=now.stable
        )

    def rollback(self, note: Note) -> State:
        """Take the candidate out of the traffic; straight after a promotion, undo the promotion.

        Only straight after: a rollback that is asked for twice must not bring back, the second time, a
        version that nobody thinks of any more.
        """
        now = self.now
        if self.is_promoted:
            return self._next("rollback", note, stable=now.candidate, candidate=now.stable)
        return self._next("rollback", note, mode="off", percent=0.0)

    @property
    def can_roll_back(self) -> bool:
        """Whether a rollback would change what users get or what the candidate is sent."""
        return self.now.mode != "off" or self.is_promoted

    @property
    def is_promoted(self) -> bool:
        """Whether the last change was a promotion: another one would put the old version back."""
        return self.last_change.action == "promote"

    def _next(self, action: Action, note: Note, fallback: bool = False, **changes: Any) -> State:
        # whatever changes ends the fallback, unless it says otherwise: who is taken out answers for nobody
        entry = replace(
            self.now, serial=self.now.serial + 1, action=action, note=note, fallback=fallback, **changes
        )
        return State((*self.history, entry))


def check_percent(percent: float) -> float:
    """The percentage itself.

    Raises:
        UsageError: it is not between 0 and 100, or finer than the gateway's weights.
    """
    # written so that NaN is refused too
    if not 0 <= percent <= 100:
        raise UsageError(f"a split of {percent:g}% is not between 0 and 100")
    if percent != round(percent, 2):
        raise UsageError(f"a split of {percent}% is finer than the gateway's steps of 0.01%")
    return float(percent)


Change = Callable[[State], State]
"""A pure change; it may raise a ``LoadproofError`` to leave everything as it is."""


class Store(Protocol):
    """Where the state of one running lab lies, and through it the gateway's routes."""

    def read(self) -> State:
        """The state now.

        Raises:
            StateError: the file cannot be read.
        """

    def update(self, change: Change) -> State:
        """Read, change and write the state and what derives from it, while nobody else can.

        State and routes change in one rename: a kill at any moment leaves both old or both new. Returns when
        the gateway says that the routes are in force.

        Raises:
            StateError: the file cannot be read.
            LabError: the gateway did not apply the routes; the state says what was asked for.
        """

    def lead(self, owner: str) -> AbstractContextManager[None]:
        """Be the one controller of this lab for as long as the context lasts.

        The kernel holds the lock for a living process only: what a killed controller leaves is taken over.

        Args:
            owner: who this is, for the message that a second controller gets.

        Raises:
            ControllerError: another one leads; the message names it.
        """
