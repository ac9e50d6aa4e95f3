"""One kept-alive connection of the load: a request is written, its answer is parsed as it comes."""

from __future__ import annotations

import contextlib
import socket as blocking
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent.socket
import gevent.ssl
from gevent import getcurrent
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from contract.headers import MODEL_VERSION, REQUEST_ID, TRACEPARENT
from loadtest.load.sending.error_phrases import TooLargeError

LARGEST = 16 * 2**20
"""Bytes of an answer with its head; hundreds may come at once."""

_CHUNK = 65536
_REQUEST_ID = REQUEST_ID.encode()
_TRACEPARENT = b"\r\n%b: " % TRACEPARENT.encode()


class StaleConnection(Exception):  # noqa: N818 - it names what happened
    """A kept-alive connection ended before the first byte of the answer."""


ENDED = (ConnectionError, gevent.ssl.SSLEOFError, gevent.ssl.SSLZeroReturnError)
"""How a connection ends; a time-out is no end."""


class _Parser(HTTPResponseParser):
    """Keeps the status, the body and who answered; one for all answers on a connection.

    What a server sends after its answer, such as a 408 on its way out, nobody asked for: the first stands.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        self.whole = False
        self.keep_alive = False
        self.status = 0
        self.body = bytearray()
        self.role: str | None = None
        self._field = ""
        self._in_value = False

    def _on_message_begin(self) -> None:
        if self.whole:
            self.keep_alive = False
            return
        self.begun = True
        self.body.clear()
        self.role = None
        self._field = ""
        self._in_value = False

    def _on_status(self, reason: str) -> None:
        """The reason phrase says nothing that the code does not."""

    def _on_header_field(self, text: str) -> None:
        self._field = text if self._in_value else self._field + text
        self._in_value = False

    def _on_header_value(self, text: str) -> None:
        self._in_value = True
        if not self.whole and self._field.lower() == MODEL_VERSION:
            self.role = (self.role or "") + text

    def _on_headers_complete(self) -> bool:
        return False

    def _on_body(self, data: bytes) -> None:
        if not self.whole:
            self.body += data

    def _on_message_complete(self) -> None:
        if self.get_code() >= 200 and not self.whole:  # not an interim answer
            self.whole = True
            self.status = self.get_code()
            self.keep_alive = self.should_keep_alive()


class PatientSocket(gevent.socket.socket):  # type: ignore[misc]  # gevent has no types here
    """Waits before it reads, as right after a request there is no answer yet: gevent's own reads in vain and
    then makes a ``Timeout``, and both are seen in the rate that one core can send."""

    def recv(self, *args: Any) -> bytes:
        """As gevent's."""
        if not self.timeout:  # without a limit, or without waiting
            return bytes(super().recv(*args))
        data: bytes | None = None
        # as a Timeout's: an answer that is there goes first
        timer = self.hub.loop.timer(self.timeout, ref=False, priority=-1)
        # from now on, not from when the loop last looked at the clock: no request times out early
        timer.start(getcurrent().throw, TimeoutError, update=True)
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


class Reply(NamedTuple):
    """A whole answer: its HTTP status, its body, who says to have answered, what is wrong with it (None:
    nothing that can be seen from here), and whether the connection may be used again."""

    status: int
    body: bytes
    role: str | None
    error: str | None
    keep_alive: bool


class Connection:
    """One connection and its parser."""

    def __init__(self, sock: gevent.socket.socket, tls: bool, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._tls = tls
        self._clock = clock
        self.parser = _Parser()
        self.used = self.heard = False
        self.idle_since = 0.0

    def is_open(self) -> bool:
        """Whether the server left the idle connection open, and said nothing on it."""
        try:
            if self._tls:
                self._sock.settimeout(0.0)
                self._sock.recv(1)  # reads over session tickets; there is no answer to lose
            else:
                self._sock._sock.recv(1, blocking.MSG_PEEK)
        except gevent.ssl.SSLWantReadError:
            return True
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return False

    def exchange(
        self, head: bytes, body: bytes, request_id: bytes, deadline: float, traceparent: bytes = b""
    ) -> None:
        """Send a request and read its answer.

        ``head`` goes up to the length of the body, as ``Client.head`` makes it. ``deadline`` is on the clock
        of the connection.

        Raises:
            StaleConnection: the connection had served before, and ended before the first byte of the answer.
            TimeoutError: the deadline passed.
            TooLargeError: the answer has more than ``LARGEST`` bytes.
            OSError, HTTPParseError: the connection broke, or the answer is not HTTP.
        """
        self.parser.begun = self.parser.whole = self.heard = False
        traced = _TRACEPARENT + traceparent if traceparent else b""
        try:
            self._exchange(
                b"%b%d\r\n%b: %b%b\r\n\r\n%b" % (head, len(body), _REQUEST_ID, request_id, traced, body),
                deadline,
            )
        except ENDED as error:
            if self.used and not self.heard:
                raise StaleConnection from error
            raise
        self.used = True

    @property
    def begun(self) -> bool:
        """Whether the first bytes of the answer came."""
        return self.parser.begun

    @property
    def reply(self) -> Reply:
        """The answer to the last exchange."""
        parser = self.parser
        return Reply(parser.status, bytes(parser.body), parser.role, None, parser.keep_alive)

    def _exchange(self, request: bytes, deadline: float) -> None:
        sock, parser = self._sock, self.parser
        sock.settimeout(time_left(deadline, self._clock()))
        sent, received = sock.send(request), 0
        while sent < len(request):
            sock.settimeout(time_left(deadline, self._clock()))
            sent += sock.send(memoryview(request)[sent:])
        while not parser.whole:
            sock.settimeout(time_left(deadline, self._clock()))
            data = sock.recv(_CHUNK)
            received += len(data)
            if received > LARGEST:
                raise TooLargeError
            if data:
                self.heard = True
                self._feed(data)
            else:
                self._end()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed(data)
        except HTTPParseError:
            if not self.parser.whole:
                raise
            self.parser.keep_alive = False

    def _end(self) -> None:
        """The server closed: this ends an answer without a length, and breaks off any other."""
        with contextlib.suppress(HTTPParseError):
            self.parser.feed(b"")
        if not self.parser.whole:
            raise ConnectionAbortedError

    def close(self) -> None:
        """Close it at once."""
        self._sock.close()


def time_left(deadline: float, now: float) -> float:
    """Seconds until the deadline; TimeoutError: it has passed."""
    left = deadline - now
    if left <= 0:
        raise TimeoutError
    return left
