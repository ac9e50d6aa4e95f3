"""``loadproof capacity``: how much each version can take."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.cli.console import console, shown
from loadtest.cli.options import Backend, CandidateVersion, ExperimentName, Results, Seed, StableVersion
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.report.capacity import print_capacity
from loadtest.report.terminal import TerminalProgress
from loadtest.workflows.capacity import Questions
from loadtest.workflows.capacity import capacity as run_capacity
from loadtest.workflows.prepare import check_capacity


def capacity(
    experiment: ExperimentName = "compare",
    stable: StableVersion = None,
    candidate: CandidateVersion = None,
    backend: Backend = "auto",
    latency: Annotated[
        str | None, typer.Option(help="Latency within which 99% of the answers must come, such as 100ms.")
    ] = None,
    trial: Annotated[str | None, typer.Option(help="Length of a trial, such as 6s.")] = None,
    start: Annotated[
        float | None, typer.Option(help="Rate of the first trial, in requests per second.")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Relative half-width of the interval to reach, such as 0.05.")
    ] = None,
    cpus: Annotated[str | None, typer.Option(help="CPU limits to sweep, such as 0.25,0.5,1.")] = None,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="Price of a vCPU-hour, to show what a million predictions cost."),
    ] = None,
    at_rate: Annotated[
        float | None, typer.Option(min=0, help="Name the smallest CPU limit that sustains this rate.")
    ] = None,
    seed: Seed = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="A gate such as 'capacity >= stable - 10%'; may be repeated.")
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Find the highest rate at which each version meets its objective."""
    limits = _limits(cpus)
    for option, number in (("--price", price), ("--at-rate", at_rate)):
        if number is not None and not math.isfinite(number):
            raise UsageError(f"{option} {number}: give a finite number")
    overrides: dict[str, Any] = {
        "versions": {"stable": stable, "candidate": candidate},
        "load": {"seed": seed},
        "limits": {"cpus": limits[-1] if limits else None},
        "capacity": {
            "latency": latency,
            "trial": trial,
            "start": start,
            "precision": precision,
            "gates": gate,
        },
    }
    by_limit = {"--cpus": limits, "--price": price, "--at-rate": at_rate}
    checked = check_capacity(Experiment.load_file(experiment, overrides), backend, results, by_limit)
    with closing(TerminalProgress(console)) as progress:
        ready = checked.provide(progress.step)
        outcome = run_capacity(ready, results, progress, Questions(limits, price, at_rate))
    print_capacity(console, outcome.report, shown(outcome.folder))
    raise typer.Exit(outcome.report.verdict.exit_code)


def _limits(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        limits = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        limits = ()
    if not limits or not all(0 < limit < 1024 for limit in limits):
        raise UsageError(f"--cpus {text!r}: write CPU limits in cores, such as 0.25,0.5,1")
    return limits
