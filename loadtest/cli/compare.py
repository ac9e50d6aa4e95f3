"""``loadproof compare``: the main job."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.cli.console import conclude, console
from loadtest.cli.options import (
    Backend,
    CandidateVersion,
    ExperimentName,
    Mlflow,
    MlflowOnPass,
    Results,
    Seed,
    StableVersion,
    duration,
)
from loadtest.cli.publish import Publication
from loadtest.cli.worker import address
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.remote_workers import RemoteWorkers
from loadtest.report.terminal import TerminalProgress
from loadtest.workflows.compare import compare as run_compare
from loadtest.workflows.prepare import check_compare

WAIT = "5m"
"""How long workers on other machines have to join."""
LIMIT = "10m"
"""The longest that a load lasts which is to end when it is decided, unless a duration is given."""
TOKEN = "LOADPROOF_WORKER_TOKEN"  # noqa: S105 - the name of the variable
"""Shared by the run's master and its workers, who sign with it."""


def compare(
    experiment: ExperimentName = "compare",
    stable: StableVersion = None,
    candidate: CandidateVersion = None,
    backend: Backend = "auto",
    rate: Annotated[
        float | None, typer.Option(help="Arrivals per second; each goes to both versions.")
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(help="Several rates on the same lab, one after the other, such as 20,100,180."),
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Length of the load, such as 60s or 5m.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="A log of requests to replay, instead of a rate and a duration; docs/load.md."),
    ] = None,
    replay_labels: Annotated[
        Path | None, typer.Option(help="Labels of the log's requests, by their ids, where they came later.")
    ] = None,
    replay_from: Annotated[
        str | None, typer.Option(help="How far into the log the replay begins, such as 10m.")
    ] = None,
    replay_for: Annotated[str | None, typer.Option(help="How much of the log to replay.")] = None,
    speed_up: Annotated[float | None, typer.Option(help="How many times as fast as the log.")] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided", help="End as soon as every gate is decided; --duration is the limit (10m)."
        ),
    ] = False,
    control: Annotated[
        bool,
        typer.Option(
            "--control", help="Deploy stable a second time too, to show the noise beside each difference."
        ),
    ] = False,
    restarts: Annotated[
        int | None, typer.Option(help="Deploy both versions this many times, for a final decision.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Locust worker processes.")] = None,
    listen: Annotated[
        str | None,
        typer.Option(help="HOST[:PORT] of this machine at which workers on others join (5557)."),
    ] = None,
    expect_workers: Annotated[
        int | None, typer.Option(min=1, help="Begin when so many workers have joined; with --listen.")
    ] = None,
    expect_workers_max_wait: Annotated[
        str, typer.Option(help="How long to wait for them, such as 90s or 10m.")
    ] = WAIT,
    seed: Seed = None,
    cpus: Annotated[float | None, typer.Option(help="CPU limit of each version, in cores.")] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="A gate instead of the experiment's; may be repeated.")
    ] = None,
    stable_url: Annotated[
        str | None, typer.Option(help="Instead of a lab: the server of the version in production.")
    ] = None,
    candidate_url: Annotated[
        str | None, typer.Option(help="Instead of a lab: the server of the candidate.")
    ] = None,
    control_url: Annotated[
        str | None, typer.Option(help="For --control: a second server of the version in production.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="What both servers speak (oip); docs/any-server.md lists it all.")
    ] = None,
    stable_model: Annotated[str | None, typer.Option(help="The model's name on stable's server.")] = None,
    candidate_model: Annotated[
        str | None, typer.Option(help="The model's name on the candidate's server.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Send a W3C traceparent with every request, as sampled.")
    ] = False,
    timings: Annotated[
        bool, typer.Option("--timings", help="Record DNS, connect, TLS, send, wait and receive per request.")
    ] = False,
    header: Annotated[
        list[str] | None,
        typer.Option(help="'Name: value' or 'Name: env:VARIABLE' for both servers; may be repeated."),
    ] = None,
    mlflow: Mlflow = False,
    mlflow_on_pass: MlflowOnPass = None,
    results: Results = Path("results"),
) -> None:
    """Send both versions the same load, and judge them.

    The verdict is PASS, FAIL, INCONCLUSIVE or INVALID.
    """
    overrides: dict[str, Any] = {
        "versions": {"stable": stable, "candidate": candidate},
        "load": {
            "rate": rate,
            "rates": rates,
            "duration": LIMIT if duration is None and until_decided else duration,
            "replay": None if replay is None else str(replay),
            "replay_labels": None if replay_labels is None else str(replay_labels),
            "replay_from": replay_from,
            "replay_for": replay_for,
            "speed_up": speed_up,
            "until_decided": until_decided or None,
            "restarts": restarts,
            "control": control or control_url is not None or None,
            "trace": trace or None,
            "timings": timings or None,
            "workers": workers,
            "seed": seed,
        },
        "limits": {"cpus": cpus},
    }
    servers = {
        "stable": stable_url,
        "candidate": candidate_url,
        "control": control_url,
        "protocol": protocol,
        "stable_model": stable_model,
        "candidate_model": candidate_model,
        "headers": header or None,
    }
    if any(servers.values()):
        overrides["target"] = servers
    asked = Experiment.load_file(experiment, overrides, gates=gate or ())
    publication = Publication.of_compare(
        mlflow=mlflow, mlflow_on_pass=mlflow_on_pass, traced=asked.load.trace
    )
    checked = check_compare(asked, backend, results)
    remote = remote_workers(
        checked.experiment, listen, expect_workers, expect_workers_max_wait, processes=workers
    )
    with closing(TerminalProgress(console)) as progress:
        if remote is not None and remote.beyond and not os.environ.get(TOKEN):
            progress.step(
                f"whoever reaches {remote.host}:{remote.port} may join as a worker, unless {TOKEN} is set"
            )
        outcome = run_compare(checked.provide(progress.step, workers=remote), results, progress)
    conclude(*outcome, publication.after_verdict)


def remote_workers(
    experiment: Experiment, listen: str | None, expected: int | None, wait: str, *, processes: int | None
) -> RemoteWorkers | None:
    """What ``--listen`` and ``--expect-workers`` ask for; None: nothing.

    ``processes`` is the option ``--workers``; None: not given.

    Raises:
        UsageError: the options do not go together, or this machine cannot listen there.
    """
    if listen is None and expected is None:
        return None
    if listen is None or expected is None:
        raise UsageError(
            "--listen says where workers on other machines join, --expect-workers how many; give both"
        )
    if processes is not None:
        raise UsageError("--workers starts processes on this machine; leave it out beside --listen")
    load = experiment.load
    if load.rates or load.restarts > 1:
        several = "several rates" if load.rates else "restarts"
        raise UsageError(
            f"workers leave with the master of their run, and {several} are several; leave out --listen"
        )
    host, port = address(listen)
    workers = RemoteWorkers.at(host, port, expected, duration("--expect-workers-max-wait", wait))
    if workers.anywhere and experiment.target is None:
        raise UsageError(
            f"--listen {listen}: workers reach the gateway there, too; give the address of this machine that "
            "they see"
        )
    return workers
