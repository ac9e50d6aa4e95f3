"""Where every command prints, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console

from loadtest.judge.rate_sweep import RatesVerdict
from loadtest.judge.verdict import Verdict
from loadtest.report.rates import print_rates
from loadtest.report.terminal import print_verdict


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has enough (``| head``) ends no run: rich would exit with 1, which is FAIL."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


console = _Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)


def shown(folder: Path) -> str:
    """A folder as one may type it here: from the current folder, where it lies in it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def conclude(
    verdict: Verdict | RatesVerdict, folder: Path, afterwards: Callable[[Path], None] = lambda _: None
) -> NoReturn:
    """Print a verdict, do what is left to do with its folder, and end with its exit code."""
    if isinstance(verdict, RatesVerdict):
        print_rates(console, verdict, shown(folder))
    else:
        print_verdict(console, verdict, shown(folder))
    afterwards(folder)
    raise typer.Exit(verdict.verdict.exit_code)
