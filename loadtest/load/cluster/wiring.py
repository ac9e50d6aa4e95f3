"""Wiring: joins the coordinator to Locust. The same in every way to run."""

from __future__ import annotations

import logging
from typing import Any

from locust import LoadTestShape, runners
from locust.env import Environment

from loadtest.load.cluster.coordinator import Coordinator
from loadtest.load.cluster.run_hooks import RunHooks
from loadtest.load.cluster.run_inputs import RunInputs

SILENCE = 120
"""Seconds without a heartbeat after which Locust ends a run: more than ``WorkerReports.tick`` ever waits."""

logger = logging.getLogger(__name__)


class Arrivals(LoadTestShape):
    """How Locust's notion of a test follows the run: one user per worker, until the run is over.

    Locust's form then asks for no users or run time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # locust is partly untyped
        self._coordinator: Coordinator | None = None
        self._users: tuple[int, float] | None = None

    def follow(self, coordinator: Coordinator, environment: Environment) -> None:
        """Take the beginning and the end of runs from ``coordinator``."""
        self._coordinator = coordinator
        events: Any = environment.events
        events.test_stop.add_listener(self._forget)

    def tick(self) -> tuple[int, float] | None:
        """Users and spawn rate, the same during the whole run; None when it is over."""
        coordinator = self._coordinator
        if coordinator is None or coordinator.over:
            return None
        if self._users is None:
            workers = len(coordinator.members.workers)
            if not workers:
                logger.error("no worker is connected; start one, then the test")
                return None
            self._users = (workers, workers)
        return self._users

    def _forget(self, **_: object) -> None:
        self._users = None


def coordinate(environment: Environment, inputs: RunInputs, hooks: RunHooks) -> Coordinator:
    """Make this process, which is nobody's worker, run what Locust starts.

    To be called before the process becomes a ``Worker``, if it sends, too: the coordinator hears first that a
    test stops, so that what the worker then reports is the end of a stopped run.
    """
    coordinator = Coordinator(environment, inputs, hooks)
    if isinstance(environment.shape_class, Arrivals):
        environment.shape_class.follow(coordinator, environment)
    if isinstance(environment.runner, runners.MasterRunner):
        let_reports_decide(environment)
    return coordinator


def let_reports_decide(environment: Environment) -> None:
    """During a run, only the reports of a worker say whether it is there.

    Locust stops a test, as a person would, when no worker has sent a heartbeat for three seconds. On a busy
    machine a worker that prepares takes longer (locustio/locust, issues 1158, 1707 and 3043).
    """
    usual, runner = runners.HEARTBEAT_LIVENESS, environment.runner

    def wait(seconds: int) -> None:
        runners.HEARTBEAT_LIVENESS = seconds  # of each heartbeat to come
        for client in runner.clients.all if isinstance(runner, runners.MasterRunner) else ():
            client.heartbeat = seconds

    events: Any = environment.events
    events.test_start.add_listener(lambda **_: wait(SILENCE))
    # once the run is over: Locust then waits for the users of every worker that it holds to be there
    events.test_stopping.add_listener(lambda **_: wait(usual))
