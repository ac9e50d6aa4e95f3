import contextlib
import socket
import threading
import time

import pytest

from loadtest.load.sending.http_client import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Model-Version: stable\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n"


class Script:
    """A server that answers the n-th request with the n-th step of a script: bytes to send, then a verb."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.requests = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while self.steps:
            connection, _ = self.listener.accept()
            self.connections += 1
            with connection, contextlib.suppress(ConnectionError):  # the client may give up
                self.talk(connection)

    def talk(self, connection):
        while self.steps:
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(b"body"):
                part = connection.recv(65536)
                if not part:
                    return
                received += part
            self.requests.append(received)
            sends, verb = self.steps.pop(0)
            for part in sends:
                connection.sendall(part)
                time.sleep(0.005)  # so that parts arrive one by one
            if verb == "close":
                return
            if verb == "hang":
                time.sleep(0.3)


@pytest.fixture
def serve():
    servers = []

    def make(*steps):
        servers.append(Script(*steps))
        return servers[-1]

    yield make
    for server in servers:
        server.thread.join(5)
        server.listener.close()


def post(client, role="stable"):
    return client.post(client.head("/infer", role), b"body", b"run-0-1")


@pytest.mark.parametrize(
    ("sends", "verb", "status", "body", "error"),
    [
        ([OK], "keep", 200, b"hi", None),
        # in pieces, cut inside a header and inside the body
        ([OK[:40], OK[40:-1], OK[-1:]], "keep", 200, b"hi", None),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], "keep", 200, b"hi", None),
        ([CHUNKED, b"1\r\ni\r\n0\r\n\r\n"], "keep", 200, b"hi", None),
        # no length: the end of the connection ends the answer
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nh", b"i"], "close", 200, b"hi", None),
        ([b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], "keep", 503, b"", None),
        ([b"HTTP/1.1 204 None\r\n\r\n"], "keep", 204, b"", None),
        ([], "close", 0, b"", "connection closed"),
        ([OK[:-1]], "close", 0, b"", "truncated answer"),
        # the head alone
        ([OK[:-2]], "close", 0, b"", "truncated answer"),
        ([b"SSH-2.0-OpenSSH\r\n"], "close", 0, b"", "malformed answer"),
        ([], "hang", 0, b"", "timeout"),
        # every read is in time, the whole is not
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b"."] * 60], "hang", 0, b"", "timeout"),
    ],
)
def test_answers(serve, sends, verb, status, body, error):
    server = serve((sends, verb))
    client = Client(server.url, timeout=0.15 if verb == "hang" else 5)
    began = time.perf_counter()
    answer = post(client)
    client.close()
    assert (answer.status, answer.body, answer.error) == (status, body, error)
    assert began <= answer.sent_at < answer.done_at <= time.perf_counter()
    if error == "timeout":
        assert answer.done_at - answer.sent_at == pytest.approx(0.15, abs=0.1)


def test_a_connection_serves_many_requests(serve):
    server = serve(*[([OK], "keep")] * 3)
    client = Client(server.url, timeout=5)
    assert [post(client).role for _ in range(3)] == ["stable"] * 3
    client.close()
    assert server.connections == 1


@pytest.mark.parametrize(
    "close", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", OK]
)
def test_a_connection_that_was_closed_is_not_used(serve, close):
    server = serve(([close], "close"), ([OK], "keep"))
    client = Client(server.url, timeout=5)
    assert post(client).error is None
    time.sleep(0.05)  # the end of the connection arrives
    assert post(client).error is None
    client.close()
    assert len(server.requests) == 2


def test_what_may_have_been_read_is_not_sent_again(serve):
    server = serve(([OK], "keep"), ([], "close"), ([OK], "keep"))
    client = Client(server.url, timeout=5)
    assert [post(client).error for _ in range(3)] == [None, "connection closed", None]
    client.close()
    assert len(server.requests) == 3


def test_the_request_that_is_sent(serve):
    server = serve(([OK], "keep"), ([OK], "keep"))
    client = Client(f"{server.url}/base", timeout=5)
    post(client, "candidate")
    post(client, None)
    client.close()
    pinned, unpinned = (request.decode().split("\r\n") for request in server.requests)
    assert pinned[0] == "POST /base/infer HTTP/1.1"
    assert {
        "x-model-version: candidate",
        "Content-Length: 4",
        "x-request-id: run-0-1",
        f"Host: {server.url[7:]}",
    } <= set(pinned)
    assert not [line for line in unpinned if "x-model-version" in line]


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert post(Client(f"http://127.0.0.1:{port}", timeout=5)).error == "connection refused"
    assert post(Client("http://no-such-host.invalid", timeout=5)).error == "unknown host"
