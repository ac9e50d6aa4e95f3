"""A load generator for this benchmark: one thread, non-blocking sockets, requests that were built before.

``closed`` keeps every connection busy and finds what a server answers at most; ``open_loop`` sends at drawn
times, whatever the server does, and takes latency from the drawn time, so that waiting for a free connection
counts. An answer is right when its body is, byte for byte, the one that the server gave to the same request
alone. Python can do this at about 50,000 requests/s on one core, several times what any server here answers.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

_GIVE_UP = 10.0
"""Seconds without any answer after which a run ends; what is still out counts as an error."""


_HOPELESS = 1.0
"""Seconds by which an arrival may wait for a free connection; then the rate is too high, and the run ends."""


@dataclass
class Outcome:
    """What came of one run.

    Args:
        seconds: how long it took.
        sent: requests sent.
        latencies: of the right answers, in seconds.
        refused: answers with 503.
        refusals: how long those took, in seconds.
        failed: other answers than the right one, broken connections, and requests without an answer.
        unsent: arrivals that the run ended without sending.
    """

    seconds: float = 0.0
    sent: int = 0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    refusals: list[float] = field(default_factory=list)
    failed: int = 0
    unsent: int = 0

    def quantile(self, share: float) -> float:
        """A quantile of latency over all that should have been answered; infinite where too many were not."""
        wanted = self.sent + self.unsent
        values = np.sort(self.latencies)
        at = int(np.ceil(share * wanted)) - 1
        return float(values[at]) if 0 <= at < len(values) else float("inf")


class _Connection:
    """One connection, opened when there is something to send: a synchronous server reads idle ones first."""

    __slots__ = ("number", "received", "scheduled", "socket")

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.received = b""
        self.scheduled = 0.0
        self.number = -1


class Sender:
    """Sends prepared requests to one server.

    Args:
        address: host and port.
        requests: whole HTTP/1.1 requests; they are sent in turn.
        expected: the body that each of them gets; None: any, with status 200.
        connections: how many are open; each carries one request at a time.
    """

    def __init__(
        self,
        address: tuple[str, int],
        requests: list[bytes],
        expected: list[bytes] | None,
        connections: int,
    ) -> None:
        self._address = address
        self._requests = requests
        self._expected = expected
        self._next = 0
        self._poll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        self._all = [_Connection() for _ in range(connections)]
        self._free = list(self._all)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._all:
            self._disconnect(connection)
        self._poll.close()

    def ask(self, number: int) -> bytes:
        """The body of the answer to one request, alone; it must be a 200."""
        connection = self._free.pop()
        outcome = Outcome()
        self._send(connection, number, outcome)
        deadline = time.perf_counter() + _GIVE_UP
        while time.perf_counter() < deadline:
            for fd, _ in self._poll.poll(0.1):
                whole = self._receive(self._by_fd[fd])
                if whole is not None:
                    self._release(connection, keep=_keeps(whole))
                    status, body = _split(whole)
                    if status != b"200":
                        raise RuntimeError(f"{self._address}: answered {whole[:300]!r}")
                    return body
        raise RuntimeError(f"{self._address}: no answer within {_GIVE_UP:.0f} s")

    def closed(self, seconds: float) -> Outcome:
        """Every connection sends its next request as soon as it has its answer."""
        outcome = Outcome()
        started = time.perf_counter()
        while self._free:
            self._send(self._free.pop(), self._turn(), outcome)
        end = started + seconds
        while (now := time.perf_counter()) < end:
            for fd, _ in self._poll.poll(0.05):
                self._answer(self._by_fd[fd], outcome)
            while self._free:
                self._send(self._free.pop(), self._turn(), outcome)
        outcome.seconds = now - started
        self._drain(outcome)
        return outcome

    def open_loop(self, rate: float, seconds: float, seed: int, *, give_up: bool = False) -> Outcome:
        """Poisson arrivals at ``rate`` a second; latency runs from the arrival.

        Args:
            rate: arrivals per second.
            seconds: how long they come.
            seed: of the draw.
            give_up: an arrival that finds every connection busy is not sent, instead of waiting.
        """
        gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds))
        outcome = Outcome()
        started = time.perf_counter()
        arrivals = deque((started + np.cumsum(gaps)).tolist())
        end = started + seconds
        # busy: a wake-up costs more than this benchmark's latencies may be wrong by
        while (now := time.perf_counter()) < end:
            while self._free and arrivals and arrivals[0] <= now:
                self._send(self._free.pop(), self._turn(), outcome, arrivals.popleft())
            while give_up and arrivals and arrivals[0] <= now:
                arrivals.popleft()
                outcome.unsent += 1
            if arrivals and arrivals[0] < now - _HOPELESS:
                break
            for fd, _ in self._poll.poll(0):
                self._answer(self._by_fd[fd], outcome)
        outcome.seconds = now - started
        outcome.unsent += sum(arrival <= now for arrival in arrivals)
        self._drain(outcome)
        return outcome

    def _turn(self) -> int:
        self._next = (self._next + 1) % len(self._requests)
        return self._next

    def _connect(self, connection: _Connection) -> socket.socket:
        connection.socket = opened = socket.create_connection(self._address, timeout=_GIVE_UP)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
        self._by_fd[opened.fileno()] = connection
        self._poll.register(opened.fileno(), select.EPOLLIN)
        return opened

    def _disconnect(self, connection: _Connection) -> None:
        if connection.socket is not None:
            del self._by_fd[connection.socket.fileno()]
            connection.socket.close()
            connection.socket = None

    def _send(
        self, connection: _Connection, number: int, outcome: Outcome, scheduled: float | None = None
    ) -> None:
        connection.number = number
        connection.received = b""
        connection.scheduled = time.perf_counter() if scheduled is None else scheduled
        outcome.sent += 1
        try:
            (connection.socket or self._connect(connection)).send(self._requests[number])
        except OSError:
            outcome.failed += 1
            self._release(connection, keep=False)

    def _release(self, connection: _Connection, *, keep: bool) -> None:
        connection.number = -1
        if not keep:
            self._disconnect(connection)
        self._free.append(connection)

    def _receive(self, connection: _Connection) -> bytes | None:
        """The whole answer once it is there; b"" where the connection broke."""
        try:
            part = connection.socket.recv(65536)  # type: ignore[union-attr]
        except BlockingIOError:
            return None
        except OSError:
            return b""
        connection.received = received = connection.received + part
        if not part or _is_whole(received):
            return received
        return None

    def _answer(self, connection: _Connection, outcome: Outcome) -> None:
        whole = self._receive(connection)
        if whole is None:
            return
        if connection.number < 0:
            # the server closed an idle connection
            self._disconnect(connection)
            return
        status, body = _split(whole)
        took = time.perf_counter() - connection.scheduled
        if status == b"200" and (self._expected is None or body == self._expected[connection.number]):
            outcome.latencies.append(took)
        elif status == b"503":
            outcome.refused += 1
            outcome.refusals.append(took)
        else:
            outcome.failed += 1
        self._release(connection, keep=_keeps(whole))

    def _drain(self, outcome: Outcome) -> None:
        """Wait for what is out; it counts like the rest."""
        deadline = time.perf_counter() + _GIVE_UP
        while len(self._free) < len(self._all) and time.perf_counter() < deadline:
            for fd, _ in self._poll.poll(0.05):
                self._answer(self._by_fd[fd], outcome)
        for connection in [c for c in self._all if c.number >= 0]:
            outcome.failed += 1
            self._release(connection, keep=False)


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    at = head.lower().find(b"content-length:")
    if at < 0:
        return received.endswith(b"0\r\n\r\n")
    return len(body) >= int(head[at + 15 : at + 30].split(b"\r\n")[0])


def _split(whole: bytes) -> tuple[bytes, bytes]:
    return whole[9:12], whole.partition(b"\r\n\r\n")[2]


def _keeps(whole: bytes) -> bool:
    return bool(whole) and b"onnection: close" not in whole.partition(b"\r\n\r\n")[0]
