"""How many bytes of bodies are worked on at a time, so that no number of strangers fills the memory.

A body of ``[[],[],...`` takes 25 times its length once it is parsed, and a server has some hundred megabytes.
So a body waits, unread, until there is room for it. Small bodies have a room of their own, and never wait for
large ones; the smallest, which most requests are, wait for nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from services.model_server.errors import DeadlinePassed, QueueFull

FREE, SMALL = 4 * 2**10, 64 * 2**10
"""Bytes of a body up to which it waits for nobody, and up to which it is a small one."""
MOST_WAITING = 32
"""Bodies that wait for each room; one more is refused."""

_NOBODY = nullcontext()
"""What to wait for where there is nobody to wait for."""


class BodyRoom:
    """``with room.of(length, deadline): ...`` reads a body, works on it, and lets go of it.

    Args:
        largest: bytes of the largest body, one of which is worked on at a time.
        clock: seconds, monotonic; deadlines are on it.
    """

    def __init__(self, largest: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._small, self._large = _Room(max(largest // 4, SMALL)), _Room(max(largest, SMALL))

    def of(self, length: int, deadline: float) -> AbstractContextManager[None]:
        """Wait until there is room for so many bytes, and keep it inside.

        Raises:
            QueueFull: too many wait.
            DeadlinePassed: there was no room in time.
        """
        return _NOBODY if length <= FREE else self._taken(length, deadline)

    @contextmanager
    def _taken(self, length: int, deadline: float) -> Iterator[None]:
        room = self._small if length <= SMALL else self._large
        room.take(length, max(deadline - self._clock(), 0.0))
        try:
            yield
        finally:
            room.give_back(length)


class _Room:
    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self, size: int, within: float) -> None:
        with self._changed:
            if self._free < size:
                if self._waiting >= MOST_WAITING:
                    raise QueueFull
                self._waiting += 1
                try:
                    if not self._changed.wait_for(lambda: self._free >= size, within):
                        raise DeadlinePassed
                finally:
                    self._waiting -= 1
            self._free -= size

    def give_back(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()
