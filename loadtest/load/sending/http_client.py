"""The HTTP client of the load: requests as ready-made bytes, over as many kept-alive connections as it takes.

It exists beside Locust's clients for three reasons: a time-out that covers the whole request and not each
read, one retry where a server closed a connection that it had kept, and a fifth of the CPU time per request.
"""

from __future__ import annotations

import contextlib
import socket as blocking
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent.socket
import gevent.ssl
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from contract.headers import MODEL_VERSION, REQUEST_ID
from loadtest.load.sending.error_phrases import TRUNCATED, is_local, phrase_of

MAX_IDLE = 1.5
"""Seconds after which an unused connection is not used again: servers close theirs after 2 s and more."""

_CHUNK = 65536
_Address = tuple[int, tuple[object, ...]]
_REQUEST_ID = REQUEST_ID.encode()


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
    """

    sent_at: float
    done_at: float
    status: int
    body: bytes
    role: str | None
    error: str | None
    resent: bool = False


_Resolved = tuple[int, int, int, str, tuple[object, ...]]


def _resolved(host: str, port: int) -> Iterable[_Resolved]:
    found: Iterable[_Resolved] = gevent.socket.getaddrinfo(host, port, type=blocking.SOCK_STREAM)
    return found


class _Stale(Exception):  # noqa: N818 - it names what happened
    """A kept-alive connection ended before the first byte of the answer."""


_ENDED = (ConnectionError, gevent.ssl.SSLEOFError, gevent.ssl.SSLZeroReturnError)
"""How a connection ends; a time-out is no end."""


class _Parser(HTTPResponseParser):
    """Keeps the body and who answered; one for all answers on a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = False
        self.whole = False
        self.keep_alive = False
        self.body = bytearray()
        self.role: str | None = None
        self._field = ""
        self._in_value = False

    def _on_message_begin(self) -> None:
        self.begun = True
        self.whole = False
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
        if self._field.lower() == MODEL_VERSION:
            self.role = (self.role or "") + text

    def _on_headers_complete(self) -> bool:
        return False

    def _on_body(self, data: bytes) -> None:
        self.body += data

    def _on_message_complete(self) -> None:
        if self.get_code() >= 200:  # not an interim answer
            self.whole = True
            self.keep_alive = self.should_keep_alive()


class _Connection:
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

    def exchange(self, request: bytes, deadline: float) -> None:
        """Send a request and read its answer into the parser.

        Raises:
            _Stale: the connection had served before, and ended before the first byte of the answer.
            TimeoutError: the deadline passed.
            OSError, HTTPParseError: the connection broke, or the answer is not HTTP.
        """
        self.parser.begun = self.parser.whole = self.heard = False
        try:
            self._exchange(request, deadline)
        except _ENDED as error:
            if self.used and not self.heard:
                raise _Stale from error
            raise
        self.used = True

    def _exchange(self, request: bytes, deadline: float) -> None:
        sock, parser = self._sock, self.parser
        sent = 0
        while sent < len(request):
            sock.settimeout(_left(deadline, self._clock()))
            sent += sock.send(memoryview(request)[sent:])
        while not parser.whole:
            sock.settimeout(_left(deadline, self._clock()))
            data = sock.recv(_CHUNK)
            if data:
                self.heard = True
                parser.feed(data)
            else:
                self._end()

    def _end(self) -> None:
        """The server closed: this ends an answer without a length, and breaks off any other."""
        with contextlib.suppress(HTTPParseError):
            self.parser.feed(b"")
        if not self.parser.whole:
            raise ConnectionAbortedError

    def close(self) -> None:
        self._sock.close()


def _left(deadline: float, now: float) -> float:
    left = deadline - now
    if left <= 0:
        raise TimeoutError
    return left


