"""Shapes: how Locust's notion of a test follows the run. One user per worker, until the run is over."""

from __future__ import annotations

import logging

from locust import LoadTestShape

from loadtest.load.coordinator import Coordinator

logger = logging.getLogger(__name__)


class Arrivals(LoadTestShape):  # type: ignore[misc]  # locust is untyped here
    """Starts the run and stops the test when it is over; Locust's form then asks for no users or run time."""

    coordinator: Coordinator | None = None

    def __init__(self) -> None:
        super().__init__()
        self._users: tuple[int, float] | None = None

    def tick(self) -> tuple[int, float] | None:
        """Users and spawn rate, the same during the whole run; None when it is over."""
        if self.coordinator is None:
            return None
        if self._users is None:
            workers = len(self.coordinator.workers)
            if not workers:
                logger.error("no worker is connected; start one, then the test")
                return None
            self.coordinator.reset()
            self._users = (workers, workers)
        if self.coordinator.over:
            self._users = None
        return self._users

    def forget(self) -> None:
        """The test was stopped: the next one starts anew."""
        self._users = None
