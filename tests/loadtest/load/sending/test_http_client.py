import contextlib
import errno
import itertools
import socket
import threading
import time

import pytest

from loadtest.load.sending.connection import LARGEST
from loadtest.load.sending.error_phrases import is_local, phrase_of
from loadtest.load.sending.http_client import MAX_IDLE, Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Model-Version: stable\r\n\r\nhi"
HEAVY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
LATE = b"HTTP/1.1 408 Request Time-out\r\nX-Model-Version: candidate\r\nContent-Length: 0\r\n\r\n"
HUNG = 60.0
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n"


class Script:
    """A server that answers the n-th request with the n-th step of a script: bytes to send, then a verb.

    A part is sent when the client waits for it, and so arrives apart from the part before it.
    """

    def __init__(self, *steps):
        self.steps = list(steps)
        self.ends = b"body"
        self.requests = []
        self.connections = 0
        self.now = 0
        self.waits = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def clock(self):
        """The client's clock, which it reads before each wait: to connect, to send, and for each part."""
        self.waits.release()
        return time.perf_counter()

    def slow_clock(self):
        """A clock on which every wait takes 100 s, though nobody waits for them."""
        self.now += 100
        return self.now

    def serve(self):
        while self.steps:
            connection, _ = self.listener.accept()
            self.connections += 1
            with connection, contextlib.suppress(ConnectionError):  # the client may give up
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.talk(connection)

    def talk(self, connection):
        while self.steps:
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(self.ends):
                part = connection.recv(65536)
                if not part:
                    return
                received += part
            self.requests.append(received)
            sends, verb = self.steps.pop(0)
            if len(sends) > 1:
                # of the first request on a connection: read when it began, connected and sent
                for _ in range(3):
                    assert self.waits.acquire(timeout=HUNG)
                for part in sends:
                    assert self.waits.acquire(timeout=HUNG)
                    connection.sendall(part)
            else:
                connection.sendall(b"".join(sends))
            if verb == "close":
                return
            if verb == "hang":
                # until the client gives up
                connection.recv(1)
            while verb == "drip" and self.now < 100_000:
                connection.sendall(b".")


@pytest.fixture
def serve():
    servers = []

    def make(*steps):
        servers.append(Script(*steps))
        return servers[-1]

    yield make
    for server in servers:
        server.thread.join(HUNG)
        assert not server.thread.is_alive()
        server.listener.close()


def post(client, role="stable"):
    return client.post(client.head("/infer", role), b"body", b"run-0-1")


def test_a_request_carries_its_trace_and_the_next_one_its_own(serve):
    server = serve(([OK], "keep"), ([OK], "keep"), ([OK], "close"))
    client = Client(server.url, HUNG)
    head = client.head("/infer", "stable")
    traces = [b"00-" + digit * 32 + b"-00f067aa0ba902b7-01" for digit in (b"a", b"b")]
    for trace in (*traces, b""):
        assert client.post(head, b"body", b"run-0-1", trace).status == 200
    client.close()
    lines = [request.split(b"\r\n") for request in server.requests]
    assert [[line for line in each if b"trace" in line] for each in lines] == [
        *([b"traceparent: " + trace] for trace in traces),
        [],
    ]
    # the head is as it was, and the body follows an empty line
    assert all(each[-2:] == [b"", b"body"] and b"x-request-id: run-0-1" in each for each in lines)


@pytest.mark.parametrize(
    ("sends", "verb", "status", "body", "error"),
    [
        ([OK], "keep", 200, b"hi", None),
        # in pieces, cut inside a header and inside the body
        ([OK[:40], OK[40:-1], OK[-1:]], "keep", 200, b"hi", None),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], "keep", 200, b"hi", None),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK], "keep", 200, b"hi", None),
        # what nobody asked for comes in one piece with the answer, or its begin does, or it is no HTTP
        ([OK + LATE], "close", 200, b"hi", None),
        ([OK + LATE[:12]], "close", 200, b"hi", None),
        ([OK + b"bye"], "close", 200, b"hi", None),
        ([OK + OK.replace(b"hi", b"no")], "keep", 200, b"hi", None),
        # nobody is followed
        (
            [b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"],
            "keep",
            307,
            b"",
            None,
        ),
        ([CHUNKED, b"1\r\ni\r\n0\r\n\r\n"], "keep", 200, b"hi", None),
        # no length: the end of the connection ends the answer
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nh", b"i"], "close", 200, b"hi", None),
        ([b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], "keep", 503, b"", None),
        ([b"HTTP/1.1 204 None\r\n\r\n"], "keep", 204, b"", None),
        # more than any answer may have, in its body, in its head, and without an end
        ([HEAVY % LARGEST + b"." * LARGEST], "keep", 0, b"", "answer too large"),
        (
            [b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"1" * 995 + b"\r\n") * (LARGEST // 900)],
            "keep",
            0,
            b"",
            "answer too large",
        ),
        ([b"HTTP/1.1 200 OK\r\n\r\n" + b"." * LARGEST], "hang", 0, b"", "answer too large"),
        ([], "close", 0, b"", "connection closed"),
        ([OK[:-1]], "close", 0, b"", "truncated answer"),
        # the head alone
        ([OK[:-2]], "close", 0, b"", "truncated answer"),
        ([b"SSH-2.0-OpenSSH\r\n"], "close", 0, b"", "malformed answer"),
    ],
)
def test_answers(serve, sends, verb, status, body, error):
    server = serve((sends, verb))
    client = Client(server.url, timeout=HUNG, clock=server.clock)
    began = time.perf_counter()
    answer = post(client)
    client.close()
    assert (answer.status, answer.body, answer.error) == (status, body, error)
    assert began <= answer.sent_at < answer.done_at <= time.perf_counter()


