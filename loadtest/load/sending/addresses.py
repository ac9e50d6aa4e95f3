"""The addresses of the target's name: whose turn it is, and when the name is looked up again."""

from __future__ import annotations

import socket as blocking
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import gevent
import gevent.socket

Address: TypeAlias = tuple[int, tuple[object, ...]]
"""Its family, and what ``connect`` takes."""

Resolved = tuple[int, int, int, str, tuple[object, ...]]


def resolved(host: str, port: int) -> Iterable[Resolved]:
    """The addresses of a name, as ``getaddrinfo`` gives them."""
    found: Iterable[Resolved] = gevent.socket.getaddrinfo(host, port, type=blocking.SOCK_STREAM)
    return found


class Addresses:
    """The addresses of one name, for the connections of many greenlets.

    Each connection begins with another one. An address that fails while another one works is left out; when
    all fail, the name is looked up again. That needs a thread, which may get no CPU while this one is busy:
    so there is one lookup at a time, and until it ends all but the first who asks go on with the addresses
    that were known.

    Args:
        host: the name, or an address.
        port: of the target.
        resolve: gives the addresses of a name, as ``getaddrinfo`` does.
    """

    def __init__(self, host: str, port: int, resolve: Callable[[str, int], Iterable[Resolved]]) -> None:
        self._host, self._port, self._resolve = host, port, resolve
        self._known: list[Address] = []
        self._stale = True
        self._lookup: gevent.Greenlet[[], Exception | None] | None = None

    def look_up(self, seconds: float) -> None:
        """Wait so long for the addresses.

        Raises:
            TimeoutError: they did not come in time; who asks next still gets them.
            OSError: the name is not known.
        """
        if self._lookup is None:
            self._lookup = gevent.spawn(self._ask)
        lookup = self._lookup
        lookup.join(seconds)
        if not lookup.ready():
            raise TimeoutError
        if error := lookup.value:
            raise error.with_traceback(None)  # each waits with a stack of its own

    def _ask(self) -> Exception | None:
        try:
            found = self._resolve(self._host, self._port)
            self._known = [(family, address) for family, _, _, _, address in found]
            self._stale = False
        except Exception as error:
            return error  # for all who wait
        finally:
            self._lookup = None
        return None

    def in_turn(self, left: Callable[[], float]) -> list[Address]:
        """All of them; the first one is another one each time.

        ``left`` gives the seconds that a lookup may take, where one is needed. Errors are those of
        ``look_up``.
        """
        if self._stale and (self._lookup is None or not self._known):
            self.look_up(left())
        turn = self._known
        self._known = [*turn[1:], *turn[:1]]
        return turn

    def failed(self, failed: Sequence[Address], then: Address | None = None) -> None:
        """These could not be had; ``then`` could, and has had its turn."""
        rest = [address for address in self._known if address not in failed and address != then]
        if then in self._known:
            rest.append(then)
        if rest:
            self._known = rest
        else:
            self._stale = True
