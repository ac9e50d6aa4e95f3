"""A lab that stays up for a canary: what ends is started again, as ``docker compose up`` does it."""

from __future__ import annotations

import time
from collections.abc import Callable

from loadtest.errors import LabError
from loadtest.lab.interface import Lab

CHECK_EVERY = 0.5
LONGEST_PAUSE = 30.0
STEADY = 10.0
"""Seconds after which a service that was started again has started well: its next end is a new one."""


class Keeper:
    """Starts a lab's services again when they end, each time after a longer pause::

    keeper = Keeper(lab, say)
    while True:
        keeper.check()
        time.sleep(CHECK_EVERY)
    """

    def __init__(
        self, lab: Lab, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lab = lab
        self._say = say
        self._clock = clock
        self._pause: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._started: dict[str, float] = {}

    def check(self) -> None:
        """Look once, and start again what has ended and is due."""
        for service in self._lab.ended():
            started = self._started.pop(service, None)
            if started is not None and self._clock() - started >= STEADY:
                del self._pause[service], self._not_before[service]
            if self._clock() < self._not_before.get(service, 0.0):
                continue
            pause = self._pause[service] = min(2 * self._pause.get(service, CHECK_EVERY), LONGEST_PAUSE)
            try:
                self._lab.restart(service)
            except LabError as error:
                self._say(f"{service} ended and does not start again ({error}); next try in {pause:g} s")
            else:
                self._started[service] = self._clock()
                self._say(f"{service} ended and was started again")
            self._not_before[service] = self._clock() + pause
