"""What went wrong with a request, in short stable phrases."""

from __future__ import annotations

import os
import socket as blocking

import gevent.ssl
from geventhttpclient._parser import HTTPParseError

MALFORMED = "malformed answer"
"""The error of an answer that is not HTTP, or not in the protocol."""

NOT_AN_ANSWER = "not an answer of this model"
"""The error of what came in the protocol with status 200, and can be no answer to the task."""

TRUNCATED = "truncated answer"
"""The error of an answer that broke off after its first bytes."""


def phrase_of(error: Exception) -> str:
    """The phrase of an error of the connection."""
    match error:
        case TimeoutError():
            return "timeout"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case ConnectionAbortedError():
            return "connection closed"
        case gevent.ssl.SSLError():
            return "tls failed"
        case blocking.gaierror():
            return "unknown host"
        case HTTPParseError():
            return MALFORMED
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return "connection failed"
