"""The gateway as the border: what a stranger says or sends slowly reaches no version. A real Envoy."""

import contextlib
import json
import socket

import pytest

from loadtest.fetch import get
from loadtest.lab.processes.supervisor import Supervisor
from tests.integration.gateway_process import ROOT, many, running_gateway, start_gateway
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration

HALF = b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: 100\r\n\r\n[1, 2"
CHUNK = b"4000\r\n" + b" " * 0x4000 + b"\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        gateway.split(50)
        yield gateway


def said(gateway, head):
    """What comes back for bytes as they are, until the gateway hangs up."""
    with socket.create_connection(("127.0.0.1", gateway.ports["listen"]), HUNG) as client:
        client.sendall(head)
        return b"".join(iter(lambda: client.recv(2**16), b""))


@pytest.mark.parametrize(
    "header",
    [
        # a WSGI server reads each as the header with hyphens
        b"x_envoy_expected_rq_timeout_ms: 1",
        b"x_shadow: copy",
        b"x-canary_step: 7",
        b"X_Model_Version: candidate",
        b"innocent_one: 1",
    ],
)
def test_a_header_with_an_underscore_is_refused(gateway, header):
    before = gateway.requests("stable"), gateway.requests("candidate")
    answer = said(
        gateway, b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nconnection: close\r\n" + header + b"\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"gateway: the request is malformed: http1.unexpected_underscore" in answer
    assert (gateway.requests("stable"), gateway.requests("candidate")) == before


@pytest.mark.parametrize("pin", [None, "stable"])
def test_what_only_the_gateway_says_is_taken_from_strangers(gateway, pin):
    forged = {
        "x-envoy-expected-rq-timeout-ms": "1",
        "x-envoy-original-path": "/v2/forged",
        "x-envoy-anything": "1",
        "x-shadow": "copy",
        "x-canary-step": "forged",
        "x-canary-arm": "forged",
        "x-request-start": "t=1",
    }
    pinned = {"x-model-version": pin} if pin else {}
    answer = get(f"{gateway.url}/v2/echo", HUNG, forged | pinned)
    seen = json.loads(answer.body)["headers"]
    assert seen["x-envoy-expected-rq-timeout-ms"] == "10000"
    assert seen["x-request-start"] != "t=1"
    assert not {"x-shadow", "x-envoy-anything", "x-envoy-original-path"} & set(seen)
    # the step of the canary, where the request is evidence; a pinned one never is
    assert seen.get("x-canary-step") == (None if pin else "0")
    assert seen.get("x-canary-arm") in ([None] if pin else ["stable", "candidate"])


def test_a_request_that_names_a_version_is_no_evidence(gateway):
    # the other version can only refuse it, whoever asks
    answer = get(f"{gateway.url}/v2/models/m/versions/v1/echo", HUNG, {"x-user-id": "eve"})
    seen = json.loads(answer.body)["headers"]
    assert not {"x-canary-step", "x-canary-arm"} & set(seen)


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_user_is_nobody_and_shared_by_request(gateway, blank):
    # all on one side: by chance once in 10^59
    assert set(many(gateway, 200, x_user_id=blank)) == {"stable", "candidate"}
    answer = get(f"{gateway.url}/v2/echo", HUNG, {"x-user-id": blank})
    assert "x-user-id" not in json.loads(answer.body)["headers"]


SMUGGLED = b"GET /v2/requests HTTP/1.1\r\nhost: g\r\nx-canary-step: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        # a version that does not read such a body, as Python's own server, takes it for the next request
        (
            b"GET /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
            b"400",
        ),
        (
            b"HEAD /v2/echo HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n"
            b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n",
            b"400",
        ),
        # one that knows none of these methods, too
        *(
            (
                b"%s /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: %d\r\n\r\n" % (method, len(SMUGGLED))
                + SMUGGLED,
                b"400",
            )
            for method in (b"DELETE", b"PUT", b"PATCH", b"PROPFIND", b"MKCOL", b"SEARCH", b"QUERY")
        ),
        # two lengths, or a length and chunks: who is right?
        (b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", b"400"),
        (
            b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
            b"0\r\n\r\n" + SMUGGLED,
            b"400",
        ),
        # an upgrade, and paths that are others once they are decoded
        (b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", b"400"),
        (b"GET /v2/%2e%2e/metrics HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", b"404"),
        (b"GET /v2/..%2fmetrics HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", b"400"),
        (b"GET http://stable:8000/metrics HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n", b"404"),
        (b"GET /v2/echo HTTP/1.0\r\n\r\n", b"426"),
        # HTTP/2, whose preface and settings these are: its streams would fill the gateway's memory
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5), b"400"),
        # lengths that are none, and a body that only some unpack
        (b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: -1\r\n\r\n", b"400"),
        (b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: +2\r\n\r\n{}", b"400"),
        (b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: 9" + b"9" * 22 + b"\r\n\r\n", b"400"),
        (
            b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\nf" + b"f" * 16 + b"\r\n",
            b"400",
        ),
        (
            b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"501",
        ),
        # a carriage return in a name, a blank before a colon, headers and trailers without end
        (b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nx-a\rx-shadow: copy\r\n\r\n", b"400"),
        (b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nx-shadow : copy\r\n\r\n", b"400"),
        (b"GET /v2/echo HTTP/1.1\r\nhost: g\r\n" + b"x-a: b\r\n" * 1000 + b"\r\n", b"431"),
        (
            b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
            + (b"x-a: " + b"b" * 1000 + b"\r\n") * 100
            + b"\r\n",
            b"431",
        ),
        (b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nx-user-id: a\0b\r\n\r\n", b"400"),
    ],
)
def test_what_could_be_read_in_two_ways_reaches_no_version(gateway, request_, status):
    before = gateway.requests("stable"), gateway.requests("candidate")
    with socket.create_connection(("127.0.0.1", gateway.ports["listen"]), HUNG) as client:
        client.sendall(request_)
        assert client.recv(2**16).startswith(b"HTTP/1.1 " + status)
    assert (gateway.requests("stable"), gateway.requests("candidate")) == before


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (
            b"GET /v2/..%2fmetrics HTTP/1.1\r\nhost: g\r\nx-model-version: stable\r\n",
            b"path_normalization_failed",
        ),
        # whatever version is asked for
        (
            b"GET /v2/..%2fmetrics HTTP/1.1\r\nhost: g\r\nx-model-version: control\r\n",
            b"path_normalization_failed",
        ),
        (b"GET /v2/..%2fmetrics HTTP/1.1\r\nhost: g\r\n", b"path_normalization_failed"),
        (b"GET /v2/echo HTTP/1.1\r\n", b"missing_host_header"),
        (b"POST /v2/echo HTTP/1.1\r\nhost: g\r\nupgrade: websocket\r\n", b"no connection is upgraded"),
        (b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nx-model-version: vx\r\n", b"must be 'stable' or 'candidate'"),
    ],
)
def test_a_refusal_says_why(gateway, request_, word):
    connection = b"upgrade, close" if b"upgrade" in request_ else b"close"
    answer = said(gateway, request_ + b"connection: " + connection + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":"gateway: ' in answer
    assert word in answer


@pytest.mark.parametrize(
    "lines",
    [
        # some servers take a carriage return, or a line feed, for the end of a line; others a blank for none
        b"x-user-id: a\rx-shadow: copy",
        b"x-user-id: a\nx-shadow: copy",
        b"x-user-id: a\r\n x-shadow: copy",
        # a header of one connection only is taken away, and with it what the gateway says
        b"connection: x-canary-step, x-canary-arm, x-request-start, close",
    ],
)
def test_lines_that_are_read_in_two_ways_bring_no_mark(gateway, lines):
    answer = said(gateway, b"GET /v2/echo HTTP/1.1\r\nhost: g\r\nconnection: close\r\n" + lines + b"\r\n\r\n")
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert "x-shadow" not in seen
    assert (seen["x-canary-step"], "x-canary-arm" in seen, "x-request-start" in seen) == ("0", True, True)


def test_marks_in_a_trailer_are_no_headers(gateway):
    marks = b"x-shadow: copy\r\nx-canary-step: 9\r\nx-user-id: eve\r\n"
    head = b"POST /v2/echo HTTP/1.1\r\nhost: g\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = said(gateway, head + b"2\r\n{}\r\n0\r\n" + marks + b"\r\n")
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert (seen["x-canary-step"], seen.get("x-user-id"), seen.get("x-shadow")) == ("0", None, None)


def test_half_sent_requests_reach_no_version_and_end(gateway):
    before = gateway.requests("stable"), gateway.requests("candidate")
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.ports["listen"]), HUNG))
            for _ in range(200)
        ]
        for client in slow:
            client.sendall(HALF)
        assert sum(many(gateway, 100).values()) == 100
        # a drop now and then keeps no place either
        for client in slow:
            client.sendall(b",")
        assert {client.recv(64)[:13] for client in slow} == {b"HTTP/1.1 408 "}
    ours = gateway.requests("stable") + gateway.requests("candidate")
    assert ours == sum(before) + 100


def test_a_body_that_never_ends_is_refused_before_a_version_sees_it(gateway):
    before = gateway.requests("stable"), gateway.requests("candidate")
    head = b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.ports["listen"]), HUNG) as client:
        client.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(300):
                client.sendall(CHUNK)
        assert eventually(lambda: client.recv(64)).startswith(b"HTTP/1.1 413 ")
    assert (gateway.requests("stable"), gateway.requests("candidate")) == before


