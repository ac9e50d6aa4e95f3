"""What a server says of itself, and servers that say nothing or nonsense."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from loadtest.lab.services.server_metrics import memory_bytes, read_metrics


@contextmanager
def serving(status: int, body: str):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, "process_resident_memory_bytes 1.23456e+08\nother 2\n", 123456000),
        # what is kept by label is no fact about the whole server
        (200, 'process_resident_memory_bytes{worker="1"} 5\n', None),
        (200, "up 1\n", None),
        (200, "<html>not metrics</html>", None),
        (404, "process_resident_memory_bytes 5\n", None),
    ],
)
def test_memory_as_the_server_says_it(status, body, expected):
    with serving(status, body) as url:
        assert memory_bytes(url) == expected


def test_a_server_that_is_gone_says_nothing():
    with serving(200, "up 1\n") as url:
        pass
    assert read_metrics(url) == {}
