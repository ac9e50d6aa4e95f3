"""Connections whose request does not end are cut, so that each holds one of the server's threads for a time.

granian's WSGI input waits for a body without a deadline, and tells nobody whose connection it is. The kernel
knows which connections owe an answer: bytes came in after the last that went out. Such a connection that
gets nothing for ``PATIENCE`` seconds is shut down, and the thread that reads it goes on. Nothing is looked at
unless a thread has waited for a body for so long, so a whole request costs two dictionary operations.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PATIENCE = 15.0
"""Seconds: longer than any whole request takes to be answered; the model gives up after 10."""

_UINT32, _UINT64 = struct.Struct("=I"), struct.Struct("=Q")
_LAST_SENT_AT, _LAST_RECEIVED_AT, _ACKED_AT = 44, 52, 120
"""Offsets in the kernel's ``struct tcp_info``, whose beginning never changes (linux/tcp.h)."""
_SIZE = 128


class Readers:
    """The threads that read a body now, and since when; thread-safe by the interpreter's own lock.

    A thread that reads is inside ``with readers: ...``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[int, float] = {}

    def __enter__(self) -> None:
        self._since[threading.get_ident()] = self._clock()

    def __exit__(self, *raised: object) -> None:
        del self._since[threading.get_ident()]

    def overdue(self) -> bool:
        """Whether some thread has read for ``PATIENCE``."""
        before = self._clock() - PATIENCE
        return any(since < before for since in tuple(self._since.values()))


class Reaper:
    """Cuts connections that owe an answer for too long: ``reaper.cut(open_connections())`` every so often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # by inode: what the client had acknowledged when the debt was first seen, and when that was
        self._owing: dict[int, tuple[int, float]] = {}

    def cut(self, connections: Iterable[socket.socket]) -> int:
        """Shut down those that owed at a look ``PATIENCE`` ago, and got nothing since; how many."""
        now = self._clock()
        owing, cut = {}, 0
        for connection in connections:
            try:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
                inode = os.fstat(connection.fileno()).st_ino
                if len(info) < _SIZE or _age(info, _LAST_RECEIVED_AT) > _age(info, _LAST_SENT_AT):
                    continue
                (acked,) = _UINT64.unpack_from(info, _ACKED_AT)
                before, since = self._owing.get(inode, (acked, now))
                owing[inode] = (acked, since if before == acked else now)
                if now - owing[inode][1] >= PATIENCE:
                    connection.shutdown(socket.SHUT_RDWR)
                    cut += 1
            except OSError:  # it was closed meanwhile, or is no connection
                continue
        self._owing = owing
        return cut


def _age(info: bytes, offset: int) -> int:
    """Milliseconds since something happened."""
    return int(_UINT32.unpack_from(info, offset)[0])


def open_connections() -> Iterator[socket.socket]:
    """The TCP connections of this process, each as a copy that is closed when the next one is asked for.

    A socket that listens is none: all its times are 0, and once shut down it takes nobody any more.
    """
    for link in Path("/proc/self/fd").iterdir():
        try:
            if not link.readlink().name.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(link.name))) as copy:
                if copy.family not in (socket.AF_INET, socket.AF_INET6) or copy.type != socket.SOCK_STREAM:
                    continue
                if not copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield copy
        except OSError:  # it was closed meanwhile
            continue


def watch(readers: Readers, interval: float = 1.0) -> None:
    """Look every ``interval`` seconds, in a thread of its own; only Linux says what a connection owes."""
    if sys.platform != "linux":
        return

    def look() -> None:
        reaper = Reaper()
        while True:
            time.sleep(interval)
            if readers.overdue():
                reaper.cut(open_connections())

    threading.Thread(target=look, name="slow-requests", daemon=True).start()
