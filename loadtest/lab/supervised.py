"""A command of our own that is no service of a lab, and yet ends when the one that started it is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from loadtest.lab.leftovers import temporary_folder
from loadtest.lab.local.supervisor import Supervisor


def run_supervised(name: str, argv: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Run a command to its end: its exit code, and the last lines of its standard error.

    Raises:
        StartError: the program cannot be run.
    """
    with temporary_folder() as logs, Supervisor(logs, Path.cwd()) as supervisor:
        service = supervisor.start(name, argv, stdout=subprocess.DEVNULL)
        return service.process.wait(), service.tail()
