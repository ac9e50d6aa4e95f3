"""What the server reads from the headers of a request."""

from __future__ import annotations

import os

from werkzeug.datastructures import Headers

from services.model_server.errors import RequestError
from services.model_server.protocol import MAX_ID


def request_id(headers: Headers) -> str:
    """The id that the caller gave, or a new one where it is missing or too long to keep."""
    given = headers.get("x-request-id")
    return given if given and len(given) <= MAX_ID else os.urandom(16).hex()


def json_length(headers: Headers) -> int | None:
    """The length of the body's JSON part where the binary extension is used.

    Raises:
        RequestError: 415 or 400, the body is of a kind that is not understood.
    """
    if headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError(415, "compressed bodies are not supported; send them without Content-Encoding")
    length = headers.get("Inference-Header-Content-Length")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json") and not (length and kind == "application/octet-stream"):
        raise RequestError(
            415,
            f"content type {kind!r} is not supported; send application/json, or application/octet-stream "
            "with Inference-Header-Content-Length",
        )
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 10):
        raise RequestError(400, f"Inference-Header-Content-Length must be a number of bytes, got {length!r}")
    return int(length) if length is not None else None


def patience(headers: Headers, default: float) -> float:
    """Seconds that the gateway waits for the answer (Envoy says so), never more than ours."""
    given = headers.get("x-envoy-expected-rq-timeout-ms", "")
    if given.isascii() and given.isdigit() and len(given) < 10 and int(given) > 0:
        return min(int(given) / 1000, default)
    return default
