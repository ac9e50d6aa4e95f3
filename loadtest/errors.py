"""The errors a person can meet, and the exit code of each.

::

    LoadproofError                 one line: what is wrong with which thing, and the remedy
    ├── UsageError           2     the person's input; nothing was started
    │   ├── ExperimentError        an experiment file that cannot be read or does not make sense
    │   │   └── OtherColumns       a model takes columns that would not be sent (carries those it takes)
    │   ├── GateError              a gate expression that does not parse
    │   ├── DatasetError           an evaluation set that cannot be read, or lacks a column
    │   │   └── ListsOfLabels      the label of a row is a list of items, as only a ranking has it
    │   ├── ModelError             a version's folder is missing or unusable
    │   └── ControllerError        another controller leads this lab's canary
    ├── Interrupted        130     Ctrl-C or SIGTERM; what was started is stopped
    └── LabError             5     the lab did not start, or broke, or its disk is full
        ├── StartError             a service did not become ready (carries the last lines of its log)
        ├── ServiceDied            a service ended during the run (carries the last lines of its log)
        ├── StateError             the canary's state file cannot be read
        └── TargetError            a URL does not answer, or does not speak the protocol

FAIL, INCONCLUSIVE and INVALID are answers, not errors: see ``ExitCode`` and ``loadtest.judge``. Any other
exception is a bug of Loadproof: 6, see ``loadtest.__main__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every ``loadproof`` command, named in this one place."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4
    LAB = 5
    BUG = 6
    INTERRUPTED = 130


class LoadproofError(Exception):
    """Base of all expected errors: ``str(error)`` is the one line that a person reads."""

    exit_code: ExitCode = ExitCode.USAGE


class UsageError(LoadproofError):
    """The person's input does not make sense; nothing was started."""


class ExperimentError(UsageError):
    """An experiment file cannot be read or does not make sense."""


class OtherColumns(ExperimentError):  # noqa: N818 - it says what the model takes
    """A model takes columns that the experiment would not send; ``columns`` are those that it takes."""

    def __init__(self, message: str, columns: Sequence[str]) -> None:
        super().__init__(message)
        self.columns = tuple(columns)


class GateError(UsageError):
    """A gate expression does not parse."""


class DatasetError(UsageError):
    """An evaluation set cannot be read, or lacks a column that the experiment names."""


class ListsOfLabels(DatasetError):  # noqa: N818 - it says what the label column holds
    """The label of a row is a list of items, as only a ranking has it."""


class ModelError(UsageError):
    """A version's folder is missing, incomplete, or of a kind that is not allowed."""


class ControllerError(UsageError):
    """Another controller leads this lab's canary; this one changed nothing."""


class Interrupted(LoadproofError):  # noqa: N818 - it names what happened
    """A person or a supervisor ended the run; what was started is stopped."""

    exit_code = ExitCode.INTERRUPTED


class LabError(LoadproofError):
    """The lab did not start, or broke while it ran.

    Args:
        message: one line, naming the thing and the remedy.
        log: the last lines that the broken service wrote, oldest first.
    """

    exit_code = ExitCode.LAB

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(log)


class StartError(LabError):
    """A service did not become ready in time, or ended while it started."""


class ServiceDied(LabError):  # noqa: N818 - it names what happened
    """A service ended while the run needed it; ``service`` is its name in the lab."""

    def __init__(self, message: str, log: Sequence[str] = (), service: str | None = None) -> None:
        super().__init__(message, log)
        self.service = service


class StateError(LabError):
    """The canary's state file cannot be read; the gateway goes on with the routes that it has."""


class TargetError(LabError):
    """A URL does not answer, or does not speak the protocol that was named."""
