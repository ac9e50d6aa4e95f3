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
    """GET ``url``; None when no whole answer came within ``timeout`` seconds."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(
            "GET", urlunsplit(("", "", parts.path or "/", parts.query, "")), headers=dict(headers or {})
        )
        response = connection.getresponse()
        body = response.read().decode("utf-8", errors="replace")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
