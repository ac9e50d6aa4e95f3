"""Ctrl-C, SIGTERM and SIGHUP at moments where they would lose track of a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_deferred(*, drop: bool = False) -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block has ended, then let them act, or drop them.

    The block must be bounded in time. In other threads, which no signal interrupts, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    # a handler, where a blocked or ignored signal would be inherited by what the block starts
    before = {
        number: signal.signal(number, lambda number, _: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for held in () if drop else caught:
            signal.raise_signal(held)
