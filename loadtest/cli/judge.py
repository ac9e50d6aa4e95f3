"""``loadproof judge``: a stored run, judged again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import console
from loadtest.report.rates import print_rates
from loadtest.report.terminal import print_verdict
from loadtest.workflows.rate_sweep import holds_rates, judge_rates_run
from loadtest.workflows.stored_run import judge_run


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
    """Compute the verdict of a stored run again, by its own gates or others."""
    if holds_rates(run):
        together = judge_rates_run(run, gate or (), write=write)
        print_rates(console, together, str(run.resolve()))
        raise typer.Exit(together.verdict.exit_code)
    verdict = judge_run(run, gate or (), write=write)
    print_verdict(console, verdict, str(run.resolve()))
    raise typer.Exit(verdict.verdict.exit_code)
