"""The ``loadproof`` command: composes the parts, prints, and exits with a code of ``errors.ExitCode``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from loadtest import __version__
from loadtest.config import Experiment
from loadtest.errors import Interrupted, LabError, LoadproofError
from loadtest.flows.compare import compare as run_compare
from loadtest.flows.judging import judge_run
from loadtest.flows.versions import resolve, train_if_absent
from loadtest.lab.choose import choose_lab
from loadtest.report.terminal import TerminalProgress, print_verdict

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


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


@app.command()
def compare(
    experiment: Annotated[
        str, typer.Option(help="A bundled experiment or the path of a .toml file.")
    ] = "compare",
    stable: Annotated[str | None, typer.Option(help="The version in production: a name or a folder.")] = None,
    candidate: Annotated[
        str | None, typer.Option(help="The version that wants to be: a name or a folder.")
    ] = None,
    backend: Annotated[str, typer.Option(help="auto, compose or local.")] = "auto",
    rate: Annotated[float | None, typer.Option(help="Arrivals a second; each goes to both versions.")] = None,
    duration: Annotated[str | None, typer.Option(help="Length of the load, such as 60s or 5m.")] = None,
    workers: Annotated[int | None, typer.Option(help="Locust worker processes.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same arrivals and rows.")] = None,
    cpus: Annotated[float | None, typer.Option(help="CPU limit of each version, in cores.")] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="A gate instead of the experiment's; may be repeated.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Where the run folder goes.")] = Path("results"),
) -> None:
    """Put the same load on both versions and say PASS, FAIL, INCONCLUSIVE or INVALID."""
    overrides: dict[str, Any] = {
        "versions": {"stable": stable, "candidate": candidate},
        "load": {"rate": rate, "duration": duration, "workers": workers, "seed": seed},
        "limits": {"cpus": cpus},
    }
    resolved = Experiment.load_file(experiment, overrides, gates=gate or ())
    progress = TerminalProgress(console)
    try:
        lab = choose_lab(backend, resolved, progress.step)
        train_if_absent(resolved, progress.step)
        versions = resolve(resolved)
        outcome = run_compare(resolved, lab, versions, results, progress)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            " ".join(["interrupted; what was started is stopped", *getattr(stop, "__notes__", ())])
        ) from None
    finally:
        progress.close()
    print_verdict(console, outcome.verdict, str(outcome.folder))
    raise typer.Exit(outcome.verdict.verdict.exit_code)


@app.command()
def judge(
    run: Annotated[Path, typer.Argument(help="A run folder, such as results/latest.")] = Path(
        "results/latest"
    ),
    gate: Annotated[
        list[str] | None, typer.Option(help="A gate instead of the experiment's; may be repeated.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the verdict and the reports into the folder.")
    ] = False,
) -> None:
    """Compute the verdict of a stored run again, under its own gates or others."""
    verdict = judge_run(run, gate or (), write=write)
    print_verdict(console, verdict, str(run.resolve()))
    raise typer.Exit(verdict.verdict.exit_code)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: every expected error becomes one line on stderr and its exit code."""
    errors = Console(stderr=True, highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except LoadproofError as error:
        for line in error.log if isinstance(error, LabError) else ():
            errors.print(Text(f"  | {line}", style="dim"), soft_wrap=True)
        for line in (str(error), *getattr(error, "__notes__", ())):
            errors.print(Text(f"loadproof: {line}", style="red"), soft_wrap=True)
        sys.exit(error.exit_code)
