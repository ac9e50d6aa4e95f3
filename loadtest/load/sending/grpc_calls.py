"""Asking a gRPC server before the load: what its model takes, and one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtest.errors import TargetError
from loadtest.experiment.role import Role
from loadtest.load.protocols.oip_messages import metadata, metadata_request
from loadtest.load.sending.error_phrases import MALFORMED
from loadtest.load.sending.first_request import excerpt
from loadtest.load.sending.grpc_client import GrpcClient

_NO_GRPC = "no gRPC is spoken there; is it the port of REST? MLServer has gRPC on 8081, Triton on 8001"
_REMEDIES = {
    MALFORMED: _NO_GRPC,
    "connection closed": _NO_GRPC,
    "connection reset": _NO_GRPC,
    "connection refused": "nothing answers there; start the server first, or give its URL",
    "tls failed": "no secure connection; SSL_CERT_FILE may name another authority",
    "grpc not found": "is the model's name right?",
    "grpc unimplemented": "the server does not speak the Open Inference Protocol over gRPC",
    "grpc unavailable": "is the model ready?",
    "grpc unauthenticated": "give a token: see Secrets in docs/any-server.md",
}


class GrpcCalls:
    """``GrpcCalls("http://127.0.0.1:8081", {}, Role.STABLE, timeout=5.0)``; one call after the other.

    Each call gets ``timeout`` seconds; messages name the ``role``.
    """

    def __init__(self, base: str, headers: Mapping[str, str], role: Role, timeout: float) -> None:
        self._base = base
        self._role = role
        self._timeout = timeout
        self._client = GrpcClient(base, timeout, headers, pins=False)

    def metadata(self, path: str, model: str) -> dict[str, Any]:
        """What a model says of itself, as REST would have it.

        Raises:
            TargetError: it says nothing, or nothing that can be read.
        """
        url, body = self.call(path, metadata_request(model))
        try:
            return metadata(body)
        except ValueError as error:
            raise TargetError(f"{url}: {self._role} says nothing readable of its model ({error})") from None

    def call(self, path: str, message: bytes) -> tuple[str, bytes]:
        """Where a call goes, and the message that answers it.

        Raises:
            TargetError: none does.
        """
        url = self._base + path
        answer = self._client.post(self._client.head(path, None), message, b"before-the-load")
        if answer.error == "timeout":
            raise TargetError(
                f"{url}: {self._role} gave no answer within {self._timeout:g} s; is the version running?"
            )
        wrong = answer.error or (None if answer.status == 200 else f"HTTP {answer.status}")
        if wrong:
            said = excerpt(answer.body)
            remedy = _REMEDIES.get(wrong, "is it ready, and is the model's name right?")
            raise TargetError(f"{url}: {self._role}: {wrong}{f' ({said})' if said else ''}; {remedy}")
        return url, answer.body

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
