"""``loadproof canary auto`` and ``run``: the controller, on a running lab or on a lab of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from loadtest.canary.live_gates import check
from loadtest.cli.console import console, shown
from loadtest.cli.options import Backend, CandidateVersion, ExperimentName, Results, StableVersion
from loadtest.errors import ExitCode, Interrupted
from loadtest.experiment.experiment import Experiment
from loadtest.lab.leftovers import temporary_folder
from loadtest.lab.registry import FOLDER, PROJECT, announced, running_lab
from loadtest.publish.webhook import Decisions, Webhook
from loadtest.report.canary_terminal import CanaryDisplay
from loadtest.workflows.canary_auto import End, Output, control
from loadtest.workflows.canary_outputs import LOOPBACK, Annotations, Lines, Metrics
from loadtest.workflows.canary_run import run_canary
from loadtest.workflows.prepare import check_canary_run

_WORDS = {ExitCode.PASS: "promoted", ExitCode.FAIL: "rolled back", ExitCode.INCONCLUSIVE: "undecided"}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per scrape.")]
MetricsPort = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of the controller's /metrics, on 127.0.0.1; 0: none.")
]


def auto(
    experiment: ExperimentName = "canary",
    lab: Annotated[Path, typer.Option(help="Folder of a lab that `canary up` keeps running.")] = FOLDER,
    project: Annotated[
        str, typer.Option(help="Compose project to use if no lab runs in that folder.")
    ] = PROJECT,
    json: Json = False,
    metrics_port: MetricsPort = 0,
    metrics_address: Annotated[
        str, typer.Option(help="Address that port listens on; in a container 0.0.0.0.")
    ] = LOOPBACK,
) -> None:
    """Step the candidate up while users are well, or roll it back."""
    resolved = Experiment.load_file(experiment)
    check(resolved)
    running = running_lab(lab, project)
    name = resolved.name
    with _outputs(name, json, metrics_port, running.state, metrics_address) as (outputs, _):
        try:
            end = control(resolved, running.canary, running.endpoints(), outputs)
        except KeyboardInterrupt:
            raise Interrupted("interrupted; the split stays as it is") from None
    _conclude(end, None, json=json)


def run(
    experiment: ExperimentName = "canary",
    stable: StableVersion = None,
    candidate: CandidateVersion = None,
    backend: Backend = "auto",
    rate: Annotated[float | None, typer.Option(help="Requests per second, of all users together.")] = None,
    duration: Annotated[str | None, typer.Option(help="Maximum length of the load, such as 15m.")] = None,
    cpus: Annotated[float | None, typer.Option(help="CPU limit of each version, in cores.")] = None,
    results: Results = Path("results"),
    json: Json = False,
    metrics_port: MetricsPort = 0,
) -> None:
    """Run a whole canary: a lab, users, and steps from 1% to 100%.

    A candidate that harms users is rolled back.
    """
    overrides: dict[str, Any] = {
        "versions": {"stable": stable, "candidate": candidate},
        "load": {"rate": rate, "duration": duration},
        "limits": {"cpus": cpus},
    }
    checked = check_canary_run(Experiment.load_file(experiment, overrides), backend, results)
    name = checked.experiment.name
    faults = any(fault.by_server for fault in checked.experiment.faults)
    with ExitStack() as stack:
        state = stack.enter_context(temporary_folder())
        outputs, notes = stack.enter_context(_outputs(name, json, metrics_port, state))
        announce = stack.enter_context(announced(results / FOLDER.name, state, notes.print))
        ready = checked.provide(notes.print, state=state, percent=0.0, allow_faults=faults)
        outcome = run_canary(ready, results, outputs, notes.print, announce)
    _conclude(outcome.end, outcome.folder, json=json)


@contextmanager
def _outputs(
    experiment: str, json: bool, metrics_port: int, folder: Path | None = None, address: str = LOOPBACK
) -> Iterator[tuple[list[Output], Console]]:
    """Where events go, and where notes for people go: with ``--json`` not to standard output.

    ``experiment`` is its name in messages. ``folder`` is that of a running lab of local processes, whose
    Prometheus is told of the metrics.
    """
    notes = Console(stderr=True, highlight=False, markup=False) if json else console
    webhook = Webhook.from_environment()
    display = CanaryDisplay(console)
    metrics = Metrics()
    with ExitStack() as stack:
        if metrics_port:
            stack.callback(metrics.serve(metrics_port, folder, address))
        annotations = Annotations(os.environ, notes.print)
        stack.callback(annotations.close)
        decisions = Decisions(webhook, experiment, notes.print) if webhook else None
        if decisions:
            stack.callback(decisions.close)
        stack.callback(display.close)
        # plain print: one event is one line, however narrow the terminal is
        shown: Output = Lines(lambda line: print(line, flush=True)) if json else display
        yield [shown, metrics, annotations, *([decisions] if decisions else [])], notes


def _conclude(end: End, folder: Path | None, *, json: bool) -> None:
    word, code = _WORDS[end.code], int(end.code)
    if json:
        last = {"end": word, "code": code, "why": end.why, "folder": folder and str(folder)}
        print(dumps(last), flush=True)
    else:
        if folder is not None:
            console.print(f"run folder: {shown(folder)}", style="dim", soft_wrap=True)
        console.print(f"{word}: {end.why} (exit code {code})", markup=False, soft_wrap=True)
    raise typer.Exit(end.code)
