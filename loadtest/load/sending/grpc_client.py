"""The client of the load for gRPC: unary calls with ready-made messages; connections as with HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import gevent.socket

from contract.headers import MODEL_VERSION
from loadtest.load.sending.error_phrases import phrase_of
from loadtest.load.sending.http2_connection import Http2Connection
from loadtest.load.sending.http2_frames import field
from loadtest.load.sending.http_client import Answer, Client, Exchanging

_DEADLINE = "grpc deadline exceeded"


class GrpcClient(Client):
    """``GrpcClient("http://127.0.0.1:8081", timeout=2.0)``; arguments are those of ``Client``.

    ``http`` is HTTP/2 without TLS, as servers offer it inside a cluster. ``head`` takes the call's path, and
    the time-out goes along as its deadline.
    """

    def __init__(
        self, base: str, timeout: float, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(base, timeout, headers, **{"content_type": "application/grpc", **more})
        if self._tls is not None:
            self._tls.set_alpn_protocols(["h2"])

    def head(self, path: str, role: str | None, headers: Mapping[str, str] | None = None) -> bytes:
        """The headers of a call, but for the id of the request."""
        more = {MODEL_VERSION: role} if role and self._pins else {}
        fields = {
            ":method": "POST",
            ":scheme": "https" if self._tls is not None else "http",
            ":path": path,
            ":authority": self._netloc,
            "te": "trailers",
            "content-type": self._content_type,
            "user-agent": "loadproof",
            "grpc-timeout": f"{ceil(self._timeout * 1000)}m",
            **more,
            **{name.lower(): value for name, value in {**self._headers, **(headers or {})}.items()},
        }
        return b"".join(field(name, value.encode("ascii")) for name, value in fields.items())

    def post(
        self, head: bytes, body: bytes, request_id: bytes, traceparent: bytes = b"", *, again: bool = True
    ) -> Answer:
        """Call and wait for the whole answer; our own deadline is a time-out, whoever says so first."""
        answer = super().post(head, body, request_id, traceparent, again=again)
        if answer.error == _DEADLINE and answer.done_at - answer.sent_at >= self._timeout:
            return answer._replace(status=0, body=b"", error=phrase_of(TimeoutError()))
        return answer

    def _on(self, sock: gevent.socket.socket, tls: bool) -> Exchanging:
        return Http2Connection(sock, tls, self._clock)
