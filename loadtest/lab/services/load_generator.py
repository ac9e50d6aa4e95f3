"""The load generator as every backend runs it: how long it may take, and what its end means."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.errors import ExitCode, LoadproofError, ServiceDied, TargetError, UsageError
from loadtest.experiment.experiment import Experiment

SAID = "load: "
"""How its last line begins when it says why it ended."""

_KILLED = ("killed", "exit code 137")
"""In words of the system or of Docker, whose 137 is a SIGKILL."""
_LIMITED = "more than its"
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

    ``elsewhere``: the servers are somebody else's: where they do not answer, nothing of ours has died.

    Returns:
        UsageError: it refused what it was given; its own line says all.
        TargetError: the servers elsewhere do not answer, or not as they should; so does its own line.
        ServiceDied: anything else: the reason that it gave, or its last line; carries the log.
    """
    last = next((line.strip() for line in reversed(tail) if line.strip()), "")
    said = last.removeprefix(SAID) if last.startswith(SAID) else ""
    if said and how.endswith(f"exit code {int(ExitCode.USAGE)}"):
        return UsageError(said)
    if said and how.endswith(f"exit code {int(ExitCode.LAB)}"):
        return TargetError(said) if elsewhere else ServiceDied(f"the load generator broke: {said}", tail[:-1])
    if any(words in how for words in _KILLED):
        why = "if nobody did that, the machine is out of memory: free some, or take fewer workers"
        if _LIMITED in how:
            why = "take fewer workers or a smaller evaluation set, or BACKEND=local, which has no such limit"
        return ServiceDied(f"the load generator {how}; {why}", tail)
    why = f" ({last.removeprefix(SAID)})" if last else ""
    return ServiceDied(
        f"the load generator {how}{why}; unless the machine lacks memory or disk, that is a bug of "
        "Loadproof: report it with the lines above",
        tail,
    )
