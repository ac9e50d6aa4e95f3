"""The HTTP client of the load: requests as ready-made bytes, over as many kept-alive connections as it takes.

It exists beside Locust's clients for three reasons: a time-out that covers the whole request and not each
read, one retry where a server closed a connection that it had kept, and a fifth of the CPU time per request.
"""

from __future__ import annotations

import contextlib
import socket as blocking
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import gevent.socket
import gevent.ssl
from geventhttpclient._parser import HTTPParseError

from contract.headers import MODEL_VERSION
from loadtest.data.timings import Timings
from loadtest.load.protocols.form_fields import with_query
from loadtest.load.sending.addresses import Address, Addresses, Resolved, resolved
from loadtest.load.sending.connection import Connection, PatientSocket, StaleConnection, time_left
from loadtest.load.sending.error_phrases import TRUNCATED, is_local, phrase_of

if TYPE_CHECKING:
    from loadtest.load.sending.http2_connection import Http2Connection

MAX_IDLE = 1.5
"""Seconds after which an unused connection is not used again: servers close theirs after 2 s and more."""


class Answer(NamedTuple):
    """What became of one request.

    Args:
        sent_at: when the send began (with opening a connection, where none was free), ``perf_counter``.
        done_at: the last byte, or the moment of giving up, ``perf_counter``.
        status: HTTP status; 0 when no whole answer came in time.
        body: the body; empty when no whole answer came in time.
        role: who says to have answered (header ``x-model-version``); None where nobody says.
        error: None, or why there is no whole answer: a short stable phrase.
        resent: it was sent once more: the kept-alive connection ended before the first byte of the answer.
        timings: where the time went; None: nobody asked for it.
    """

    sent_at: float
    done_at: float
    status: int
    body: bytes
    role: str | None
    error: str | None
    resent: bool = False
    timings: Timings | None = None


Exchanging: TypeAlias = "Connection | Http2Connection"

_QUERY = b"\0"
"""Where in a head the query of each request belongs; no path has it."""
OWN = {"User-Agent": "loadproof", "Accept-Encoding": "identity"}
"""Sent unless the experiment gives another value. Without the second a server may pack its answers as it
likes (RFC 9110, 12.5.3), and no load unpacks them."""


