"""``loadproof report``: one page over all runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contract.counted import counted
from loadtest.cli.console import console
from loadtest.data.run_folder import write_file
from loadtest.errors import UsageError
from loadtest.report.history import history_to_html
from loadtest.workflows.history import read_history


def report(
    results: Annotated[Path, typer.Argument(help="The folder of all runs.")] = Path("results"),
    output: Annotated[
        Path | None, typer.Option(help="The page to write; history.html in the results folder by default.")
    ] = None,
) -> None:
    """Write one HTML page over all runs: each gate from run to run."""
    runs = read_history(results, datetime.now(UTC))
    if not runs:
        raise UsageError(f"{results}: holds no runs; `make loadtest` makes one")
    page = output or results / "history.html"
    if page.is_dir() or not page.parent.is_dir():
        what = "is a folder" if page.is_dir() else "its folder is not there"
        raise UsageError(f"{page}: {what}; name another page with --output")
    again = "run `loadproof report` again, or name another page with --output"
    write_file(page.parent, page.name, history_to_html(runs, results, page), again)
    console.print(f"{counted(len(runs), 'run')} on one page: {page}", soft_wrap=True)
