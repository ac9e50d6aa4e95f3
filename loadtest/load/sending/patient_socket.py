"""A socket that waits for an answer before it reads, as there is none yet right after a request."""

from __future__ import annotations

from typing import Any

import gevent.socket
from gevent import getcurrent


class PatientSocket(gevent.socket.socket):  # type: ignore[misc]  # gevent has no types here
    """As gevent's, which first reads in vain and then makes a ``Timeout``: both are seen in the rate that one
    core can send."""

    def recv(self, *args: Any) -> bytes:
        """As gevent's."""
        if not self.timeout:  # without a limit, or without waiting
            return bytes(super().recv(*args))
        data: bytes | None = None
        timer = self.hub.loop.timer(self.timeout, ref=False)
        timer.start(getcurrent().throw, TimeoutError)
        try:
            while data is None:
                self.hub.wait(self._read_event)
                try:
                    data = self._sock.recv(*args)
                except BlockingIOError:  # woken for nothing
                    continue
        finally:
            timer.stop()
            timer.close()
        return data