# inside its name, and inside its value
@pytest.mark.parametrize("cut", [OK.index(b"odel"), OK.index(b"able")])
def test_who_answered_may_be_told_in_pieces(serve, cut):
    server = serve(([OK[:cut], OK[cut:]], "keep"))
    assert post(Client(server.url, timeout=HUNG, clock=server.clock)).role == "stable"


@pytest.mark.parametrize("sends", [[], [OK[:-1]]], ids=["nothing", "a part"])
def test_what_does_not_come_in_time(serve, sends):
    server = serve((sends, "hang"))
    # it connects and sends at once, and waits at the very end of its time
    clock = itertools.chain([0.0] * 3, itertools.repeat(HUNG - 0.05))
    answer = post(Client(server.url, timeout=HUNG, clock=clock.__next__))
    assert answer == (0.0, HUNG - 0.05, 0, b"", None, "timeout", False, None)


def test_the_time_out_covers_the_whole_request_and_not_each_read(serve):
    # a byte comes at once whenever the client waits for one
    server = serve(([b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"], "drip"))
    answer = post(Client(server.url, timeout=1000, clock=server.slow_clock))
    # no wait begins after 1000 s; that it is given up is when the clock is read next
    assert (answer.error, answer.sent_at, answer.done_at) == ("timeout", 100, 1200)


@pytest.mark.parametrize(("idle", "connections"), [(MAX_IDLE, 1), (MAX_IDLE + 0.01, 2)])
def test_a_connection_that_was_idle_for_long_is_not_used(serve, idle, connections):
    server = serve(([OK], "keep"), ([OK], "keep"))
    now = [0.0]
    client = Client(server.url, timeout=HUNG, clock=lambda: now[0])
    assert post(client).error is None
    now[0] += idle
    assert post(client).error is None
    client.close()
    assert server.connections == connections


def test_a_connection_on_which_more_came_than_was_asked_for_is_not_used(serve):
    server = serve(([OK + LATE], "close"), ([OK], "close"))
    client = Client(server.url, timeout=HUNG)
    answers = [post(client), post(client)]
    assert [(answer.status, answer.role, answer.resent) for answer in answers] == [(200, "stable", False)] * 2
    assert server.connections == 2


def test_a_connection_serves_many_requests(serve):
    server = serve(*[([OK], "keep")] * 3)
    client = Client(server.url, timeout=HUNG)
    assert [post(client).role for _ in range(3)] == ["stable"] * 3
    client.close()
    assert server.connections == 1


@pytest.mark.parametrize(
    "close", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", OK]
)
def test_a_connection_that_was_closed_is_not_used(serve, close):
    server = serve(([close], "close"), ([OK], "keep"))
    client = Client(server.url, timeout=HUNG)
    assert post(client).error is None
    deadline = time.monotonic() + HUNG
    while any(connection.is_open() for connection in client._idle):  # until its end arrives
        assert time.monotonic() < deadline
    assert post(client).error is None
    client.close()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("steps", "answers"),
    [
        # as it closes idle connections just now: sent once more, on a new one
        ([([OK], "keep"), ([], "close"), ([OK], "keep")], [(None, False), (None, True)]),
        # on the new one it is the server's own doing
        (
            [([OK], "keep"), ([], "close"), ([], "close"), ([OK], "keep")],
            [(None, False), ("connection closed", True), (None, False)],
        ),
        ([([], "close"), ([OK], "keep")], [("connection closed", False), (None, False)]),
        # the answer had begun
        (
            [([OK], "keep"), ([OK[:-1]], "close"), ([OK], "keep")],
            [(None, False), ("truncated answer", False), (None, False)],
        ),
    ],
)
def test_what_a_kept_connection_swallows_is_sent_once_more(serve, steps, answers):
    server = serve(*steps)
    client = Client(server.url, timeout=HUNG)
    assert [(a.error, a.resent) for a in (post(client) for _ in answers)] == answers
    client.close()
    assert len(server.requests) == len(steps)


def test_what_may_not_be_done_twice_is_not_sent_again(serve):
    server = serve(([OK], "keep"), ([], "close"))
    client = Client(server.url, timeout=HUNG)
    post(client)
    answer = client.post(client.head("/feedback", None), b"body", b"run-0-2", again=False)
    assert (answer.error, answer.resent) == ("connection closed", False)


def test_the_request_that_is_sent(serve):
    server = serve(([OK], "keep"), ([OK], "keep"))
    client = Client(f"{server.url}/base", timeout=HUNG)
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


def test_what_is_given_as_a_body_may_be_the_query(serve):
    server = serve(([OK], "keep"), ([OK], "keep"))
    client = Client(f"{server.url}/base", timeout=HUNG, content_type="", method="GET", in_query=True)
    server.ends = b"\r\n\r\n"  # there is no body
    for path, query in (("/ask", b"b=1&c="), ("/ask?k=10", b"b=2&c=")):
        client.post(client.head(path, None), query, b"run-0-1")
    client.close()
    first, second = (request.decode().split("\r\n") for request in server.requests)
    assert first[0] == "GET /base/ask?b=1&c= HTTP/1.1"
    assert second[0] == "GET /base/ask?k=10&b=2&c= HTTP/1.1"
    assert "Content-Length: 0" in first
    assert not [line for line in first if line.lower().startswith("content-type")]


def test_nobody_listens():
    # bound, so that nobody else listens there meanwhile
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=HUNG)
        assert post(client).error == "connection refused"


def test_a_host_that_has_no_address():
    # refused without asking a name server, which may be slow, absent, or know every name
    assert post(Client("http://[fe80::1%nosuch]:80", timeout=HUNG)).error == "name not resolved"


def test_all_addresses_of_a_name_are_used_and_the_next_one_where_one_fails(serve):
    servers = [serve(*[([OK], "close")] * 3), serve(*[([OK], "close")] * 4)]
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        addresses = [deaf.getsockname(), *(server.listener.getsockname() for server in servers)]
        client = Client(
            "http://two.test",
            timeout=HUNG,
            resolve=lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", a) for a in addresses],
        )
        assert [post(client).error for _ in range(6)] == [None] * 6
        assert [len(server.requests) for server in servers] == [3, 3]
        # one of them leaves
        servers[0].thread.join(HUNG)
        servers[0].listener.close()
        assert post(client).error is None


def test_a_name_is_resolved_again_when_none_of_its_addresses_is_left(serve):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        server = serve(([OK], "close"))
        moved = iter([deaf.getsockname(), server.listener.getsockname()])
        client = Client(
            "http://moving.test",
            timeout=HUNG,
            resolve=lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", next(moved))],
        )
        assert [post(client).error for _ in range(2)] == ["connection refused", None]


@pytest.mark.parametrize(
    ("error", "phrase"),
    [
        (OSError(errno.EADDRNOTAVAIL, "x"), "no port free"),
        (OSError(errno.EMFILE, "x"), "too many open files"),
        (OSError(errno.ENFILE, "x"), "too many open files"),
        (OSError(errno.ENOMEM, "x"), "no memory"),
        (OSError(errno.ENOBUFS, "x"), "no memory"),
        (OSError(errno.ENETUNREACH, "x"), "no route"),
        (OSError(errno.EHOSTUNREACH, "x"), "no route"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "name not resolved"),
        # the target's
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), None),
        (ConnectionResetError(errno.ECONNRESET, "x"), None),
        (TimeoutError("x"), None),
        (OSError(errno.EPROTO, "x"), None),
    ],
)
def test_which_errors_are_the_generators_own(error, phrase):
    assert is_local(error) == (phrase is not None)
    assert phrase is None or phrase_of(error) == phrase


def test_a_header_of_the_experiment_takes_the_place_of_our_own():
    head = Client("http://a", 1.0, {"user-agent": "shop/3", "X-Key": "k"}).head("/p", None).lower()
    # two of a name are neither
    assert [line for line in head.split(b"\r\n") if line.startswith((b"user-agent", b"accept-encoding"))] == [
        b"accept-encoding: identity",
        b"user-agent: shop/3",
    ]
