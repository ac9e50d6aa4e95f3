"""Where the time of a request went, on a clock that only the server moves."""

import contextlib
import socket
import struct
import threading
from math import isnan

import pytest

from loadtest.data.timings import PARTS
from loadtest.load.sending.timed_client import TimedClient, TimedGrpcClient
from tests.loadtest.load.sending.test_grpc_client import OPEN, frame, good, headers
from tests.waiting import HUNG, eventually

HEAD, REST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", b"i"


class Server:
    """Runs ``talk`` on each connection; ``now`` is the time of all."""

    def __init__(self, talk):
        self.talk, self.now = talk, 100.0
        self.client = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):  # the test ends
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.talk(self, connection)

    def timed(self, kind, **more):
        self.client = kind(self.url, HUNG, pins=False, clock=lambda: self.now, **more)
        return self.client

    def until(self, noted):
        """Until the client has noted of its request what ``noted`` tells, after which the clock may move."""
        eventually(lambda: any(noted(watch) for watch in list(self.client._watches.values())))

    def took(self, seconds, moment):
        self.until(lambda watch: getattr(watch, moment) is not None)
        self.now += seconds


def received(connection, end):
    found = b""
    while not found.endswith(end):
        part = connection.recv(65536)
        if not part:
            return None
        found += part
    return found


def post(client):
    return client.post(client.head("/infer", None), b"body", b"run-0-1")


def parts(answer):
    """Those that the request had, to whole seconds."""
    return {name: seconds for name, seconds in zip(PARTS, answer.timings, strict=True) if not isnan(seconds)}


def answers_in_parts(server, connection):
    while received(connection, b"body"):
        server.took(3, "sent")
        connection.sendall(HEAD)
        server.took(4, "first")
        connection.sendall(REST)


def test_each_part_of_a_request_and_of_the_next_one_on_its_connection():
    server = Server(answers_in_parts)

    def resolve(host, port):
        server.now += 2
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    client = server.timed(TimedClient, resolve=resolve)
    answers = [post(client), post(client)]
    client.close()
    server.listener.close()
    assert [(a.status, a.body, a.done_at - a.sent_at) for a in answers] == [(200, b"hi", 9), (200, b"hi", 7)]
    kept = {"send": 0, "wait": 3, "receive": 4}
    assert [parts(answer) for answer in answers] == [{"dns": 2, "connect": 0, **kept}, kept]


def closes_without_answer(server, connection):
    received(connection, b"body")
    server.took(5, "sent")


def begins_an_answer(server, connection):
    received(connection, b"body")
    server.took(3, "sent")
    connection.sendall(HEAD)
    server.took(5, "first")


@pytest.mark.parametrize(
    ("talk", "error", "kept"),
    [
        # the part that is cut off lasts until then
        (closes_without_answer, "connection closed", {"wait": 5}),
        (begins_an_answer, "truncated answer", {"wait": 3, "receive": 5}),
    ],
)
def test_a_request_that_fails_says_where(talk, error, kept):
    server = Server(talk)
    client = server.timed(TimedClient)
    answer = post(client)
    server.listener.close()
    assert answer.error == error
    assert parts(answer) == {"dns": 0, "connect": 0, "send": 0, **kept}


def test_who_cannot_connect_has_no_later_part():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = TimedClient(f"http://127.0.0.1:{port}", HUNG)
    answer = post(client)
    assert answer.error == "connection refused"
    assert set(parts(answer)) == {"dns", "connect"}


def hangs_in_the_handshake(server, connection):
    connection.recv(65536)
    server.took(6, "connected")


def test_a_handshake_that_fails_is_where_the_time_went():
    server = Server(hangs_in_the_handshake)
    server.url = server.url.replace("http:", "https:")
    answer = post(server.timed(TimedClient))
    server.listener.close()
    assert answer.error == "tls failed"
    assert parts(answer) == {"dns": 0, "connect": 0, "tls": 6}


def greets_and_answers(server, connection):
    """What a server says before it answers, and what it is answered, is neither receive nor send."""
    received(connection, b"body")
    server.took(3, "sent")
    connection.sendall(frame(4, 0, 0))
    received(connection, frame(4, 1, 0))
    server.now += 2
    connection.sendall(headers(1, OPEN, ("content-type", "application/grpc")))
    server.until(lambda watch: watch.connection.begun and watch.first == server.now)
    server.now += 4
    connection.sendall(good(1)[len(headers(1, OPEN, ("content-type", "application/grpc"))) :])
    while request := received(connection, b"body"):
        (stream,) = struct.unpack(">I", request[5:9])
        server.took(3, "sent")
        connection.sendall(good(stream))


def test_the_parts_of_a_grpc_call():
    server = Server(greets_and_answers)
    client = server.timed(TimedGrpcClient)
    answers = [post(client), post(client)]
    client.close()
    server.listener.close()
    assert [(a.error, a.body) for a in answers] == [(None, b"hi")] * 2
    assert parts(answers[0]) == {"dns": 0, "connect": 0, "send": 0, "wait": 5, "receive": 4}
    assert parts(answers[1]) == {"send": 0, "wait": 3, "receive": 0}
