"""``loadproof diff``: what changed from one stored run to another, or to what another tool reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import console
from loadtest.data.tool_results import ToolResults, read_tool_results
from loadtest.judge.diff import diff_runs
from loadtest.judge.diff_quantiles import diff_quantiles, results_of_run
from loadtest.report.diff_table import print_changes, print_quantiles
from loadtest.workflows.stored_run import open_run


def diff(
    before: Annotated[
        Path, typer.Argument(help="A run folder; or a summary of k6, Locust (_stats.csv) or AIPerf.")
    ],
    after: Annotated[Path, typer.Argument(help="The run folder, or the summary, to compare it with.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Compare two stored runs: what changed, with an interval.

    With another tool's run: latency only. There is no verdict.
    """
    if before.is_file() or after.is_file():
        quantiles = diff_quantiles(_results(before), _results(after))
        if as_json:
            typer.echo(quantiles.model_dump_json(indent=2))
        else:
            print_quantiles(console, quantiles)
        return
    changes = diff_runs(open_run(before), open_run(after))
    if as_json:
        typer.echo(changes.model_dump_json(indent=2))
    else:
        print_changes(console, changes)


def _results(path: Path) -> ToolResults:
    return read_tool_results(path) if path.is_file() else results_of_run(open_run(path))
