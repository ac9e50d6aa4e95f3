"""Reading an answer: its prediction, or in a short stable phrase what is wrong with it."""

from __future__ import annotations

from loadtest.experiment.role import Role
from loadtest.load.protocols import Codec
from loadtest.load.sending.error_phrases import MALFORMED, TRUNCATED
from loadtest.load.sending.http_client import Answer

BROKEN = (MALFORMED, TRUNCATED)
"""Errors of answers that came, but not whole or not readable: a server that answers so does not match."""


def read_answer(answer: Answer, role: Role, codec: Codec) -> tuple[str | None, str | None]:
    """The error and the prediction of an answer; one of them is None."""
    if answer.error:
        return answer.error, None
    if answer.status != 200:
        return f"http {answer.status}", None
    if answer.role not in (None, role):
        return f"answered by {answer.role}", None
    try:
        return None, codec.decode(answer.body)
    except ValueError:
        return MALFORMED, None
