"""Labs that run in another process: how they say so, and how a command finds them.

A lab that was announced lies in a folder of this machine: ``lab.json`` names its endpoints, and a lock on it
lives exactly as long as its process. Everything else is what ``docker compose up`` started: seen from
outside, or, by its service ``canary``, from inside.

It imports little, so that a command that must be fast is.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest.canary.codec import STATE_FILE, decode
from loadtest.errors import LabError, UsageError
from loadtest.experiment.role import ROLES, Role
from loadtest.lab.gateway.folder_store import FolderStore
from loadtest.lab.gateway.route_change import TARGETS_FILE, RouteChange

if TYPE_CHECKING:
    from loadtest.canary.state import Store
    from loadtest.lab.compose.project import Container
    from loadtest.lab.interface import Endpoints, Lab

FOLDER = Path("results/canary")
"""Where a lab is announced unless another folder is named."""

PROJECT = "loadproof"
"""The Compose project of ``docker compose up``."""

INSIDE = "LOADPROOF_ROUTES"
"""The variable that names the folder of the canary's state inside the Compose project."""

_NOT_IN_EVERY_LAB = ("control", "prometheus")
"""Services that `docker compose up` may be without."""
_LAB = "lab.json"
_SERVICES = {role: f"{role}:8000" for role in ROLES}
_INSIDE = {role.value: f"http://{address}" for role, address in _SERVICES.items()} | {
    "gateway": "http://gateway:8080",
    "stats": "http://gateway:9902",
}
"""URLs as the services of the Compose project see each other."""


@dataclass(frozen=True)
class RunningLab:
    """A lab that runs in another process.

    Args:
        name: for a person.
        canary: its state.
        urls: of its services, by the fields of ``Endpoints``.
        state: the folder of its state; None: it lies on a volume.
    """

    name: str
    canary: Store
    urls: Callable[[], Mapping[str, str]]
    state: Path | None = None

    def endpoints(self) -> Endpoints:
        """Where its services listen.

        Raises:
            LabError: it does not run any more.
        """
        # not for a rollback, which asks for the gateway alone
        from loadtest.lab.interface import Endpoints

        return Endpoints(**self.urls())


class Claim:
    """A folder that one lab holds; see ``claim``."""

    def __init__(self, file: int) -> None:
        self._file = file

    def announce(self, lab: Lab, state: Path | None = None) -> None:
        """Make a lab, which runs, known to the commands; ``state``: of its state, where it lies elsewhere."""
        facts = {
            "backend": lab.backend,
            "pid": os.getpid(),
            "state": state and str(state.absolute()),
            "endpoints": asdict(lab.endpoints),
        }
        os.pwrite(self._file, json.dumps(facts, indent=1).encode(), 0)


@contextmanager
def claim(folder: Path) -> Iterator[Claim]:
    """Hold a folder for one lab, from before it starts until after it has stopped::

        with claim(folder) as claimed, open_lab(versions) as lab:
            claimed.announce(lab)

    Raises:
        LabError: another lab has it.
        UsageError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / _LAB, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be the folder of a lab ({error.strerror}); name another --lab"
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"{folder}: a lab runs there already; stop it, or name another --lab") from None
        os.ftruncate(file, 0)
        yield Claim(file)
    finally:
        os.close(file)


@contextmanager
def announced(folder: Path, state: Path, say: Callable[[str], None]) -> Iterator[Callable[[Lab], None]]:
    """Hold a folder, if it is free, for a lab whose state lies elsewhere; yields what announces it."""
    with ExitStack() as stack:
        claimed = None
        try:
            claimed = stack.enter_context(claim(folder))
        except LabError:
            say(f"{folder} names another lab, which `canary status` and `canary rollback` reach instead")
        yield lambda lab: claimed.announce(lab, state) if claimed else None


def running_lab(folder: Path = FOLDER, project: str = PROJECT) -> RunningLab:
    """The lab that runs in ``folder``, else the one of a Compose project.

    Nothing is asked of Docker yet: a store whose lab does not run says so when it is used.
    """
    if inside := os.environ.get(INSIDE):
        # this process is a service of the Compose project, and the volume of its state is mounted
        routes = RouteChange(lambda: _INSIDE["gateway"], lambda: _SERVICES)
        return RunningLab("this Compose project", FolderStore(Path(inside), routes), lambda: _INSIDE)
    if is_announced(folder):
        there = Path(_facts(folder).get("state") or folder)

        def urls() -> dict[str, str]:
            return dict(_facts(folder)["endpoints"])

        routes = RouteChange(lambda: urls()["gateway"], lambda: _addresses(there))
        return RunningLab(f"the lab in {folder}", FolderStore(there, routes), urls, there)
    from loadtest.lab.gateway.volume_store import VolumeStore

    container = f"{project}-gateway-1"
    store = VolumeStore(container, RouteChange(lambda: _compose_gateway(container), lambda: _SERVICES))
    return RunningLab(f"the Compose project {project}", store, lambda: _compose_urls(project))


def is_announced(folder: Path) -> bool:
    """Whether a lab runs in a folder now: its process holds the lock."""
    try:
        with (folder / _LAB).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return bool((folder / _LAB).stat().st_size)
    except OSError:
        return False
    return False


def _facts(folder: Path) -> dict[str, Any]:
    if not is_announced(folder):
        raise LabError(f"{folder}: no lab runs there any more")
    facts: dict[str, Any] = json.loads((folder / _LAB).read_text(encoding="utf-8"))
    return facts


def _addresses(folder: Path) -> dict[Role, str]:
    """``host:port`` of each version by its service, as the targets file has them now."""
    services = decode((folder / STATE_FILE).read_text(encoding="utf-8"), str(folder / STATE_FILE)).services
    targets = json.loads((folder / TARGETS_FILE).read_text(encoding="utf-8"))
    return {services[target["labels"]["role"]]: target["targets"][0] for target in targets}


def _compose_gateway(container: str) -> str:
    """The gateway's base URL; whatever became of the versions, which is why somebody rolls back."""
    from loadtest.lab.compose.docker_cli import Docker

    return f"http://{Docker().run('port', container, '8080/tcp', timeout=30).split()[0]}"


def _compose_urls(project: str) -> dict[str, str]:
    from loadtest.lab.compose.docker_cli import Docker
    from loadtest.lab.compose.project import Project

    return published(project, Project(Docker(), project, ()).containers())


def published(project: str, containers: Mapping[str, Container]) -> dict[str, str]:
    """Where the services of a Compose project listen on this machine, by the fields of ``Endpoints``.

    Raises:
        LabError: a service is missing that no lab is without.
    """
    from loadtest.lab.compose.start import PORTS

    try:
        return {
            name: f"http://127.0.0.1:{containers[port.service].ports[port.inside]}"
            for name, port in PORTS.items()
            if port.service not in _NOT_IN_EVERY_LAB or port.service in containers
        }
    except KeyError as missing:
        raise LabError(f"the Compose project {project} lacks {missing}; run docker compose up -d") from None
