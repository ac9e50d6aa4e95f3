"""``loadproof judge``: a stored run, judged again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli.console import conclude
from loadtest.workflows.rate_sweep import holds_rates, judge_rates_run
from loadtest.workflows.stored_run import judge_run, open_run, write_reports


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
    """Judge a stored run again, by its own gates or by others."""
    folder = Path(os.path.realpath(run))
    if holds_rates(run):
        conclude(judge_rates_run(run, gate or (), write=write), folder)
    stored = open_run(run)
    stored = stored.under(gate) if gate else stored
    verdict = judge_run(stored)
    if write:
        write_reports(folder, stored, verdict)
    conclude(verdict, folder)
