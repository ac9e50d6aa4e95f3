"""Who changes the canary's state, and when; light to import."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from loadtest.canary.state import Note


def sign(why: str, by: str | None = None, evidence: Mapping[str, Any] | None = None) -> Note:
    """A note of now, by this person unless a controller is named; ``why`` becomes one line."""
    now = datetime.now(UTC)
    # to the millisecond, as the file has it: what is read back is what was written
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return Note(by or _person(), " ".join(why.split()), now, evidence or {})


def _person() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"
