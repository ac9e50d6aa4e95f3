"""The ``loadproof`` command: joins the verbs, and exits with a code of ``errors.ExitCode``."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from loadtest import __version__
from loadtest.cli import canary
from loadtest.cli.capacity import capacity
from loadtest.cli.compare import compare
from loadtest.cli.console import console
from loadtest.cli.diff import diff
from loadtest.cli.init import init
from loadtest.cli.judge import judge
from loadtest.cli.live import live
from loadtest.cli.publish import publish
from loadtest.cli.report import report
from loadtest.cli.runs import runs
from loadtest.cli.verdicts import verdicts
from loadtest.cli.worker import worker
from loadtest.errors import ExitCode, Interrupted, LabError, LoadproofError, UsageError
from loadtest.lab.select import remove_leftovers

_NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)
"""Why a path cannot be looked at, whichever option or file named it."""


class Verbs(TyperGroup):
    """Of all verbs: what typer would end with a bare exit code, or with 1, is reported in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was named.

        Raises:
            Interrupted: by Ctrl-C, or by a reader of the output that went away.
            UsageError: a path cannot be looked at.
        """
        try:
            remove_leftovers(lambda line: print(f"loadproof: {line}", file=sys.stderr))
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            # the notes say where samples were kept
            words = ["interrupted; what was started is stopped", *getattr(stop, "__notes__", ())]
            raise Interrupted("; ".join(words)) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush
            raise Interrupted("the output is no longer read; what was started is stopped") from None
        except OSError as error:
            if error.errno not in _NO_PATH or error.filename is None:
                raise
            raise UsageError(f"{error.filename}: {error.strerror}; name another path") from error


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"loadproof {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """May the new version of a model go live? Load-test it beside the version it would replace."""


for verb in (init, compare, capacity, judge, diff, runs, report, publish, verdicts, worker):
    app.command()(verb)
# what Locust's page judges with while a run lasts: a pipe, and no verb for people
app.command(hidden=True)(live)
app.add_typer(canary.app, name="canary")


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _hang_up(signal_: int, frame: object) -> NoReturn:
    """The terminal was closed: end as by Ctrl-C, with nowhere to say so."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        # no isatty: a terminal that is gone is none
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)
    _interrupt(signal_, frame)


def report_error(error: LoadproofError) -> ExitCode:
    """Print an expected error in one line on stderr; its exit code."""
    errors = Console(stderr=True, highlight=False)
    for line in error.log if isinstance(error, LabError) else ():
        errors.print(Text(f"  | {line}", style="dim"), soft_wrap=True)
    for line in (str(error), *getattr(error, "__notes__", ())):
        errors.print(Text(f"loadproof: {line}", style="red"), soft_wrap=True)
    return error.exit_code


def main() -> None:
    """Entry point: every expected error becomes one line on stderr and its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asked to go on
        signal.signal(signal.SIGHUP, _hang_up)
    try:
        app()
    except LoadproofError as error:
        sys.exit(report_error(error))
