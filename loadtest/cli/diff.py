"""``loadproof diff``: what changed from one stored run to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import console
from loadtest.judge.diff import diff_runs
from loadtest.report.diff_table import print_changes
from loadtest.workflows.stored_run import open_run


def diff(
    before: Annotated[Path, typer.Argument(help="A run folder.")],
    after: Annotated[Path, typer.Argument(help="The run folder to compare it with.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare two stored runs: what changed, with an interval. No verdict."""
    changes = diff_runs(open_run(before), open_run(after))
    if as_json:
        typer.echo(changes.model_dump_json(indent=2))
    else:
        print_changes(console, changes)
