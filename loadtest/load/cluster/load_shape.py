"""Shapes: how Locust's notion of a test follows the run. One user per worker, until the run is over."""

from __future__ import annotations

import logging
from typing import Any

from locust import LoadTestShape
from locust.env import Environment

from loadtest.load.cluster.coordinator import Coordinator

logger = logging.getLogger(__name__)


class Arrivals(LoadTestShape):
    """Starts the run and stops the test when it is over; Locust's form then asks for no users or run time."""

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
            workers = len(coordinator.workers)
            if not workers:
                logger.error("no worker is connected; start one, then the test")
                return None
            self._users = (workers, workers)
        return self._users

    def _forget(self, **_: object) -> None:
        self._users = None
