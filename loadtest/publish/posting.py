"""Posting to a URL that a person named: checked, again where that may help, in bounded time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from loadtest.errors import TargetError, UsageError

_ATTEMPT = 10.0
_WAITS = (1.0, 2.0, 4.0, 8.0)
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class Answer(NamedTuple):
    """What a server said: its HTTP status, and the begin of its body."""

    status: int
    body: bytes = b""


def check_url(variable: str, url: str) -> None:
    """Refuse what is no URL of http or https.

    Raises:
        UsageError: the line names the variable, and shows nothing of the URL.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{variable} is no URL of http or https; correct it, or unset it")


def until_taken(
    send: Callable[[float], Answer],
    again: Callable[[int], bool],
    host: str,
    patience: float,
    left: Callable[[], float],
    sleep: Callable[[float], None],
) -> Answer:
    """Send until an answer is of 200 to 299, as long as it helps.

    Args:
        send: sends once, within so many seconds; ``OSError`` where there is no answer.
        again: whether the same request may be taken a moment after this status.
        host: whom a person knows it by.
        patience: seconds for all attempts.
        left: how many of them are left.
        sleep: waits for so many seconds.

    Raises:
        TargetError: it was not taken.
    """
    problem = f"{host} did not take it within {patience:g} s"
    for wait in (*_WAITS, None):
        seconds = left()
        if seconds <= 0:
            break
        try:
            answer = send(min(_ATTEMPT, seconds))
        except OSError as error:
            # its text may hold the URL
            problem = f"{host} does not answer ({type(error).__name__})"
        else:
            if 200 <= answer.status < 300:
                return answer
            problem = f"{host} answers HTTP {answer.status}"
            if not again(answer.status):
                break
        if wait is None or wait >= left():
            break
        sleep(wait)
    raise TargetError(problem)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    *,
    certificate: str | None = None,
    most_read: int = 0,
) -> Answer:
    """POST once: no redirect is followed, and of the answer's body at most ``most_read`` bytes are read.

    Raises:
        OSError: there is no answer.
    """
    with requests.Session() as session:
        # the environment's proxy leads to other machines
        session.trust_env = urlsplit(url).hostname not in _THIS_MACHINE
        try:
            with session.post(
                url,
                data=body,
                headers=dict(headers),
                timeout=seconds,
                allow_redirects=False,
                stream=True,
                verify=certificate or True,
            ) as answer:
                said = answer.raw.read(most_read, decode_content=True) if most_read else b""
                return Answer(answer.status_code, said)
        except HTTPError as error:
            raise ConnectionError(type(error).__name__) from error
