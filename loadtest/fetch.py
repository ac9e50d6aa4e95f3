"""One HTTP request to a service: bounded in time and size, never through a proxy, never an exception.

::

    read_exposition(page(f"{url}/metrics"))     # {} of a server that hangs or is none
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

LARGEST = 16 * 2**20
"""Bytes of a body; a longer one is no answer."""

_PIECE = 2**16


class Answer(NamedTuple):
    """Status, headers (lower-case names) and body of an HTTP answer."""

    status: int
    headers: dict[str, str]
    body: str


def get(url: str, timeout: float, headers: Mapping[str, str] | None = None) -> Answer | None:
    """GET ``url``; None when no whole answer came within ``timeout`` seconds, or it is not plain HTTP."""
    return ask("GET", url, timeout, headers or {}, None)


def put(url: str, document: str, timeout: float) -> Answer | None:
    """PUT a JSON document; None when no whole answer came within ``timeout`` seconds."""
    return ask("PUT", url, timeout, {"content-type": "application/json"}, document)


def page(url: str, timeout: float = 5.0) -> str | None:
    """The body at ``url``; None unless it came whole, within ``timeout`` seconds, and with status 200."""
    answer = get(url, timeout)
    return answer.body if answer is not None and answer.status == 200 else None


def ask(method: str, url: str, timeout: float, headers: Mapping[str, str], body: str | None) -> Answer | None:
    """Send a request; None when no whole answer came within ``timeout`` seconds, or it is not plain HTTP."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return None
    deadline = time.monotonic() + timeout
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(method, path, body, headers=dict(headers))
        response = HTTPResponse(connection.sock, method=method)
        response.fp = io.BufferedReader(_Until(connection.sock, deadline))
        response.begin()
        found = {name.lower(): value for name, value in response.getheaders()}
        text = _body(response)
        return None if text is None else Answer(response.status, found, text)
    # http.client takes any number for the length of a chunk, one below 0 too
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _body(response: HTTPResponse) -> str | None:
    body = bytearray()
    while piece := response.read(_PIECE):
        body += piece
        if len(body) > LARGEST:
            return None
    # what is left of the length that was promised: it was cut off
    return None if response.length else body.decode("utf-8", errors="replace")


class _Until(io.RawIOBase):
    """A socket's bytes until a deadline, and no more than any answer has.

    A time-out of the socket's own holds for each read, and a drip never ends; nor does a chunk of length -1.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket, self._deadline, self._room = connected, deadline, 2 * LARGEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if self._room <= 0:
            raise OSError("an answer without end")
        self._socket.settimeout(left)
        count = self._socket.recv_into(buffer)
        self._room -= count
        return count
