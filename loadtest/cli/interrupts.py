"""Ctrl-C during a verb that starts things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loadtest.errors import Interrupted


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn Ctrl-C into the error that says so.

    Raises:
        Interrupted: with the notes that the interrupt got on its way here, such as where samples were kept.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(
            " ".join(["interrupted; what was started is stopped", *getattr(stop, "__notes__", ())])
        ) from None
