"""No lab at all: two servers that already run, of which only the URLs are known."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from loadtest.canary.state import Store
from loadtest.errors import LabError
from loadtest.experiment.experiment import Fault
from loadtest.experiment.role import Role
from loadtest.experiment.target import Target
from loadtest.lab.interface import Endpoints, Lab, require_cpus
from loadtest.lab.processes.load_process import COMMAND, LocalLoad
from loadtest.lab.processes.supervisor import ROOT, Supervisor
from loadtest.lab.remote_workers import RemoteWorkers


class UrlsLab(Lab):
    """A ``Lab`` that starts the load generator only; limits and counters of the servers are not known."""

    backend: str = "urls"

    def __init__(self, target: Target, folder: Path, workers: RemoteWorkers | None = None) -> None:
        self._target = target
        self._folder = folder
        self._workers = workers
        self._load: LocalLoad | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Nothing has to start; whether the servers answer is asked by the load generator."""
        self._supervisor = self._cleanup.enter_context(Supervisor(self._folder, ROOT))
        return self

    def __exit__(self, *exc: object) -> None:
        """End the load generator, if it still runs."""
        self._cleanup.close()
        if self._load:
            self._load.close()

    @property
    def endpoints(self) -> Endpoints:
        """Where the servers listen; there is no gateway, so that stable stands for it."""
        target = self._target
        return Endpoints(target.stable, target.stable, target.candidate, control=target.control)

    def set_cpus(self, role: Role, cpus: float) -> None:
        """A server that somebody else runs keeps the limit that it has: ``LabError``, always."""
        require_cpus(role, cpus, self.enforced_cpus(role))

    @property
    def canary(self) -> Store:
        """There is no gateway whose split could be set: ``LabError``, always."""
        raise _not_ours("have no gateway that could split traffic")

    def inject(self, role: Role, fault: Fault) -> None:
        """The servers are somebody else's: ``LabError``, always."""
        raise _not_ours(f"take no faults: {role} stays without {fault}")

    def heal(self, role: Role) -> None:
        """Nothing was injected."""

    def ended(self) -> list[str]:
        """Not known."""
        return []

    def restart(self, service: str) -> None:
        """The servers are somebody else's: ``LabError``, always."""
        raise _not_ours(f"cannot be restarted: {service} is not ours")

    def launch_load(self, job: Path) -> LocalLoad:
        """Start the load generator on a job folder."""
        self._load = LocalLoad(self._supervisor, COMMAND, job, self._target.stable, workers=self._workers)
        return self._load

    def check(self) -> None:
        """Look whether the load, if it ended, ended well.

        Raises:
            TargetError: a server does not answer, or not as it should.
            UsageError: it refused what it was given.
            ServiceDied: anything else; carries the last lines of its log.
        """
        if self._load:
            self._load.check(elsewhere=True)

    def environment(self) -> dict[str, object]:
        """Facts for ``environment.json``."""
        return {
            "backend": self.backend,
            "protocol": self._target.protocol,
            "stable": self._target.stable,
            "candidate": self._target.candidate,
            **({"control": self._target.control} if self._target.control else {}),
        }


def _not_ours(why: str) -> LabError:
    return LabError(f"two servers by their URLs {why}; take a lab")
