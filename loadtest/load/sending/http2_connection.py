"""One kept-alive HTTP/2 connection of the load, with one gRPC call on it at a time.

By hand, because gRPC's own threads and gevent do not share a process: its experimental loop for gevent hands
every answer over a thread. One call at a time, as with HTTP/1.1, so that protocols compare, no call waits for
another one's bytes, and a balancer in front sees as many connections as there are calls.

https://www.rfc-editor.org/rfc/rfc9113 and https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import gevent.socket
import gevent.ssl

from contract.headers import REQUEST_ID, TRACEPARENT
from loadtest.load.sending.connection import ENDED, LARGEST, Reply, StaleConnection, time_left
from loadtest.load.sending.error_phrases import MALFORMED, TooLargeError, UnreadableError
from loadtest.load.sending.http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW,
    FRAME,
    FRAME_SIZE,
    GOAWAY,
    HEADERS,
    HEADERS_AT_MOST,
    INITIAL_WINDOW,
    INT,
    MAX_FRAME,
    OURS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH,
    RESET,
    SETTING,
    SETTINGS,
    WINDOW,
    frame,
    read_block,
    string,
    unpadded,
)

_PREFIX = struct.Struct(">BI")
_CHUNK = 65536
_NO_ERROR, _REFUSED = 0, 7
_LAST_STREAM = 2**31 - 3
_REQUEST_ID = b"\0" + string(REQUEST_ID.encode())
_TRACEPARENT = b"\0" + string(TRACEPARENT.encode())
_CODES = (
    *("ok", "cancelled", "unknown", "invalid argument", "deadline exceeded", "not found", "already exists"),
    *("permission denied", "resource exhausted", "failed precondition", "aborted", "out of range"),
    *("unimplemented", "internal", "unavailable", "data loss", "unauthenticated"),
)
"""gRPC's statuses by their numbers."""


