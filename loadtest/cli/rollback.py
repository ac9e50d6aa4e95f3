"""``loadproof canary rollback`` without the libraries of the other verbs, which it must not wait for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from loadtest.canary.state import State
from loadtest.cli.canary_text import describe_change
from loadtest.errors import LoadproofError
from loadtest.lab.gateway.signature import sign
from loadtest.lab.registry import FOLDER, PROJECT, RunningLab, running_lab

WHY = "rolled back by hand"


def roll_back(running: RunningLab, why: str) -> str:
    """Roll back, whoever controls the canary, and say what was done.

    Raises:
        LabError: no lab runs, or its gateway did not apply it.
    """
    return apply(running, lambda state: state.rollback(sign(why)) if state.can_roll_back else state)


def apply(running: RunningLab, change: Callable[[State], State]) -> str:
    """Change the canary's state, and say what was done."""
    before: list[State] = []

    def remembered(state: State) -> State:
        before.append(state)
        return change(state)

    after = running.canary.update(remembered)
    return describe_change(before[0], after)


def at_once(arguments: Sequence[str]) -> int | None:
    """Run the verb with the arguments that follow it.

    Returns:
        The exit code; None where the arguments are for the whole command to explain.
    """
    given = {"--lab": str(FOLDER), "--project": PROJECT, "--why": WHY}
    for option, value in zip(arguments[::2], arguments[1::2], strict=False):
        if option not in given:
            return None
        given[option] = value
    if len(arguments) % 2:
        return None
    try:
        print(roll_back(running_lab(Path(given["--lab"]), given["--project"]), given["--why"]))
    except LoadproofError as error:
        sys.stderr.write(f"loadproof: {error}\n")
        return int(error.exit_code)
    return 0
