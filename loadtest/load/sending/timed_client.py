"""The clients of the load that also say where the time of each request went.

They are classes of their own, so that a load that does not ask for it pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, nan
from typing import Any

import gevent.socket
from gevent import getcurrent

from loadtest.data.timings import Timings
from loadtest.load.sending.addresses import Address
from loadtest.load.sending.connection import time_left
from loadtest.load.sending.grpc_client import GrpcClient
from loadtest.load.sending.http2_connection import Http2Connection
from loadtest.load.sending.http_client import Answer, Client, Exchanging


class _Watch:
    """The moments of one request; None: not reached."""

    def __init__(self) -> None:
        self.dns = self.connect = self.tls = nan
        self.opens()

    def opens(self) -> None:
        """A connection is about to be opened."""
        self.connected: float | None = None
        self.connection: Exchanging | None = None
        self.begun = 0.0

    def exchanges(self, connection: Exchanging, at: float) -> None:
        """The request is about to be sent, or sent once more."""
        self.connection, self.begun = connection, at
        self.sent: float | None = None
        self.first: float | None = None

    def timings(self, done_at: float) -> Timings:
        """The parts; the one that was running at ``done_at`` ends then."""
        tls, send, wait, receive = self.tls, nan, nan, nan
        if self.connection is None:
            if self.connected is not None and isnan(tls):
                tls = done_at - self.connected
        elif self.sent is None:
            send = done_at - self.begun
        else:
            send, wait = self.sent - self.begun, done_at - self.sent
            if self.first is not None and self.connection.begun:
                # a server may answer before it has the whole request
                first = max(self.first, self.sent)
                wait, receive = first - self.sent, done_at - first
        return Timings(self.dns, self.connect, tls, send, wait, receive)


class _TimedSocket:
    """Notes when a request was sent and its answer began; all else is the socket's."""

    def __init__(
        self, sock: gevent.socket.socket, watch: Callable[[], _Watch], clock: Callable[[], float]
    ) -> None:
        self._watch, self._clock = watch, clock
        self._sock = sock._sock
        self._recv, self._send = sock.recv, sock.send
        self.settimeout, self.close = sock.settimeout, sock.close
        self.answering = False
        """What is sent meanwhile is no part of a request."""

    def send(self, data: memoryview) -> int:
        """As a socket's."""
        sent: int = self._send(data)
        if sent == len(data) and not self.answering:
            self._watch().sent = self._clock()
        return sent

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As a socket's."""
        watch = self._watch()
        # before the answer begins, a server may say other things, such as its settings
        begun = watch.connection is None or watch.connection.begun
        data: bytes = self._recv(size, flags)
        if not begun:
            watch.first = self._clock()
        return data


class TimedClient(Client):
    """As ``Client``, and answers have ``timings``."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._watches: dict[object, _Watch] = {}

    def post(
        self, head: bytes, body: bytes, request_id: bytes, traceparent: bytes = b"", *, again: bool = True
    ) -> Answer:
        """As ``Client.post``."""
        greenlet, watch = getcurrent(), _Watch()
        self._watches[greenlet] = watch
        try:
            answer = super().post(head, body, request_id, traceparent, again=again)
        finally:
            del self._watches[greenlet]
        return answer._replace(timings=watch.timings(answer.done_at))

    def _watch(self) -> _Watch:
        return self._watches[getcurrent()]

    def _in_turn(self, deadline: float) -> list[Address]:
        begun = None

        def left() -> float:
            nonlocal begun
            begun = self._clock()
            return time_left(deadline, begun)

        try:
            return self._addresses.in_turn(left)
        finally:
            if begun is not None:
                self._watch().dns = self._clock() - begun

    def _connect(self, *way: Any) -> gevent.socket.socket:
        watch, begun = self._watch(), self._clock()
        before = 0.0 if isnan(watch.connect) else watch.connect
        try:
            sock = super()._connect(*way)
        finally:
            ended = self._clock()
            watch.connect = before + ended - begun
        watch.connected = ended
        return sock

    def _take(self, deadline: float) -> Exchanging:
        connection = super()._take(deadline)
        self._watch().exchanges(connection, self._clock())
        return connection

    def _open(self, deadline: float) -> Exchanging:
        watch = self._watch()
        watch.opens()
        connection = super()._open(deadline)
        watch.exchanges(connection, self._clock())
        return connection

    def _on(self, sock: gevent.socket.socket, tls: bool) -> Exchanging:
        watch = self._watch()
        if tls and watch.connected is not None:
            watch.tls = self._clock() - watch.connected
        return super()._on(_TimedSocket(sock, self._watch, self._clock), tls)


class _AnsweringConnection(Http2Connection):
    """Tells its socket when it answers the server's own frames."""

    def _receive(self, deadline: float) -> None:
        self._sock.answering = True
        try:
            super()._receive(deadline)
        finally:
            self._sock.answering = False


class _AnsweringClient(GrpcClient):
    def _on(self, sock: gevent.socket.socket, tls: bool) -> Exchanging:
        return _AnsweringConnection(sock, tls, self._clock)


class TimedGrpcClient(TimedClient, _AnsweringClient):
    """As ``GrpcClient``, and answers have ``timings``."""
