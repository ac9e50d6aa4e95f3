"""gRPC over our own HTTP/2: against grpcio's server, and against scripts of frames."""

import socket
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hpack import Encoder

from loadtest.errors import TargetError
from loadtest.experiment.role import Role
from loadtest.load.sending.grpc_calls import GrpcCalls
from loadtest.load.sending.grpc_client import GrpcClient

HUNG = 60.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@contextmanager
def grpcio(*arguments):
    command = [sys.executable, str(Path(__file__).with_name("grpc_double.py")), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


@pytest.fixture(scope="module")
def real():
    with grpcio() as address:
        yield f"http://{address}"


def call(client, path, message=b"", request_id=b"run-0-1"):
    return client.post(client.head(path, None), message, request_id)


def test_calls_share_a_connection_and_carry_headers_and_the_deadline(real):
    client = GrpcClient(real, HUNG, {"Authorization": "Bearer x" + "y" * 300}, pins=False)
    answers = [call(client, "/t.T/Said", request_id=b"run-%d" % number) for number in range(3)]
    said = [b"run-%d Bearer x%b %d " % (number, b"y" * 300, HUNG) for number in range(3)]
    assert [(a.status, a.error, a.body) for a in answers] == [(200, None, body) for body in said]
    (kept,) = client._idle
    assert kept.is_open()
    client.close()


def test_a_call_carries_its_trace_and_the_next_one_its_own(real):
    client = GrpcClient(real, HUNG, pins=False)
    head = client.head("/t.T/Said", None)
    traces = [b"00-" + digit * 32 + b"-00f067aa0ba902b7-01" for digit in (b"a", b"b")]
    answers = [client.post(head, b"", b"run-0-1", trace) for trace in (*traces, b"")]
    assert [answer.body.split(b" ")[-1] for answer in answers] == [*traces, b""]
    client.close()


@pytest.mark.parametrize("size", [0, 1, 16379, 16384, 1_000_000])
def test_messages_of_any_size(real, size):
    """Beyond a frame, and beyond the window that a connection begins with, in both directions."""
    client = GrpcClient(real, HUNG, pins=False)
    message = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    for _ in range(2):
        answer = call(client, "/t.T/Echo", message)
        assert (answer.error, answer.body == message) == (None, True)
    client.close()


def test_a_connection_outlives_the_windows_that_it_began_with(real):
    """Hundreds of small calls: 65,535 bytes in sum are allowed to each side before it needs an update."""
    client = GrpcClient(real, HUNG, pins=False)
    message = b"m" * 500
    answers = [call(client, "/t.T/Echo", message) for _ in range(400)]
    assert {(a.error, a.body, a.resent) for a in answers} == {(None, message, False)}
    assert len(client._idle) == 1
    client.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("UNAVAILABLE", "grpc unavailable"),
        ("DEADLINE_EXCEEDED", "grpc deadline exceeded"),
        ("INVALID_ARGUMENT", "grpc invalid argument"),
        ("UNAUTHENTICATED", "grpc unauthenticated"),
    ],
)
def test_a_status_is_an_error_with_its_name(real, status, error):
    client = GrpcClient(real, HUNG, pins=False)
    answer = call(client, "/t.T/Fail", status.encode())
    assert (answer.status, answer.error) == (200, error)
    assert answer.body.decode() == "was für\nein 100% Fehler"
    # the connection is as good as before
    assert call(client, "/t.T/Echo", b"a").body == b"a"
    assert not call(client, "/t.T/Echo", b"a").resent
    client.close()


def test_what_is_no_method(real):
    client = GrpcClient(real, HUNG, pins=False)
    assert call(client, "/t.T/Nothing").error == "grpc unimplemented"
    client.close()


def test_the_time_out_is_the_deadline(real):
    client = GrpcClient(real, 0.05, pins=False)
    answer = call(client, "/t.T/Hang")
    # the server may be the first to say so
    assert (answer.status, answer.error, answer.body) == (0, "timeout", b"")
    client.close()


