"""One HTTP request to a service of the lab: never through a proxy, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit


class Answer(NamedTuple):
    """Status, headers (lower-case names) and body of an HTTP answer."""

    status: int
    headers: dict[str, str]
    body: str


def get(url: str, timeout: float, headers: Mapping[str, str] | None = None) -> Answer | None:
    """GET ``url``; None when no whole answer came within ``timeout`` seconds, or it is not plain HTTP."""
    return _ask("GET", url, timeout, headers or {}, None)


def put(url: str, document: str, timeout: float) -> Answer | None:
    """PUT a JSON document; None when no whole answer came within ``timeout`` seconds."""
    return _ask("PUT", url, timeout, {"content-type": "application/json"}, document)


def _ask(
    method: str, url: str, timeout: float, headers: Mapping[str, str], body: str | None
) -> Answer | None:
    parts = urlsplit(url)
    if parts.scheme != "http":
        return None
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(method, path, body, headers=dict(headers))
        response = connection.getresponse()
        text = response.read().decode("utf-8", errors="replace")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
