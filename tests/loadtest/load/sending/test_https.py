"""TLS: of kept connections what the server closed is not used, what it swallows is sent once more; and who is
trusted."""

import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from functools import partial

import pytest

from loadtest.errors import TargetError
from loadtest.load.sending.first_request import opened, send
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
        # a client that does not trust it goes away
        with suppress(ssl.SSLError), self.context.wrap_socket(raw, server_side=True) as connection:
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


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", None])
def test_authorities_of_the_variables_that_the_load_obeys(certificate, tmp_path, monkeypatch, variable):
    """OpenSSL finds an authority in a folder by the hash of its name; of several folders it looks in each."""
    server = Server(certificate, "close")
    if variable == "SSL_CERT_DIR":
        hashed = subprocess.run(
            ["openssl", "x509", "-hash", "-noout", "-in", certificate],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        (tmp_path / f"{hashed}.0").write_bytes(certificate.read_bytes())
        monkeypatch.setenv(variable, f"{certificate.parent}:{tmp_path}")
    elif variable:
        monkeypatch.setenv(variable, str(certificate))
    with opened() as session:
        ask = partial(send, session, "POST", server.url, "stable", {}, b"body")
        if variable:
            assert ask().content == b"hi"
        else:
            with pytest.raises(TargetError, match=r"no secure connection .*self.signed"):
                ask()
    server.listener.close()
