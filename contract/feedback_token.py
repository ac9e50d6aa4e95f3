"""Who may send feedback: whoever has the lab's token, which is in the environment of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "LOADPROOF_FEEDBACK_TOKEN"
"""The token itself; an empty one counts as none."""

FILE_VARIABLE = "LOADPROOF_FEEDBACK_TOKEN_FILE"
"""A file whose first line is the token, where ``VARIABLE`` has none."""


class TokenError(Exception):
    """A token that cannot be used; its text is one line for the person."""


_LONGEST = 4096


def feedback_token(environ: Mapping[str, str]) -> str:
    """The token of an environment; empty: none is given, and nobody may send feedback.

    Raises:
        TokenError: it could not stand in a header, or its file cannot be read; says so in one line.
    """
    token, where = environ.get(VARIABLE, ""), VARIABLE
    path = environ.get(FILE_VARIABLE, "")
    if not token and path and Path(path).exists():
        where = path
        try:
            with Path(path).open(encoding="ascii", errors="replace") as file:
                token = file.readline(_LONGEST).strip()
        except OSError as error:
            raise TokenError(f"{FILE_VARIABLE}: cannot read {path} ({error.strerror})") from None
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise TokenError(
            f"{where}: a token is printable ASCII without spaces; make one with openssl rand -hex 24"
        )
    return token
