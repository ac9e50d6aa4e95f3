"""How long a request has waited between the gateway and this server, where no queue of ours can be asked.

The gateway writes into ``x-request-start`` when it had the request, as load balancers do: ``t=`` and seconds
since 1970. Its clock and ours may be apart, and either may be set while they run. So the two are never held
against each other: what counts is by how much the difference has grown beyond the least that was seen. A wait
cannot grow faster than time passes in which this server is busy; what grows faster is a clock that was set.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from contract.headers import REQUEST_START, in_wsgi

_REQUEST_START = in_wsgi(REQUEST_START)
_START = re.compile(r"t=[0-9]{1,12}(\.[0-9]{1,9})?")
_TOLERANCE = 0.25
"""Seconds by which requests overtake one another on their way."""
_DRIFT = 5e-4
"""Seconds per second by which clocks drift apart at most."""


class GatewayQueue:
    """``begin`` and ``end`` surround each request; safe for threads.

    Args:
        clock: seconds, monotonic.
        wall: seconds since 1970; read once, so that it may be set at any time.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._since_1970 = wall() - clock()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._idle_since = clock()
        self._idle = 0.0
        self._last: tuple[float, float, float] | None = None
        self._offset: float | None = None

    @property
    def offset(self) -> float:
        """Seconds that this clock is ahead of the gateway's, with the quickest request's way; 0: unknown."""
        return self._offset or 0.0

    def begin(self, environ: Mapping[str, Any]) -> float:
        """Seconds that a request has waited, by its WSGI environment; 0 where the gateway does not say."""
        now = self._clock()
        given = environ.get(_REQUEST_START, "")
        with self._lock:
            if not self._in_flight:
                self._idle += now - self._idle_since
            self._in_flight += 1
            if not _START.fullmatch(given):
                return 0.0
            return self._waited(now, now + self._since_1970 - float(given[2:]))

    def end(self) -> None:
        """A request has its answer."""
        with self._lock:
            self._in_flight -= 1
            self._idle_since = self._clock()

    def _waited(self, now: float, age: float) -> float:
        idle = self._idle
        if self._last is None or self._offset is None:
            self._offset = age
        else:
            at, before, idle_then = self._last
            passed, grown = now - at, age - before
            self._offset += _DRIFT * passed
            if grown > passed - (idle - idle_then) + _TOLERANCE:
                self._offset += grown
        self._last = now, age, idle
        self._offset = min(self._offset, age)
        return age - self._offset
