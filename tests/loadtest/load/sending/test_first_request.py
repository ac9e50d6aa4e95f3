"""A server that does not answer as it should is named with what to do, before any load."""

import errno
import gzip
import socketserver
import threading

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from loadtest.errors import TargetError, UsageError
from loadtest.load.sending.first_request import opened, send


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


@pytest.fixture
def said(request):
    """``said(answer)``: what ``send`` says of a server that answers so to whatever it is asked."""
    heads = []

    def ask(content: bytes, scheme: str = "http") -> bytes:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                heads.append(self.request.recv(65536))
                self.wfile.write(content)

        server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        request.addfinalizer(server.server_close)
        request.addfinalizer(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with opened() as session:
            url = f"{scheme}://127.0.0.1:{server.server_address[1]}/predict"
            return send(session, "POST", url, "candidate", {}, b"{}").content

    ask.heads = heads
    return ask


def test_the_answer_comes_as_it_is_and_unpacked(said):
    assert said(answer("200 OK", b'{"predictions": [1]}')) == b'{"predictions": [1]}'
    assert b"\r\nAccept-Encoding: identity\r\n" in said.heads[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        # Django and FastAPI send on to the path with a slash at its end
        (answer("307 Temporary Redirect", b"", "Location: /predict/"), "sends on to '/predict/'.*give that"),
        (answer("401 Unauthorized", b"no token"), r"HTTP 401 .no token.; if it wants a key.*headers"),
        (answer("404 Not Found", b"<html>\x1b[31m"), r"HTTP 404 .<html> \[31m.; is it ready"),
        # a proxy that packs whatever passes
        (answer("200 OK", gzip.compress(b"{}"), "Content-Encoding: gzip"), "packs its answer"),
        # a server of TLS that is asked without
        (b"", "ended without an answer; is it http where https is meant"),
    ],
    ids=["redirect", "key", "page", "packed", "tls"],
)
def test_what_is_no_answer(said, content, says):
    with pytest.raises(TargetError, match=says) as caught:
        said(content)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/", "nothing answers there; start the lab or the server first"),
        ("http://nosuch.invalid/", "this machine knows no such host"),
    ],
)
def test_nobody_there(url, says):
    with opened() as session, pytest.raises(TargetError, match=says):
        send(session, "GET", url, "stable", {})


def test_https_where_the_server_speaks_http(said):
    with pytest.raises(TargetError, match=r"no secure connection \((?!HTTPS)[^(]*\); SSL_CERT_FILE"):
        said(answer("400 Bad Request"), "https")


@pytest.mark.parametrize(("variable", "says"), [("FILE", "no such file"), ("DIR", "no such folder")])
def test_an_authority_that_is_not_there(monkeypatch, tmp_path, variable, says):
    monkeypatch.setenv(f"SSL_CERT_{variable}", str(tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match=rf"SSL_CERT_{variable}=.*ca\.pem: {says}"), opened():
        pass


class NoSocket(HTTPAdapter):
    """The machine under the session has no socket to give."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def send(self, request, **_):
        reason = NewConnectionError(None, "no socket")
        reason.__cause__ = OSError(self.number, "no socket")
        raise requests.ConnectionError(MaxRetryError(None, request.url, reason))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EADDRNOTAVAIL, r"this machine could not ask \(no port free\): .* widen net\.ipv4"),
        (errno.EMFILE, r"this machine could not ask \(too many open files\): .* raise `ulimit -n`"),
        (errno.ENETUNREACH, r"this machine could not ask \(no route\): .* check its network"),
        # the server's: nobody listens
        (errno.ECONNREFUSED, "nothing answers there; start the lab or the server first"),
    ],
)
def test_trouble_of_this_machine_is_not_the_servers(number, says):
    with opened() as session:
        session.mount("http://", NoSocket(number))
        with pytest.raises(TargetError, match=says):
            send(session, "GET", "http://127.0.0.1:9/predict", "stable", {})