@pytest.mark.parametrize(
    ("took", "error"),
    [
        # a server with a shorter deadline of its own has failed; at ours, its word came first
        (1.0, "grpc deadline exceeded"),
        (2.0, "timeout"),
    ],
)
def test_whose_deadline_it_was(took, error):
    server = Frames(headers(1, OPEN, ("grpc-status", "4"), ends=True))
    client = GrpcClient(server.url, 2.0, pins=False, clock=lambda: took if server.heard else 0.0)
    answer = call(client, "/t.T/Echo", b"body")
    client.close()
    server.listener.close()
    assert answer.error == error


def test_over_tls(certificate, monkeypatch):
    with grpcio(str(certificate)) as address:
        client = GrpcClient(f"https://{address}", HUNG, pins=False)
        assert call(client, "/t.T/Echo", b"a").error == "tls failed"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        client = GrpcClient(f"https://{address}", HUNG, pins=False)
        for _ in range(2):
            answer = call(client, "/t.T/Echo", b"a" * 100_000)
            assert (answer.error, answer.body) == (None, b"a" * 100_000)
        assert len(client._idle) == 1
        client.close()


def test_the_wrong_port_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_http_1():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer_in_http_1, daemon=True).start()
        port = listener.getsockname()[1]
        calls = GrpcCalls(f"http://127.0.0.1:{port}", {}, Role.CANDIDATE, HUNG)
        with pytest.raises(TargetError, match="candidate: malformed answer; no gRPC is spoken there"):
            calls.metadata("/inference.GRPCInferenceService/ModelMetadata", "m")


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def headers(stream, *fields, ends=False, whole=True):
    # a table that the client has forbidden is not used; Huffman's code is
    encoder = Encoder()
    encoder.header_table_size = 0
    return frame(1, 4 * whole | ends, stream, encoder.encode(fields, huffman=True))


OPEN, GOOD = (":status", "200"), ("grpc-status", "0")
MESSAGE = b"\0\0\0\0\2hi"


def data(stream, payload=MESSAGE, flags=0):
    return frame(0, flags, stream, payload)


def good(stream):
    return (
        headers(stream, OPEN, ("content-type", "application/grpc"))
        + data(stream)
        + headers(stream, GOOD, ends=True)
    )


