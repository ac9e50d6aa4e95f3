"""What went wrong with a request, in short stable phrases."""

from __future__ import annotations

import errno
import os
import socket as blocking

import gevent.ssl
from geventhttpclient._parser import HTTPParseError

from loadtest.data.local_errors import LOCAL_ERRORS

MALFORMED = "malformed answer"
"""The error of an answer that is not HTTP, or not in the protocol."""

NOT_AN_ANSWER = "not an answer of this model"
"""The error of what came in the protocol with status 200, and can be no answer to the task."""

TRUNCATED = "truncated answer"
"""The error of an answer that broke off after its first bytes."""


class TooLargeError(OSError):
    """An answer has more bytes than any answer may have."""


class UnreadableError(OSError):
    """What came on a connection is not in its transport's form."""


_LOCAL = {
    errno.EADDRNOTAVAIL: "no port free",
    errno.EADDRINUSE: "no port free",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOMEM: "no memory",
    errno.ENOBUFS: "no memory",
    errno.ENETUNREACH: "no route",
    errno.ENETDOWN: "no route",
    errno.EHOSTUNREACH: "no route",
}
"""The generator's own trouble, in the phrases of ``loadtest.data.local_errors``."""


def is_local(error: Exception) -> bool:
    """Whether it is the load generator's own trouble and not the target's."""
    return phrase_of(error) in LOCAL_ERRORS


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
            return "name not resolved"
        case HTTPParseError() | UnreadableError():
            return MALFORMED
        case OSError(errno=int(number)) if number in _LOCAL:
            return _LOCAL[number]
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    return "connection failed"