def test_half_sent_bodies_are_cut_before_they_fill_the_memory(gateway, tmp_path):
    versions = {version: gateway.ports[version] for version in ("stable", "candidate")}
    head = b"POST /v2/echo HTTP/1.1\r\nhost: g\r\ncontent-length: 4000000\r\n\r\n"
    with Supervisor(tmp_path, ROOT) as supervisor:
        service, ports = start_gateway(supervisor, tmp_path, gateway.routes, versions, heap=48 * 2**20)
        sending, answers = [], []
        with contextlib.ExitStack() as clients:
            # twice the memory
            for _ in range(25):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", ports["listen"]), HUNG))
                with contextlib.suppress(ConnectionError):
                    client.sendall(head + b" " * 3_900_000)
                client.setblocking(False)
                sending.append(client)

            def is_cut():
                for client in sending:
                    # Envoy looks at its memory now and then, and cuts who sends on
                    with contextlib.suppress(OSError):
                        client.send(b" ")
                    with contextlib.suppress(OSError):
                        answers.append(client.recv(12))
                return b"HTTP/1.1 500" in answers

            eventually(is_cut)
        assert service.ended() is None
        # whoever comes next finds room
        url = f"http://127.0.0.1:{ports['listen']}/v2/health/ready"
        eventually(lambda: (answer := get(url, HUNG)) is not None and answer.status == 200)