class Client:
    """``Client("http://127.0.0.1:8080", timeout=2.0)``; ``post`` is called from many greenlets at once.

    Args:
        base: base URL, without a trailing slash.
        timeout: seconds that a request may take in all, from the send to the last byte.
        headers: sent with every request.
        pins: the target is a gateway, which is told whom to ask and says who answered.
        content_type: of the bodies; empty: there are none.
        method: of the requests.
        in_query: what is given as a body goes into the URL, as its query.
        clock: seconds; read before each wait for the target.
        resolve: gives the addresses of the target's name, as ``getaddrinfo`` does.
    """

    def __init__(
        self,
        base: str,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        *,
        pins: bool = True,
        content_type: str = "application/json",
        method: str = "POST",
        in_query: bool = False,
        clock: Callable[[], float] = perf_counter,
        resolve: Callable[[str, int], Iterable[Resolved]] = resolved,
    ) -> None:
        self._clock = clock
        self._headers = headers or {}
        self._pins = pins
        self._content_type = content_type
        self._method = method
        self._in_query = in_query
        parts = urlsplit(base)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._netloc = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/")
        self._tls = gevent.ssl.create_default_context() if parts.scheme == "https" else None
        self._timeout = timeout
        self._addresses = Addresses(self._host, self._port, resolve)
        self._idle: list[Exchanging] = []

    def head(self, path: str, role: str | None, headers: Mapping[str, str] | None = None) -> bytes:
        """The head of a request to one version (None: not pinned), up to the length of the body."""
        more = {MODEL_VERSION: role} if role and self._pins else {}
        given = {**more, **self._headers, **(headers or {})}
        taken = {name.lower() for name in given}
        own = {name: value for name, value in OWN.items() if name.lower() not in taken}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**own, **given}.items())
        if self._content_type:
            lines = f"Content-Type: {self._content_type}\r\n{lines}"
        if self._in_query:
            path = with_query(path, _QUERY.decode())
        return (
            f"{self._method} {self._prefix}{path} HTTP/1.1\r\nHost: {self._netloc}\r\n{lines}Content-Length: "
        ).encode("ascii")

    def post(
        self, head: bytes, body: bytes, request_id: bytes, traceparent: bytes = b"", *, again: bool = True
    ) -> Answer:
        """Send one request and wait for the whole answer; never raises for what the target does.

        ``again``: send it once more where a kept-alive connection ends before the first byte of the answer:
        right for a prediction, wrong for what may not be done twice.
        """
        if self._in_query:
            head, body = head.replace(_QUERY, body, 1), b""
        sent_at = self._clock()
        deadline = sent_at + self._timeout
        connection: Exchanging | None = None
        resent = False
        try:
            connection = self._take(deadline)
            try:
                connection.exchange(head, body, request_id, deadline, traceparent)
            except StaleConnection as stale:
                if not again and isinstance(stale.__cause__, OSError):
                    raise stale.__cause__ from None
                connection.close()
                resent = True
                connection = self._open(deadline)
                connection.exchange(head, body, request_id, deadline, traceparent)
        except (OSError, HTTPParseError) as error:
            done_at = self._clock()
            phrase = phrase_of(error)
            if connection is not None:
                if connection.begun and isinstance(error, ConnectionError):
                    phrase = TRUNCATED
                connection.close()
            return Answer(sent_at, done_at, 0, b"", None, phrase, resent)
        done_at = self._clock()
        status, received, role, wrong, keep_alive = connection.reply
        if keep_alive:
            connection.idle_since = done_at
            self._idle.append(connection)
        else:
            connection.close()
        return Answer(sent_at, done_at, status, received, role if self._pins else None, wrong, resent)

    def look_up(self) -> None:
        """Look the target's name up now; a name that is not known is the error of every request."""
        with contextlib.suppress(OSError):
            self._addresses.look_up(self._timeout)

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self, deadline: float) -> Exchanging:
        while self._idle:
            connection = self._idle.pop()  # the one that was used last
            if self._clock() - connection.idle_since > MAX_IDLE:
                connection.close()
                self.close()  # all others are older
            elif connection.is_open():
                return connection
            else:
                connection.close()
        return self._open(deadline)

    def _open(self, deadline: float) -> Exchanging:
        sock = self._connect_any(deadline)
        sock.setsockopt(blocking.IPPROTO_TCP, blocking.TCP_NODELAY, 1)
        if self._tls:
            sock = self._tls.wrap_socket(sock, server_hostname=self._host)
        return self._on(sock, self._tls is not None)

    def _on(self, sock: gevent.socket.socket, tls: bool) -> Exchanging:
        """What speaks on an open socket."""
        return Connection(sock, tls, self._clock)

    def _in_turn(self, deadline: float) -> list[Address]:
        return self._addresses.in_turn(lambda: time_left(deadline, self._clock()))

    def _connect_any(self, deadline: float) -> gevent.socket.socket:
        """Connect to the address whose turn it is, or past those that cannot be had to the next one."""
        errors: list[OSError] = []
        turn = self._in_turn(deadline)
        for place, address in enumerate(turn):
            # that it is too late already is no address's fault
            left = time_left(deadline, self._clock())
            try:
                sock = self._connect(*address, left / (len(turn) - place))
            except OSError as error:
                errors.append(error)
            else:
                if place:
                    self._addresses.failed(turn[:place], address)
                return sock
        self._addresses.failed(turn)
        # what the target did tells more than a family of addresses that this machine has no route for
        raise next((error for error in errors if not is_local(error)), errors[0])

    def _connect(self, family: int, address: tuple[object, ...], seconds: float) -> gevent.socket.socket:
        # with TLS an answer may have been read already
        kind = gevent.socket.socket if self._tls else PatientSocket
        sock = kind(family, blocking.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock
