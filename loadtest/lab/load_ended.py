"""A load generator that ended without having done its job, as an error."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.errors import ExitCode, LoadproofError, ServiceDied, UsageError

SAID = "load: "
"""How its last line begins when it says why it ended."""


def load_ended(how: str, tail: Sequence[str]) -> LoadproofError:
    """The error to raise.

    Args:
        how: it ended, in words.
        tail: the last lines of its log.

    Returns:
        UsageError: it refused what it was given; its own line says all.
        ServiceDied: anything else; carries the log.
    """
    last = tail[-1] if tail else ""
    if last.startswith(SAID) and how.endswith(f"exit code {int(ExitCode.USAGE)}"):
        return UsageError(last.removeprefix(SAID))
    return ServiceDied(f"load {how}", tail)
