"""The load generator as every backend runs it: how long it may take, and what its end means."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.errors import ExitCode, LoadproofError, ServiceDied, TargetError, UsageError
from loadtest.experiment.experiment import Experiment

SAID = "load: "
"""How its last line begins when it says why it ended."""

# baseline answers and rows take their time before the load: the bound only ends a run that hangs
_SLACK = 600.0


def longest(experiment: Experiment) -> float:
    """Seconds after which a generator is held to hang."""
    return 3 * (experiment.load.warmup + experiment.load.duration) + _SLACK


def did_its_job(code: int | None, *, asked: bool) -> bool:
    """Whether an exit code is that of a generator that measured; ``asked``: it was to end early."""
    return code in (ExitCode.PASS, ExitCode.INVALID) or (asked and code == ExitCode.INTERRUPTED)


def load_ended(how: str, tail: Sequence[str], *, elsewhere: bool = False) -> LoadproofError:
    """The error of a generator that ended without having done its job.

    Args:
        how: it ended, in words.
        tail: the last lines of its log.
        elsewhere: the servers are somebody else's: where they do not answer, nothing of ours has died.

    Returns:
        UsageError: it refused what it was given; its own line says all.
        TargetError: the servers elsewhere do not answer, or not as they should; so does its own line.
        ServiceDied: anything else; carries the log.
    """
    last = tail[-1] if tail else ""
    kinds: dict[ExitCode, type[LoadproofError]] = {ExitCode.USAGE: UsageError}
    if elsewhere:
        kinds[ExitCode.LAB] = TargetError
    for code, kind in kinds.items():
        if last.startswith(SAID) and how.endswith(f"exit code {int(code)}"):
            return kind(last.removeprefix(SAID))
    return ServiceDied(f"load {how}", tail)
