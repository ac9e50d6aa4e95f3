"""The options of a run that waits for workers on other machines, checked before anything is started."""

from __future__ import annotations

from loadtest.cli.options import duration
from loadtest.cli.worker import address
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.remote_workers import RemoteWorkers

TOKEN = "LOADPROOF_WORKER_TOKEN"  # noqa: S105 - the name of the variable
"""Shared by the run's master and its workers, who sign with it."""


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
