"""A small read-only HTTP server that tells a rollout what was found of its candidate.

Argo Rollouts' web metric reads ``GET /v1/verdict?candidate=v3``; Flagger's webhooks post to
``/v1/flagger/confirm`` (200 only on PASS) and ``/v1/flagger/rollback`` (200 only on FAIL).
"""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from loadtest.errors import UsageError
from loadtest.publish.verdict_lookup import Question

MOST_CONNECTIONS = 32
REQUEST_SECONDS = 10.0
"""From the first byte of a request to its last."""
LARGEST_BODY = 64 * 2**10

Find = Callable[[Question], dict[str, Any] | None]


class VerdictServer(ThreadingHTTPServer):
    """Serves verdicts: ``VerdictServer(("127.0.0.1", 8790), find, ["loadproof.default"]).serve_forever()``.

    Args:
        address: to listen on.
        find: the document of the verdict that answers a question; None where there is none.
        hosts: names, besides addresses and ``localhost``, by which it may be asked.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], find: Find, hosts: Iterable[str] = ()) -> None:
        self.find = find
        self.hosts = frozenset({"localhost", *(host.lower() for host in hosts)})
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, if there is room for one more; else it is closed at once."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection, and cut it where its request takes too long."""
        cut = threading.Timer(REQUEST_SECONDS, _cut, [request])
        cut.daemon = True
        cut.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            cut.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: VerdictServer
    server_version, sys_version = "loadproof", ""
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        """The verdict on a candidate, or whether the server lives."""
        parts = urlsplit(self.path)
        if not self._host_is_ours():
            return
        if parts.path == "/healthz":
            self._answer(200, "ok")
        elif parts.path == "/v1/verdict":
            found = self._found(dict(parse_qsl(parts.query, keep_blank_values=True)))
            if found is not None:
                self._answer(200, found)
        else:
            self._answer(404, "there is /v1/verdict?candidate=NAME")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def do_POST(self) -> None:
        """Flagger asks, with the candidate in the ``metadata`` of its webhook."""
        wanted = {"/v1/flagger/confirm": "PASS", "/v1/flagger/rollback": "FAIL"}.get(self.path)
        if not self._host_is_ours():
            return
        if wanted is None:
            self._answer(404, "there are /v1/flagger/confirm and /v1/flagger/rollback")
            return
        metadata = self._metadata()
        found = None if metadata is None else self._found(metadata)
        if found is not None:
            verdict, reason = found["verdict"], found["reason"]
            # no other status: Flagger takes 200 to 202 for yes
            self._answer(200 if verdict == wanted else 409, f"{verdict}: {reason} (run {found['run']})")

    def _host_is_ours(self) -> bool:
        """Whether it was asked by a name that no site can give itself (DNS rebinding)."""
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            name = ""
        if name in self.server.hosts or _is_address(name):
            return True
        self._answer(403, "not served by this name; name it with --host")
        return False

    def _metadata(self) -> dict[str, str] | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self._answer(413 if length.isdecimal() else 411, f"a body of at most {LARGEST_BODY:,} bytes")
            return None
        try:
            metadata = json.loads(self.rfile.read(int(length)))["metadata"]
            return {str(key): str(value) for key, value in metadata.items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._answer(400, "a JSON object with metadata: {candidate: NAME}")
            return None

    def _found(self, given: dict[str, str]) -> dict[str, Any] | None:
        try:
            question = Question.parse(given)
        except UsageError as error:
            self._answer(400, str(error))
            return None
        found = self.server.find(question)
        if found is None:
            self._answer(404, f"no verdict on {question.candidate[:100]!r} yet; ask again")
        return found

    def _answer(self, status: int, content: str | dict[str, Any]) -> None:
        text = isinstance(content, str)
        body = (f"{content}\n" if text else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the name that http.server gives
        """Nothing: a rollout asks every few seconds."""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is over
