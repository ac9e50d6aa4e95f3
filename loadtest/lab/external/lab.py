"""No lab at all: two servers that already run, of which only the URLs are known."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from loadtest.canary.store import Store
from loadtest.errors import LabError, ServiceDied, TargetError
from loadtest.experiment.experiment import Experiment, Fault
from loadtest.experiment.role import Role
from loadtest.experiment.target import Target
from loadtest.lab.interface import CpuUsage, Endpoints
from loadtest.lab.load_ended import SAID
from loadtest.lab.local.lab import LOAD_SLACK, ROOT
from loadtest.lab.local.load_process import LocalLoad
from loadtest.lab.local.supervisor import Supervisor
from loadtest.lab.services.cpu_check import require_cpus
from loadtest.load.protocols import protocol_named


class UrlsLab:
    """A ``Lab`` that starts the load generator only; limits and counters of the servers are not known.

    Args:
        target: the servers.
        folder: for the load generator's log.

    Raises:
        ExperimentError: there is no such protocol.
    """

    backend: str = "urls"

    def __init__(self, target: Target, folder: Path) -> None:
        protocol_named(target.protocol)
        self._target = target
        self._folder = folder
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
        return Endpoints(self._target.stable, self._target.stable, self._target.candidate)

    def enforced_cpus(self, role: Role) -> float | None:  # noqa: ARG002 - the port's shape
        """Not known."""
        return None

    def set_cpus(self, role: Role, cpus: float) -> None:
        """A server that somebody else runs keeps the limit that it has.

        Raises:
            LabError: always.
        """
        require_cpus(role, cpus, self.enforced_cpus(role))

    def cpu_usage(self, role: Role) -> CpuUsage | None:  # noqa: ARG002 - the port's shape
        """Not known."""
        return None

    @property
    def canary(self) -> Store:
        """There is no gateway whose split could be set.

        Raises:
            LabError: always.
        """
        raise _not_ours("have no gateway that could split traffic")

    def inject(self, role: Role, fault: Fault) -> None:
        """The servers are somebody else's.

        Raises:
            LabError: always.
        """
        raise _not_ours(f"take no faults: {role} stays without {fault}")

    def heal(self, role: Role) -> None:
        """Nothing was injected."""

    def ended(self) -> list[str]:
        """Not known."""
        return []

    def restart(self, service: str) -> None:
        """The servers are somebody else's.

        Raises:
            LabError: always.
        """
        raise _not_ours(f"cannot be restarted: {service} is not ours")

    def launch_load(self, job: Path) -> LocalLoad:
        """Start the load generator on a job folder; its standard error goes to ``load.log``."""
        job = job.absolute()
        load = Experiment.load_file(str(job / "experiment.toml")).load
        command = [
            sys.executable,
            "-m",
            "loadtest.load",
            "--stream",
            "--job",
            str(job),
            "--host",
            self._target.stable,
        ]
        service = self._supervisor.start("load", command, stdout=subprocess.PIPE, essential=False)
        self._load = LocalLoad(service, self._supervisor, 3 * (load.warmup + load.duration) + LOAD_SLACK)
        return self._load

    def check(self) -> None:
        """Look whether the load, if it ended, ended well.

        Raises:
            TargetError: it did not, for the reason in its last line, such as a server that does not answer.
            ServiceDied: it did not, and gave none; carries the last lines of its log.
        """
        if self._load and (how := self._load.failure()):
            tail = self._load.tail()
            reason = tail[-1].removeprefix(SAID) if tail and tail[-1].startswith(SAID) else None
            raise TargetError(reason) if reason else ServiceDied(f"load {how}", tail)

    def environment(self) -> dict[str, object]:
        """Facts for ``environment.json``."""
        return {
            "backend": self.backend,
            "protocol": self._target.protocol,
            "stable": self._target.stable,
            "candidate": self._target.candidate,
        }


def _not_ours(why: str) -> LabError:
    return LabError(f"two servers by their URLs {why}; take a lab")
