"""Who came by which arm of the canary's split: what a controller needs to see whether the split is true.

The gateway marks each unpinned request with its step and the arm it chose. What stable answers instead of
the candidate keeps the candidate's arm, so failures of a version never look like a broken split. A unit is a
user, or a request that names none; it is told as a hash, once per step and arm, page by page::

    arms = Arms()
    arms.came(environ)
    arms.page(after=0)["units"]     # [[hash, arm, 1 for a user], ...]
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any

from contract.arms import ARMS
from contract.headers import CANARY_ARM, CANARY_STEP, REQUEST_ID, SHADOW, USER_ID, in_wsgi
from contract.shadow import COPY

PAGE = 5000
"""The most units of one page."""
STRAGGLERS = 30.0
"""Seconds in which requests of an earlier step may still come; later it is the step of a new state."""

_STEP, _ARM, _USER, _ID, _SHADOW = map(in_wsgi, (CANARY_STEP, CANARY_ARM, USER_ID, REQUEST_ID, SHADOW))
_NUMBERS = {arm: number for number, arm in enumerate(ARMS)}

_DIGITS = 19
"""A step of as many or more is none of the gateway's: Python reads no number without end."""

Unit = tuple[int, int, int]
"""The hash, the number of the arm, and 1 for a user or 0 for a request without one."""


class Arms:
    """The units of the latest step, in bounded memory; thread-safe.

    Args:
        capacity: units kept; later ones are not, and the page says so.
        clock: seconds that never go back.
    """

    def __init__(self, capacity: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity, self._clock = capacity, clock
        self._name = os.urandom(8).hex()
        self._lock = threading.Lock()
        self._step, self._last, self._full = -1, 0.0, False
        # a dictionary keeps the order in which they came
        self._units: dict[Unit, int] = {}
        self._requests, self._squares = [0] * len(ARMS), [0] * len(ARMS)

    def came(self, environ: Mapping[str, Any]) -> None:
        """Note whose request this is, by its WSGI environment; without the gateway's marks it is nobody's."""
        step, arm = step_of(environ), _NUMBERS.get(environ.get(_ARM, ""))
        if step is None or arm is None or environ.get(_SHADOW) == COPY:
            return
        user = user_of(environ)
        name = user or environ.get(_ID, "")
        unit = (hash_of(name), arm, int(bool(user)))
        with self._lock:
            if self._begins(step):
                self._requests[arm] += 1
                before = self._units.get(unit, 0)
                # so that the sum of squares follows without going through all units
                self._squares[arm] += 2 * before + 1
                self._full |= not before and len(self._units) >= self._capacity
                if before or (name and not self._full):
                    self._units[unit] = before + 1

    def _begins(self, step: int) -> bool:
        """Whether a request is of the latest step, which it may itself begin."""
        now = self._clock()
        if step < self._step and now - self._last < STRAGGLERS:
            return False
        if step != self._step:
            self._step, self._full = step, False
            self._units = {}
            self._requests, self._squares = [0] * len(ARMS), [0] * len(ARMS)
        self._last = now
        return True

    def page(self, after: int) -> dict[str, Any]:
        """The next units, oldest first, as JSON can carry them.

        Args:
            after: units of this step that the reader has had: ``next`` of its last page, or 0.

        Returns:
            ``ring`` changes when the server starts again and ``step`` with the gateway's routes: both begin
            the numbers anew. ``next`` is what to ask for next time, ``more`` whether to ask at once, ``full``
            whether units were left out, ``requests`` those of the step by arm, ``squares`` the sum over units
            of their requests squared.
        """
        with self._lock:
            begin = min(after, len(self._units))
            found = list(islice(self._units, begin, begin + PAGE))
            end = begin + len(found)
            return {
                "ring": self._name,
                "step": self._step,
                "next": end,
                "more": end < len(self._units),
                "full": self._full,
                "requests": dict(zip(ARMS, self._requests, strict=True)),
                "squares": dict(zip(ARMS, self._squares, strict=True)),
                "units": found,
            }


def step_of(environ: Mapping[str, Any]) -> int | None:
    """The canary's step that a request is of, from its WSGI environment; None: the gateway set none."""
    step = environ.get(_STEP, "")
    return int(step) if step.isascii() and step.isdigit() and len(step) < _DIGITS else None


def user_of(environ: Mapping[str, Any]) -> str:
    """The user by whom the gateway split a request, from its WSGI environment; empty: it names none.

    Blank is what is blank to the gateway. A byte that only Python takes for a space names a user there: who
    sends one would else choose an arm, and be a new user with every request.
    """
    user: str = environ.get(_USER, "")
    return user.strip(" \t")


def hash_of(name: str) -> int:
    """What is told of a user instead of the name; of 56 bits, so that JSON carries it."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest())