class Http2Connection:
    """One connection; see ``loadtest.load.sending.connection.Connection`` for the contract."""

    def __init__(self, sock: gevent.socket.socket, tls: bool, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._tls = tls
        self._clock = clock
        self.idle_since = 0.0
        self._unsent = PREFACE
        self._buffer = b""
        self._stream = -1
        self._used = self._closing = False
        self._first_window = self._window = FIRST_WINDOW
        self._peer_frame = FRAME_SIZE
        self._given = OURS
        self._reset()

    def _reset(self) -> None:
        self._stream += 2
        self._stream_window = self._first_window
        self._block = b""
        self._body = bytearray()
        self._status: int | None = None
        self._code: int | None = None
        self._message = b""
        self._role: str | None = None
        self._broken: str | None = None
        self._whole = self._refused = self._ends = self.begun = False

    def is_open(self) -> bool:
        """Whether the server left the idle connection open; what it says meanwhile is heard."""
        try:
            self._sock.settimeout(0.0)
            while not self._closing:
                data = self._sock.recv(_CHUNK)
                if not data:
                    return False
                self._hear(data)
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
        """Call and read the answer; errors are those of ``Connection.exchange``."""
        if self._used:
            self._reset()
        block = head + _REQUEST_ID + string(request_id)
        if traceparent:
            block += _TRACEPARENT + string(traceparent)
        try:
            self._exchange(block, _PREFIX.pack(0, len(body)) + body, deadline)
        except ENDED as error:
            if self._used and not self.begun:
                raise StaleConnection from error
            raise
        if self._refused:
            refusal = ConnectionAbortedError("the server would not begin this call")
            if self._used:
                raise StaleConnection from refusal
            raise refusal
        self._used = True

    def _exchange(self, block: bytes, message: bytes, deadline: float) -> None:
        frames, first = self._unsent, block[:FRAME_SIZE]
        self._unsent = b""
        rest = block[FRAME_SIZE:]
        frames += frame(HEADERS, 0 if rest else END_HEADERS, self._stream, first)
        while rest:
            part, rest = rest[:FRAME_SIZE], rest[FRAME_SIZE:]
            frames += frame(CONTINUATION, 0 if rest else END_HEADERS, self._stream, part)
        while message and not self._whole:
            size = min(len(message), self._peer_frame, self._window, self._stream_window)
            if size <= 0:
                self._send(frames, deadline)
                frames = b""
                self._receive(deadline)
                continue
            part, message = message[:size], message[size:]
            frames += frame(DATA, 0 if message else END_STREAM, self._stream, part)
            self._window -= size
            self._stream_window -= size
        self._send(frames, deadline)
        while not self._whole:
            self._receive(deadline)

    def _send(self, data: bytes, deadline: float) -> None:
        sock, sent = self._sock, 0
        while sent < len(data):
            sock.settimeout(time_left(deadline, self._clock()))
            sent += sock.send(memoryview(data)[sent:])

    def _receive(self, deadline: float) -> None:
        self._sock.settimeout(time_left(deadline, self._clock()))
        data = self._sock.recv(_CHUNK)
        if not data:
            raise ConnectionAbortedError
        self._hear(data)
        if self._unsent:
            owed, self._unsent = self._unsent, b""
            self._send(owed, deadline)

    @property
    def reply(self) -> Reply:
        """The answer to the last call: its message, or the text of its error."""
        status, body, error = self._status or 0, bytes(self._body), self._broken
        if error is None and status == 200:
            if self._code is None:
                error = MALFORMED
            elif self._code:
                name = _CODES[self._code] if self._code < len(_CODES) else str(self._code)
                body, error = self._message, f"grpc {name}"
            elif len(body) < _PREFIX.size or _PREFIX.unpack_from(body) != (0, len(body) - _PREFIX.size):
                error = MALFORMED
            else:
                body = body[_PREFIX.size :]
        open_still = not self._closing and self._stream < _LAST_STREAM
        return Reply(status, body, self._role, error, open_still)

    def close(self) -> None:
        """Close it at once."""
        self._sock.close()

    def _hear(self, data: bytes) -> None:
        try:
            self._take_frames(data)
        except struct.error as error:
            raise UnreadableError("not HTTP/2") from error

    def _take_frames(self, data: bytes) -> None:
        for kind, flags, stream, payload in self._frames(data):
            if self._block and kind != CONTINUATION:
                raise UnreadableError("another frame within headers")
            if stream and stream != self._stream:
                if kind in (HEADERS, DATA) and stream > self._stream:
                    raise UnreadableError("an answer to no call")
                continue  # what is left of a call before
            if kind == DATA:
                self._take_data(flags, payload)
            elif kind in (HEADERS, CONTINUATION):
                self._take_headers(kind, flags, payload)
            elif kind == RESET:
                self._take_reset(INT.unpack(payload)[0])
            elif kind == SETTINGS and not flags & ACK:
                self._take_settings(payload)
                self._unsent += frame(SETTINGS, ACK, 0, b"")
            elif kind == PING and not flags & ACK:
                self._unsent += frame(PING, ACK, 0, payload)
            elif kind == WINDOW:
                more = INT.unpack(payload)[0] & 0x7FFFFFFF
                if stream:
                    self._stream_window += more
                else:
                    self._window += more
            elif kind == GOAWAY:
                self._closing = True
                if INT.unpack_from(payload)[0] & 0x7FFFFFFF < self._stream and not self._whole:
                    self._whole = self._refused = True
            elif kind == PUSH:
                raise UnreadableError("a push that was not allowed")

    def _frames(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Kind, flags, stream and payload of each whole frame."""
        buffer, at = self._buffer + data if self._buffer else data, 0
        while len(buffer) - at >= FRAME.size:
            size, flags, stream = FRAME.unpack_from(buffer, at)
            size, kind = size >> 8, size & 255
            if size > FRAME_SIZE:
                raise UnreadableError("not HTTP/2")
            if len(buffer) - at < FRAME.size + size:
                break
            at += FRAME.size
            yield kind, flags, stream & 0x7FFFFFFF, buffer[at : at + size]
            at += size
        self._buffer = buffer[at:]

    def _take_data(self, flags: int, payload: bytes) -> None:
        self._given -= len(payload)
        if self._given < OURS // 2:
            self._unsent += frame(WINDOW, 0, 0, INT.pack(OURS - self._given))
            self._given = OURS
        self._body += unpadded(flags, payload)
        if len(self._body) > LARGEST:
            raise TooLargeError
        self._whole |= bool(flags & END_STREAM)

    def _take_headers(self, kind: int, flags: int, payload: bytes) -> None:
        self.begun = True
        if kind == HEADERS:
            payload = unpadded(flags, payload)
            payload = payload[5:] if flags & PRIORITY else payload
            self._ends = bool(flags & END_STREAM)
        self._block += payload
        if len(self._block) > HEADERS_AT_MOST:
            raise TooLargeError
        if not flags & END_HEADERS:
            return
        block, self._block = read_block(self._block), b""
        if block.status is not None and block.status < 200:
            return  # an interim answer
        self._status = block.status if self._status is None else self._status
        self._role = block.role or self._role
        if block.code is not None:
            self._code, self._message = block.code, block.message
        self._whole |= self._ends

    def _take_reset(self, code: int) -> None:
        if self._whole:
            return
        self._whole = True
        # a server that has said everything may ask for no more of the request so
        if code == _REFUSED:
            self._refused = True
        elif code != _NO_ERROR or self._code is None:
            self._broken = "stream reset"

    def _take_settings(self, payload: bytes) -> None:
        if len(payload) % SETTING.size:
            raise UnreadableError("not HTTP/2")
        for name, value in SETTING.iter_unpack(payload):
            if name == INITIAL_WINDOW:
                self._stream_window += value - self._first_window
                self._first_window = value
            elif name == MAX_FRAME:
                self._peer_frame = value
