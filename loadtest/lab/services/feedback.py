"""The token that lets feedback into a lab: the owner's own, or one that is made for this lab."""

from __future__ import annotations

import os
import secrets

from contract.feedback_token import TokenError, feedback_token
from loadtest.errors import UsageError


def lab_token() -> str:
    """The token of the environment, or a new random one.

    Raises:
        UsageError: the environment's cannot be used.
    """
    try:
        return feedback_token(os.environ) or secrets.token_hex(24)
    except TokenError as error:
        raise UsageError(str(error)) from None
