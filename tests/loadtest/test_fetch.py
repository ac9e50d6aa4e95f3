"""One HTTP request, and servers that are silent, slow, cut off, endless or no servers of metrics."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from loadtest.data.exposition import MEMORY, read_exposition
from loadtest.fetch import LARGEST, get, page, put

HEAD = b"HTTP/1.1 200 OK\r\n"
HANGS = 60.0
"""Seconds that nothing here takes unless it hangs."""


@contextmanager
def serving(*pieces, pause=None):
    """A server that answers every connection with these bytes, one after the other; its base URL.

    Args:
        pieces: what is sent.
        pause: waits between two of them; true: the test is over.
    """
    over = threading.Event()
    heard = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(65536))
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                    if pause and pause(over):
                        break

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield url, heard
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(HANGS)


def whole(body, status=b"200 OK"):
    return b"HTTP/1.1 " + status + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (whole(b"process_resident_memory_bytes 1.5e+08\nother 2\n"), 1.5e8),
        # in chunks, and until the server closes
        (
            HEAD + b"transfer-encoding: chunked\r\n\r\n7\r\nprocess\r\n"
            b"18\r\n_resident_memory_bytes 5\r\n0\r\n\r\n",
            5,
        ),
        (HEAD + b"\r\nprocess_resident_memory_bytes 5\n", 5),
        # what is kept by label is no fact about the whole server
        (whole(b'process_resident_memory_bytes{worker="1"} 5\n'), None),
        (whole(b"up 1\n"), None),
        (whole(b"<html>not metrics</html>"), None),
        (whole(b"process_resident_memory_bytes 5\n", b"404 Not Found"), None),
        # cut off: half a page is no page
        (HEAD + b"content-length: 99\r\n\r\nprocess_resident_memory_bytes 5\n", None),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nff\r\nprocess_resident_memory_bytes 5\n", None),
        # a length that nobody can hold, and no HTTP at all
        (HEAD + b"content-length: 999999999999999\r\n\r\nx", None),
        (b"SSH-2.0-OpenSSH_9.9\r\n", None),
        # a chunk of less than nothing
        (HEAD + b"transfer-encoding: chunked\r\n\r\n-5\r\nprocess_resident_memory_bytes 5\n", None),
        (b"", None),
    ],
)
def test_metrics_as_the_server_says_them(answer, expected):
    with serving(answer) as (url, _):
        assert read_exposition(page(f"{url}/metrics", HANGS)).get(MEMORY) == expected


# http.client reads a chunk of length -1 until the server closes
@pytest.mark.parametrize("framed", [b"\r\n", b"transfer-encoding: chunked\r\n\r\n-1\r\n"])
def test_a_body_without_an_end_is_no_answer(framed):
    sent = []
    pieces = 8 * LARGEST // 2**20
    with serving(HEAD + framed, *([b"a" * 2**20] * pieces), pause=lambda _: sent.append(1)) as (url, _):
        assert get(url, HANGS) is None
    # what was on its way fits between the two
    assert len(sent) < pieces


@pytest.mark.parametrize("first", [b"", HEAD, HEAD + b"content-length: 5000\r\n\r\n"])
def test_a_drip_ends_with_the_time_out_although_every_piece_is_in_time(first):
    dripping = [first, *([b"x"] * 5000)]
    with serving(*dripping, pause=lambda over: over.wait(0.02)) as (url, _):
        began = time.monotonic()
        assert get(url, 0.3) is None
        # all of the drip takes 100 s
        assert time.monotonic() - began < HANGS


def test_a_server_that_is_gone_says_nothing():
    with serving(whole(b"up 1\n")) as (url, _):
        pass
    assert page(url) is None


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "file:///etc/hostname", "nonsense"])
def test_only_plain_http_is_asked(url):
    assert get(url, HANGS) is None


def test_status_headers_and_body_come_back_and_a_document_arrives():
    with serving(HEAD + b"X-Model-Version: stable\r\ncontent-length: 2\r\n\r\n{}") as (url, heard):
        assert put(f"{url}/faults?a=b", "[1]", HANGS) == (
            200,
            {"x-model-version": "stable", "content-length": "2"},
            "{}",
        )
        assert heard[0].startswith(b"PUT /faults?a=b HTTP/1.1\r\n")
