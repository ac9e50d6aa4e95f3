"""Wiring: joins the coordinator and the worker of this process to Locust. The same in every way to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.coordinator import Coordinator, Result
from loadtest.load.cluster.load_shape import Arrivals
from loadtest.load.cluster.worker import Worker
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.sending.recorder import MakeRecorder, Recorder


def wire(
    environment: Environment,
    resolve: Callable[[], Experiment],
    conclude_run: Callable[[Result], None],
    show: Callable[[dict[str, Any]], None] = lambda _: None,
    recorder: MakeRecorder = Recorder,
    metrics: LoadMetrics | None = None,
    pass_on: Callable[[bytes], None] | None = None,
) -> Coordinator | None:
    """Make this process take its part in runs.

    Args:
        environment: Locust's, with a runner and, unless it is a worker's, the shape ``Arrivals``.
        resolve: gives the experiment of a run that starts.
        conclude_run: takes the result of every run.
        show: takes live figures about once a second.
        recorder: makes the recorder of a share.
        metrics: counts along, for Prometheus.
        pass_on: takes the samples of the run as they come, about once a second a worker.

    Returns:
        The coordinator; None on a worker.
    """
    coordinator = None
    # the coordinator hears first that a test stops: what the worker then reports is the end of a stopped run
    if not isinstance(environment.runner, WorkerRunner) and isinstance(environment.shape_class, Arrivals):
        coordinator = Coordinator(environment, resolve, conclude_run, show, metrics, pass_on)
        environment.shape_class.follow(coordinator, environment)
    if isinstance(environment.runner, LocalRunner | WorkerRunner):
        Worker(environment, recorder)
    return coordinator
