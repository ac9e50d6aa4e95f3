"""What went wrong with a request, in short stable phrases."""

from __future__ import annotations

import os
import socket as blocking

import gevent.ssl
from geventhttpclient._parser import HTTPParseError

MALFORMED = "malformed answer"
"""The error of an answer that is not HTTP, or not in the protocol."""

TRUNCATED = "truncated answer"
"""The error of an answer that broke off after its first bytes."""


class TooLargeError(OSError):
    """An answer has more bytes than any answer may have."""


def phrase_of(error: Exception) -> str:
    """The phrase of an error of the connection."""
    match error:
        case TooLargeError():
            return "answer too large"
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
