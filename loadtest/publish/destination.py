"""A destination takes a finished verdict; whatever becomes of that, the verdict and its exit code stand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from loadtest.errors import LoadproofError, TargetError
from loadtest.publish.stored_verdict import StoredVerdict, hosts_only


class Destination(Protocol):
    """Where a verdict goes."""

    name: str
    """Whom it goes to, in a person's words."""
    retry: str
    """The options of ``loadproof publish RUN`` that try again."""

    def deliver(self, stored: StoredVerdict) -> str:
        """Deliver a verdict, in bounded time; returns one line that says what was done.

        Raises:
            TargetError: it was not delivered, and why.
        """


def within(seconds: float, what: str, action: Callable[[], str]) -> str:
    """What ``action`` returns, if it does so in time; it goes on by itself where it does not.

    Raises:
        TargetError: it raised something, or took longer.
    """
    done = threading.Event()
    result: list[str | BaseException] = []

    def run() -> None:
        try:
            result.append(action())
        except BaseException as error:  # a library may even exit
            result.append(error)
        done.set()

    # a daemon: a server that hangs does not hold the command's exit
    threading.Thread(target=run, daemon=True).start()
    if not done.wait(seconds):
        raise TargetError(f"{what} did not answer within {seconds:g} s")
    (found,) = result
    if isinstance(found, str):
        return found
    if isinstance(found, LoadproofError):
        raise found
    raise TargetError(in_one_line(found))


def in_one_line(error: BaseException) -> str:
    """An error of somebody else's library, without what a URL in it may give away."""
    text = " ".join(hosts_only(str(error)).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
