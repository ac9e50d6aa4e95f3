"""The generator against a server whose answers are known, and the numbers that are read off its outcomes."""

import http.server
import threading

import numpy as np
import pytest

from benchmarks.serving.sender import Outcome, Sender

REQUESTS = [
    f"POST /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode() for number in range(5)
]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        # the third is wrong, the fourth refused, and the fifth closes its connection
        number = int(self.path[1:])
        body = b"wrong" if number == 2 else self.path.encode()
        self.send_response(503 if number == 3 else 200)
        self.send_header("Content-Length", str(len(body)))
        if number == 4:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def sender():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        sender = Sender(server.server_address, REQUESTS, [f"/{n}".encode() for n in range(5)], 3)
        yield sender
        sender.close()
        server.shutdown()
        thread.join()


def test_one_request_alone(sender):
    assert sender.ask(1) == b"/1"
    assert sender.ask(4) == b"/4"
    with pytest.raises(RuntimeError, match="503"):
        sender.ask(3)


def test_every_answer_is_counted_as_what_it_is(sender):
    outcome = sender.closed(0.1)
    assert outcome.sent == len(outcome.latencies) + outcome.refused + outcome.failed
    # they are sent in turn: one in five each
    for count in (outcome.refused, outcome.failed, len(outcome.latencies) / 3):
        assert count == pytest.approx(outcome.sent / 5, abs=1)
    assert len(outcome.refusals) == outcome.refused


def test_arrivals_come_at_their_rate(sender):
    outcome = sender.open_loop(200, 0.3, seed=4)
    due = np.cumsum(np.random.default_rng(4).exponential(1 / 200, 60))
    # the last of them are not due when its time is up
    assert outcome.sent + outcome.unsent == np.sum(due <= outcome.seconds) > 0


def test_a_quantile_counts_what_never_came():
    latencies = [0.001 * n for n in range(1, 100)]
    assert Outcome(sent=99, latencies=latencies).quantile(0.5) == pytest.approx(0.05)
    # one of a hundred is missing: the median stays, the maximum is not known
    assert Outcome(sent=100, latencies=latencies).quantile(0.5) == pytest.approx(0.05)
    assert Outcome(sent=100, latencies=latencies).quantile(0.99) == pytest.approx(0.099)
    assert Outcome(sent=100, latencies=latencies).quantile(1.0) == float("inf")
    assert Outcome(sent=99, unsent=99, latencies=latencies).quantile(0.9) == float("inf")
