"""Waking up on time inside gevent.

gevent's own timers wake about a millisecond late (epoll counts in milliseconds), which would be part of every
latency; a Linux timerfd wakes within about a tenth of that.
"""

from __future__ import annotations

import ctypes
import os
import sys
from time import clock_gettime_ns, perf_counter

import gevent

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``: interval (seconds, nanoseconds), then first expiry (seconds, nanoseconds)."""

    _fields_ = (("interval", ctypes.c_long * 2), ("expiry", ctypes.c_long * 2))


class Timer:
    """``Timer().wait_until(moment)`` returns at ``moment`` (``perf_counter``), seldom early, little late."""

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            self._readable = gevent.get_hub().loop.io(self._fd, 1)

    def wait_until(self, moment: float) -> None:
        """Let other greenlets run until ``moment``; at once where that is past."""
        seconds = moment - perf_counter()
        if seconds <= 0:
            return
        if self._fd < 0:
            gevent.sleep(seconds)
            return
        at = clock_gettime_ns(_CLOCK_MONOTONIC) + int(seconds * 1e9)
        spec = _TimerSpec((0, 0), divmod(at, 10**9))
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None)
        gevent.get_hub().wait(self._readable)
        os.read(self._fd, 8)

    def close(self) -> None:
        """Give the timer back; idempotent."""
        if self._fd >= 0:
            self._readable.close()
            os.close(self._fd)
            self._fd = -1