class Client:
    """``Client("http://127.0.0.1:8080", timeout=2.0)``; ``post`` is called from many greenlets at once.

    Args:
        base: base URL, without a trailing slash.
        timeout: seconds that a request may take in all, from the send to the last byte.
        headers: sent with every request.
        pins: the target is a gateway, which is told whom to ask and says who answered.
        content_type: of the bodies.
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
        clock: Callable[[], float] = perf_counter,
        resolve: Callable[[str, int], Iterable[_Resolved]] | None = None,
    ) -> None:
        self._clock = clock
        self._resolve = resolve or _resolved
        self._headers = headers or {}
        self._pins = pins
        self._content_type = content_type
        parts = urlsplit(base)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._netloc = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/")
        self._tls = gevent.ssl.create_default_context() if parts.scheme == "https" else None
        self._timeout = timeout
        self._addresses: list[_Address] = []
        self._idle: list[_Connection] = []

    def head(self, path: str, role: str | None, headers: Mapping[str, str] | None = None) -> bytes:
        """The head of a request to one version (None: not pinned), up to the length of the body."""
        more = {MODEL_VERSION: role} if role and self._pins else {}
        lines = "".join(
            f"{name}: {value}\r\n" for name, value in {**more, **self._headers, **(headers or {})}.items()
        )
        return (
            f"POST {self._prefix}{path} HTTP/1.1\r\nHost: {self._netloc}\r\nUser-Agent: loadproof\r\n"
            f"Content-Type: {self._content_type}\r\n{lines}Content-Length: "
        ).encode("ascii")

    def post(self, head: bytes, body: bytes, request_id: bytes, *, again: bool = True) -> Answer:
        """Send one request and wait for the whole answer; never raises for what the target does.

        Args:
            head: see ``head``.
            body: of the request.
            request_id: names it.
            again: send it once more where a kept-alive connection ends before the first byte of the answer:
                right for a prediction, wrong for what may not be done twice.
        """
        sent_at = self._clock()
        request = b"%b%d\r\n%b: %b\r\n\r\n%b" % (head, len(body), _REQUEST_ID, request_id, body)
        deadline = sent_at + self._timeout
        connection, resent = None, False
        try:
            connection = self._take(deadline)
            try:
                connection.exchange(request, deadline)
            except _Stale as stale:
                if not again and isinstance(stale.__cause__, OSError):
                    raise stale.__cause__ from None
                connection.close()
                resent = True
                connection = self._open(deadline)
                connection.exchange(request, deadline)
        except (OSError, HTTPParseError) as error:
            done_at = self._clock()
            phrase = phrase_of(error)
            if connection is not None:
                if connection.parser.begun and isinstance(error, ConnectionError):
                    phrase = TRUNCATED
                connection.close()
            return Answer(sent_at, done_at, 0, b"", None, phrase, resent)
        done_at = self._clock()
        parser = connection.parser
        said = parser.role if self._pins else None
        answer = Answer(sent_at, done_at, parser.get_code(), bytes(parser.body), said, None, resent)
        if parser.keep_alive:
            connection.idle_since = done_at
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self, deadline: float) -> _Connection:
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

    def _open(self, deadline: float) -> _Connection:
        sock = self._connect_any(deadline)
        sock.setsockopt(blocking.IPPROTO_TCP, blocking.TCP_NODELAY, 1)
        if self._tls:
            sock = self._tls.wrap_socket(sock, server_hostname=self._host)
        return _Connection(sock, self._tls is not None, self._clock)

    def _connect_any(self, deadline: float) -> gevent.socket.socket:
        """Connect to the addresses of the target in turn, one per connection; past those that cannot be had.

        An address that fails while another one works is left out until none is left: then the name is
        resolved again.
        """
        if not self._addresses:
            found = self._resolve(self._host, self._port)
            self._addresses = [(family, address) for family, _, _, _, address in found]
        errors: list[OSError] = []
        turn = self._addresses[:]
        for place, address in enumerate(turn):
            try:
                sock = self._connect(*address, deadline, len(turn) - place)
            except OSError as error:
                errors.append(error)
            else:
                rest = [a for a in self._addresses if a not in turn[: place + 1]]
                self._addresses = [*rest, address]  # the next connection goes to the next one
                return sock
        self._addresses = []
        # what the target did tells more than a family of addresses that this machine has no route for
        raise next((error for error in errors if not is_local(error)), errors[0])

    def _connect(
        self, family: int, address: tuple[object, ...], deadline: float, shares: int
    ) -> gevent.socket.socket:
        """Connect within one of ``shares`` equal parts of the time that is left."""
        sock = gevent.socket.socket(family, blocking.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline, self._clock()) / shares)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock
