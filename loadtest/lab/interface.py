"""The lab as workflows see it: what every backend offers, and nothing of how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from loadtest.canary.state import Store
from loadtest.errors import LabError
from loadtest.experiment.experiment import Experiment, Fault
from loadtest.experiment.role import Role
from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.remote_workers import RemoteWorkers

IMAGE = "image:"
"""How the name of a version begins that is an image: ``image:registry/recommender:2``."""

_RESOLUTION = 1e-4
"""CPU limits that differ by less, in cores, are the same."""


@dataclass(frozen=True)
class Version:
    """One deployed build: ``Version(Role.STABLE, Path("models/shop/v1"), cpus=0.25, memory=2**29)``.

    Args:
        role: that it is deployed for.
        folder: the version's folder on this machine; of no meaning for an image.
        cpus: CPU limit in cores; None: no limit.
        memory: memory limit in bytes; None: no limit.
        image: an image that carries the version with its server, on port 8000; None: our model server.
    """

    role: Role
    folder: Path
    cpus: float | None
    memory: int | None
    image: str | None = None

    @property
    def name(self) -> str:
        """What the version is called: its folder, or its image."""
        return self.image or self.folder.name


@dataclass(frozen=True)
class Endpoints:
    """Base URLs as seen from this machine, without a trailing slash; None: not part of this lab.

    ``stats`` is where the gateway shows its own counters (``/stats/prometheus``).
    """

    gateway: str
    stable: str
    candidate: str
    prometheus: str | None = None
    stats: str | None = None
    control: str | None = None

    def of(self, service: str) -> str:
        """The base URL of a version, by its service."""
        if service == Role.CONTROL and self.control is not None:
            return self.control
        return self.stable if service == Role.STABLE else self.candidate


def require_cpus(role: Role, asked: float, enforced: float | None) -> None:
    """Require that a version's CPU limit is the one that was asked for, in cores.

    Raises:
        LabError: it is another, or there is none.
    """
    if enforced is None or abs(enforced - asked) > _RESOLUTION:
        found = "none" if enforced is None else f"{enforced:g}"
        raise LabError(
            f"{role} was to get {asked:g} CPUs, in force is {found}; "
            "where a limit cannot be changed, leave out --cpus"
        )


class LoadProcess(Protocol):
    """The load generator, running."""

    def lines(self) -> Iterator[str]:
        """Its standard output, line by line, until it ends: JSON objects, see ``loadtest.data.samples``."""

    def stop(self) -> None:
        """Ask it to end early and keep what was measured; idempotent."""

    def wait(self) -> int:
        """Its exit code. After this, ``samples.parquet`` and ``load.json`` lie in the job folder."""


class Lab(Protocol):
    """Running versions, their gateway and their metrics: a context manager that leaves nothing behind."""

    backend: str

    def __enter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises:
            StartError: a service did not become ready; what was started is stopped again.
        """

    def __exit__(self, *exc: object) -> None:
        """Stop what this lab started; leave nothing behind."""

    @property
    def endpoints(self) -> Endpoints:
        """Where the services listen."""

    def enforced_cpus(self, role: Role) -> float | None:  # noqa: ARG002 - what labs that know nothing inherit
        """The CPU limit that is truly in force for a version; None when none is. Never pretends."""
        return None

    def set_cpus(self, role: Role, cpus: float) -> None:
        """Give a running version another CPU limit, in cores.

        Raises:
            LabError: it is not in force afterwards.
        """

    def cpu_usage(self, role: Role) -> CpuUsage | None:  # noqa: ARG002 - so
        """The throttling counters of a version now; None where they cannot be had."""
        return None

    @property
    def canary(self) -> Store:
        """The canary's state, from which the gateway's split, its shadow and its roles derive."""

    def inject(self, role: Role, fault: Fault) -> None:
        """Make a version fail, until ``heal``; ``check`` then expects of it what was done to it.

        Raises:
            LabError: the fault needs a model server that allows it, and this one does not.
        """

    def heal(self, role: Role) -> None:
        """End every fault that was injected into a version, and wait until it is ready again."""

    def ended(self) -> list[str]:
        """The services that ended by themselves."""

    def restart(self, service: str) -> None:
        """Start a service again where it was, ended or not, and wait until it is ready.

        Raises:
            StartError: it did not become ready.
        """

    def launch_load(self, job: Path) -> LoadProcess:
        """Start ``python -m loadtest.load --stream`` on a job folder, close to the gateway.

        Args:
            job: folder on this machine with ``experiment.toml``, whose ``data.path`` is absolute.
        """

    def check(self) -> None:
        """Look whether every service still runs.

        Raises:
            ServiceDied: one ended; carries its name and the last lines of its log.
        """

    def environment(self) -> dict[str, object]:
        """Facts for ``environment.json``: backend, limits as enforced, versions of the parts."""


OpenLab = Callable[[tuple[Version, ...]], Lab]
"""Makes a lab of stable, candidate and any control, in this order; it starts when it is entered."""


VersionPython = Callable[[Path, Callable[[str], None]], Path]
"""Of a version's folder, and where progress goes, the interpreter that its packages are in."""


class LabRequest(NamedTuple):
    """What a lab is to be like.

    Args:
        experiment: what it is for.
        say: where progress goes, a line at a time.
        state: folder of the canary's state, which outlives the lab; None: one of the lab's own.
        percent: the split of a new state.
        allow_faults: let the model server be made slow, wrong or failing.
        workers: on other machines, which send the load; None: this machine does.
    """

    experiment: Experiment
    say: Callable[[str], None]
    state: Path | None = None
    percent: float = 10.0
    allow_faults: bool = False
    workers: RemoteWorkers | None = None


@dataclass(frozen=True)
class Backend:
    """One way to run a lab, named ``BACKEND`` in ``loadtest/lab/<its folder>/backend.py``.

    Args:
        name: as ``--backend`` and a run's facts have it.
        title: what it is, in messages.
        rank: of those that can be had here, ``auto`` takes the lowest.
        prepare: makes sure that it can be had here; ``StartError`` says why not, and names the remedy.
        refuses: why it cannot take an experiment, with the remedy, else None; nothing is started for that.
        external: it runs no server: it is for experiments with ``[target]``, and for these alone.
        remove: removes what a lab left whose command was killed, by what its ``LabNote`` says and the name of
            the note; returns what it was. None: it leaves nothing.
        python: the interpreter on this machine for a version's folder, with the packages that its
            ``requirements.txt`` names; None: this backend runs nothing on this machine's interpreters.
    """

    name: str
    title: str
    rank: int
    prepare: Callable[[LabRequest], OpenLab]
    refuses: Callable[[Experiment], str | None] = lambda _: None
    external: bool = False
    remove: Callable[[Mapping[str, str], str], str] | None = None
    python: VersionPython | None = None