class Frames:
    """Answers the n-th call (streams 1, 3, ...) with the n-th bytes, and closes at None."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.connections = 0
        self.heard = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while self.steps:
            connection, _ = self.listener.accept()
            self.connections += 1
            with connection, suppress(ConnectionError):
                self.talk(connection)

    def talk(self, connection):
        connection.sendall(frame(4, 0, 0))
        heard = b""
        while part := connection.recv(65536):
            self.heard += part
            heard += part
            if b"body" in heard:
                heard = b""
                if (step := self.steps.pop(0)) is None:
                    # with something unread, the system would reset the connection instead
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                    return
                connection.sendall(step)


UNREADABLE = "malformed answer"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (good(1), (200, None, b"hi")),
        # only trailers, with a text that is escaped
        (
            headers(1, OPEN, ("grpc-status", "14"), ("grpc-message", "no%20room"), ends=True),
            (200, "grpc unavailable", b"no room"),
        ),
        # a number that gRPC has no name for
        (headers(1, OPEN, ("grpc-status", "99"), ends=True), (200, "grpc 99", b"")),
        # a proxy's own answer
        (headers(1, (":status", "503"), ends=True), (503, None, b"")),
        # an interim answer, padding, a priority, an unknown kind of frame, a ping, settings, an empty frame
        (
            headers(1, (":status", "103"))
            + headers(1, OPEN)
            + frame(99, 0, 0, b"x")
            + frame(6, 0, 0, b"12345678")
            + frame(4, 0, 0, struct.pack(">HI", 5, 32768))
            + data(1, b"\3" + MESSAGE + b"\0\0\0", flags=8)
            + data(1, b"")
            + headers(1, GOOD, ends=True),
            (200, None, b"hi"),
        ),
        # headers in two frames
        (
            headers(1, OPEN, whole=False) + frame(9, 4, 1) + data(1) + headers(1, GOOD, ends=True),
            (200, None, b"hi"),
        ),
        # the server asks for no more of the request, after it has said everything
        (good(1) + frame(3, 0, 1, struct.pack(">I", 0)), (200, None, b"hi")),
        # no status at all, a message that is cut, compressed, or two of them
        (headers(1, OPEN) + data(1, flags=1), (200, UNREADABLE, MESSAGE)),
        (
            headers(1, OPEN) + data(1, MESSAGE[:-1]) + headers(1, GOOD, ends=True),
            (200, UNREADABLE, MESSAGE[:-1]),
        ),
        (
            headers(1, OPEN) + data(1, b"\1" + MESSAGE[1:]) + headers(1, GOOD, ends=True),
            (200, UNREADABLE, b"\1" + MESSAGE[1:]),
        ),
        (headers(1, OPEN) + data(1) * 2 + headers(1, GOOD, ends=True), (200, UNREADABLE, MESSAGE * 2)),
        (headers(1, OPEN) + headers(1, GOOD, ends=True), (200, UNREADABLE, b"")),
        # the call is cut off
        (frame(3, 0, 1, struct.pack(">I", 8)), (0, "stream reset", b"")),
        # of a first call: there is no connection that went stale
        (frame(3, 0, 1, struct.pack(">I", 7)), (0, "connection closed", b"")),
        (frame(7, 0, 0, struct.pack(">II", 0, 0)), (0, "connection closed", b"")),
        # no HTTP/2: text, a frame that is too long or too short, a push, headers that end in another frame
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", (0, UNREADABLE, b"")),
        (frame(0, 0, 1, b"x" * 16385), (0, UNREADABLE, b"")),
        (frame(3, 0, 1, b"\0"), (0, UNREADABLE, b"")),
        (frame(5, 4, 1, b"\0\0\0\2"), (0, UNREADABLE, b"")),
        (headers(1, OPEN, whole=False) + data(1), (0, UNREADABLE, b"")),
        (frame(0, 8, 1, b"\7ab"), (0, UNREADABLE, b"")),
        # headers that are none, or refer to a table that there is not; an answer to no call
        (frame(1, 5, 1, b"\x00\xff"), (0, UNREADABLE, b"")),
        (frame(1, 5, 1, b"\xbe"), (0, UNREADABLE, b"")),
        (good(3), (0, UNREADABLE, b"")),
        # nothing
        (None, (0, "connection closed", b"")),
        # it breaks off
        (headers(1, OPEN), (0, "timeout", b"")),
    ],
)
def test_what_may_come(answer, expected):
    server = Frames(answer)
    client = GrpcClient(server.url, 0.5 if expected[1] == "timeout" else HUNG, pins=False)
    got = call(client, "/t.T/Echo", b"body")
    client.close()
    server.listener.close()
    assert (got.status, got.error, got.body) == expected


@pytest.mark.parametrize(
    "end",
    [
        # the connection closes, the server is about to, or has too many streams
        None,
        frame(7, 0, 0, struct.pack(">II", 1, 0)),
        frame(3, 0, 3, struct.pack(">I", 7)),
    ],
)
def test_a_call_that_was_not_begun_is_sent_once_more(end):
    server = Frames(good(1), end, good(1))
    client = GrpcClient(server.url, HUNG, pins=False)
    answers = [call(client, "/t.T/Echo", b"body") for _ in range(2)]
    client.close()
    server.listener.close()
    assert [(a.error, a.body, a.resent) for a in answers] == [(None, b"hi", False), (None, b"hi", True)]
    assert server.connections == 2


def test_a_server_that_is_about_to_close_gets_no_more_calls_on_that_connection():
    server = Frames(frame(7, 0, 0, struct.pack(">II", 2**31 - 1, 0)) + good(1), good(1))
    client = GrpcClient(server.url, HUNG, pins=False)
    answers = [call(client, "/t.T/Echo", b"body") for _ in range(2)]
    assert [(a.error, a.resent) for a in answers] == [(None, False)] * 2
    client.close()
    server.listener.close()
    assert server.connections == 2
    assert server.heard.count(PREFACE) == 2
