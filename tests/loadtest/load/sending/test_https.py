"""Kept connections over TLS: what the server closed is not used, and what it swallows is sent once more."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loadtest.load.sending.http_client import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
HUNG = 60.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


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
