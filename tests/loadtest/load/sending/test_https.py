"""Kept connections over TLS: what the server closed is not used, and what it swallows is sent once more."""

import socket
import ssl
import threading
import time

import pytest

from loadtest.load.sending.http_client import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
HUNG = 60.0


class Server:
    """Answers the first request of each connection, then does as told: ``keep``, ``close`` or ``swallow``."""

    def __init__(self, certificate, then):
        self.then = then
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=[raw], daemon=True).start()

    def talk(self, raw):
        with self.context.wrap_socket(raw, server_side=True) as connection:
            count = 0
            while received := connection.recv(65536):
                while not received.endswith(b"body"):
                    received += connection.recv(65536)
                self.requests.append(received)
                count += 1
                if self.then == "swallow" and count == 2:
                    return
                connection.sendall(OK)
                if self.then == "close":
                    return


@pytest.mark.parametrize(("then", "sent"), [("keep", 3), ("close", 3), ("swallow", 5)])
def test_three_requests(certificate, monkeypatch, then, sent):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = Server(certificate, then)
    client = Client(server.url, timeout=HUNG)
    answers = []
    for number in range(3):
        answers.append(client.post(client.head("/infer", None), b"body", b"run-%d" % number))
        deadline = time.monotonic() + HUNG
        while then == "close" and any(connection.is_open() for connection in client._idle):
            assert time.monotonic() < deadline
    # what lies there unread (session tickets) does not make a connection look closed
    assert all(connection.is_open() for connection in client._idle) == (then != "close")
    client.close()
    server.listener.close()
    assert [(a.status, a.body, a.error) for a in answers] == [(200, b"hi", None)] * 3
    assert [a.resent for a in answers] == [False, then == "swallow", then == "swallow"]
    assert len(server.requests) == sent
