"""A run in progress, as the coordinator follows it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from gevent.event import Event

from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.baseline.asking import BaselineReach
from loadtest.load.cluster.worker_reports import Gathering
from loadtest.load.live.progress import Progress


class RunInProgress:
    """One run, from its start to its conclusion.

    Args:
        experiment: what is measured; the evaluation set's path is the one on this machine.
        clients: Locust's ids of the workers, in the order of their indices.
        digest: of the evaluation set.
    """

    def __init__(self, experiment: Experiment, clients: Sequence[str], digest: str) -> None:
        self.experiment = experiment
        self.digest = digest
        self.gathering = Gathering(uuid.uuid4().hex[:12], clients)
        self.progress = Progress()
        self.baseline: dict[Role, BaselineReach] = {}
        self.began_at: float | None = None
        self.stopped_after: float | None = None
        self.over = Event()

    @property
    def elapsed(self) -> float:
        """Seconds since time zero; before the start the whole warm-up is ahead."""
        return -self.experiment.load.warmup if self.began_at is None else time.time() - self.began_at
