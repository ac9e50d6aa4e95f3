"""The requests before a load: each gets its answer, or one line that says why there is none."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NameResolutionError

from loadtest.data.local_errors import LOCAL_ERRORS
from loadtest.errors import TargetError, UsageError
from loadtest.experiment.role import Role
from loadtest.load.sending.connection import LARGEST
from loadtest.load.sending.error_phrases import phrase_of
from loadtest.load.sending.http_client import OWN

_TIMEOUT = 5.0
FIRST_ROW = 30.0
"""Seconds: some servers load their model at the first row."""
_PART = 65536
_EXCERPT = 200
_GZIP = b"\x1f\x8b"


class FirstAnswer(NamedTuple):
    """Where it came from, and its body."""

    url: str
    content: bytes


class _AsTheLoad(HTTPAdapter):
    """Trusts whom the connections of the load trust: OpenSSL's authorities, and those of its variables."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=ssl.create_default_context())

    def cert_verify(self, conn: Any, *_: Any, **__: Any) -> None:
        """Leave out the authorities that requests brings."""
        conn.cert_reqs = "CERT_REQUIRED"


@contextmanager
def opened() -> Iterator[requests.Session]:
    """A session for ``send``, closed at the end.

    Raises:
        UsageError: SSL_CERT_FILE names no file, or SSL_CERT_DIR no folder.
    """
    # OpenSSL passes over what is not there
    authority = os.environ.get("SSL_CERT_FILE")
    if authority and not Path(authority).is_file():
        raise UsageError(f"SSL_CERT_FILE={authority}: no such file; name one, or unset the variable")
    for folder in filter(None, os.environ.get("SSL_CERT_DIR", "").split(os.pathsep)):
        if not Path(folder).is_dir():
            raise UsageError(f"SSL_CERT_DIR={folder}: no such folder; name one, or unset the variable")
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        session.headers.update(OWN)
        session.mount("https://", _AsTheLoad())
        yield session


def send(
    session: requests.Session,
    method: str,
    url: str,
    role: Role,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> FirstAnswer:
    """Send one request and wait for its whole answer.

    Raises:
        TargetError: there is none, or its status is not 200; says what to do.
    """
    seconds = _TIMEOUT if body is None else FIRST_ROW
    more = {"headers": dict(headers), "data": body, "allow_redirects": False}
    try:
        answer = _whole(session, method, url, seconds, **more)
    except requests.Timeout:
        raise TargetError(
            f"{url}: {role} gave no answer within {seconds:g} s; is the version running?"
        ) from None
    except requests.exceptions.SSLError as error:
        raise TargetError(
            f"{url}: no secure connection ({_ssl_reason(error)}); SSL_CERT_FILE may name another authority"
        ) from None
    except requests.RequestException as error:
        raise TargetError(f"{url}: {_no_answer(error)}") from None
    if answer.status != HTTPStatus.OK:
        raise TargetError(f"{url}: {role} {_refusal(answer)}")
    if answer.content.startswith(_GZIP):
        raise TargetError(
            f"{url}: {role} packs its answer, though asked not to (Accept-Encoding: identity); let it, or "
            "the proxy before it, answer as it is"
        )
    return FirstAnswer(url, answer.content)


def excerpt(body: bytes, most: int = _EXCERPT) -> str:
    """Its first words, of at most so many bytes, without what would steer a terminal."""
    text = body[:most].decode("utf-8", errors="replace")
    return "".join(each if each.isprintable() else " " for each in text).strip()


class _Whole(NamedTuple):
    status: int
    content: bytes
    location: str


def _refusal(answer: _Whole) -> str:
    told = f"answered HTTP {answer.status} ({excerpt(answer.content)})"
    match answer.status:
        case 301 | 302 | 303 | 307 | 308:
            to = excerpt(answer.location.encode())
            return (
                f"answered HTTP {answer.status} and sends on to {to!r}, which no load follows; give that URL"
            )
        case 401 | 403:
            return f"{told}; if it wants a key, send it: [target] headers, docs/any-server.md"
    return f"{told}; is it ready, and is the model's name right?"


def _no_answer(error: requests.RequestException) -> str:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, NameResolutionError):
        return "this machine knows no such host; give the URL of the lab or of the server"
    cause = getattr(reason, "__cause__", None)
    if isinstance(cause, OSError) and (phrase := phrase_of(cause)) in LOCAL_ERRORS:
        return f"this machine could not ask ({phrase}): {LOCAL_ERRORS[phrase]}"
    if reason is None and isinstance(error, requests.ConnectionError):
        return "the connection ended without an answer; is it http where https is meant, or another port?"
    return "nothing answers there; start the lab or the server first, or give its URL"


def _ssl_reason(error: requests.exceptions.SSLError) -> str:
    cause: Any = getattr(error.args[0], "reason", error) if error.args else error
    cause = cause.args[0] if cause.args else cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    return str(getattr(cause, "reason", None) or cause).replace("_", " ").lower()


def _whole(session: requests.Session, method: str, url: str, seconds: float, **more: Any) -> _Whole:
    """The answer to a request; what requests calls a time-out is one of each read, and a drip has none.

    Raises:
        TargetError: the answer has more than ``LARGEST`` bytes.
        requests.RequestException: there is none, or its end did not come within ``seconds``.
    """
    ended: list[_Whole | Exception] = []

    def ask() -> None:
        try:
            with session.request(method, url, timeout=seconds, stream=True, **more) as answer:
                body = bytearray()
                while part := answer.raw.read1(_PART, decode_content=False):
                    body += part
                    if len(body) > LARGEST:
                        raise TargetError(f"{url}: its answer has more than {LARGEST >> 20} MiB")
                ended.append(_Whole(answer.status_code, bytes(body), answer.headers.get("Location", "")))
        except HTTPError as error:
            ended.append(requests.ConnectionError(error))
        except Exception as error:
            ended.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    ending = ended[0] if ended else requests.Timeout()
    if isinstance(ending, Exception):
        raise ending
    return ending
