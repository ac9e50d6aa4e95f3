"""The short way of an infer request: past Flask, not around its rules.

Most of what a small model's request costs is Flask's: routing, a request context, response objects. The two
addresses that infer requests come to are fixed once the version is loaded, so they are compared as strings,
and ``Inference`` answers; every other request, method or spelling goes to Flask, whose own route ends in the
same ``Inference``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask

from services.model_server.http.inference import Inference
from services.model_server.version import LoadedVersion

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


def in_front_of(
    app: Flask, inference: Inference, version: LoadedVersion
) -> Callable[[dict[str, Any], Any], list[bytes]]:
    """The WSGI application that the server runs: ``app`` gets whatever is no plain infer request."""
    model = f"/v2/models/{version.name}"
    paths = frozenset([f"{model}/infer", f"{model}/versions/{version.version}/infer"])

    def serve(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] in paths and environ["REQUEST_METHOD"] == "POST":
            status, headers, body = inference(environ)
            start_response(_LINES[status], [*headers, ("content-length", str(len(body)))])
            return [body]
        return _in_one_piece(app(environ, start_response))

    return serve


def _in_one_piece(parts: Iterable[bytes]) -> list[bytes]:
    """A body as a list: granian sends that whole instead of streaming it."""
    try:
        return list(parts)
    finally:
        getattr(parts, "close", lambda: None)()
