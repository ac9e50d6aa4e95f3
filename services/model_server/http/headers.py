"""What the server reads from the headers of a request, as they stand in its WSGI environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from contract.headers import EXPECTED_TIMEOUT_MS, JSON_LENGTH, REQUEST_ID, in_wsgi
from services.model_server.errors import RequestError
from services.model_server.http.protocol import MAX_ID

_REQUEST_ID, _JSON_LENGTH = in_wsgi(REQUEST_ID), in_wsgi(JSON_LENGTH)
_EXPECTED_TIMEOUT_MS = in_wsgi(EXPECTED_TIMEOUT_MS)


def request_id(environ: Mapping[str, Any]) -> str:
    """The id that the caller gave, or a new one where it is missing or too long to keep."""
    given = environ.get(_REQUEST_ID)
    return given if given and len(given) <= MAX_ID else os.urandom(16).hex()


def json_length(environ: Mapping[str, Any]) -> int | None:
    """The length of the body's JSON part where the binary extension is used.

    Raises:
        RequestError: 415 or 400, the body is of a kind that is not understood.
    """
    if environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise RequestError(415, "compressed bodies are not supported; send them without Content-Encoding")
    length = environ.get(_JSON_LENGTH)
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/json") and not (length and kind == "application/octet-stream"):
        raise RequestError(
            415,
            f"content type {kind!r} is not supported; send application/json, or application/octet-stream "
            "with Inference-Header-Content-Length",
        )
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 10):
        raise RequestError(400, f"Inference-Header-Content-Length must be a number of bytes, got {length!r}")
    return int(length) if length is not None else None


def patience(environ: Mapping[str, Any], default: float) -> float:
    """Seconds that the gateway waits for the answer (Envoy says so), never more than ours."""
    given = environ.get(_EXPECTED_TIMEOUT_MS, "")
    if given.isascii() and given.isdigit() and len(given) < 10 and int(given) > 0:
        return min(int(given) / 1000, default)
    return default
