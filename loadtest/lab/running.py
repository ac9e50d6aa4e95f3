"""Labs that run in another process: how they say so, and how a command finds them.

A lab that was announced lies in a folder of this machine: ``lab.json`` names its endpoints, and a lock on it
lives exactly as long as its process. Everything else is what ``docker compose up`` started.

It imports little, so that a command that must be fast is.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest.canary.codec import STATE_FILE, decode
from loadtest.canary.state import State
from loadtest.errors import LabError
from loadtest.lab.folder_store import FolderStore
from loadtest.lab.routes import TARGETS_FILE, Routes, derive

if TYPE_CHECKING:
    from loadtest.canary.store import Store
    from loadtest.lab.ports import Endpoints, Lab

FOLDER = Path("results/canary")
"""Where a lab is announced unless another folder is named."""

PROJECT = "loadproof"
"""The Compose project of ``docker compose up``."""

_LAB = "lab.json"
_WITHIN = 5.0


@dataclass(frozen=True)
class RunningLab:
    """A lab that runs in another process.

    Args:
        name: for a person.
        canary: its state.
        folder: where it was announced; None: it was not.
        project: its Compose project, where it was not announced.
    """

    name: str
    canary: Store
    folder: Path | None
    project: str | None

    def endpoints(self) -> Endpoints:
        """Where its services listen.

        Raises:
            LabError: it does not run any more.
        """
        from loadtest.lab.ports import Endpoints

        if self.folder is not None:
            return Endpoints(**_facts(self.folder)["endpoints"])
        return _compose_endpoints(self.project or PROJECT)


class Claim:
    """A folder that one lab holds; see ``claim``."""

    def __init__(self, file: int) -> None:
        self._file = file

    def announce(self, lab: Lab) -> None:
        """Make a lab, which runs, known to the commands."""
        endpoints = lab.endpoints
        names = ("gateway", "stable", "candidate", "prometheus", "stats")
        facts = {
            "backend": lab.backend,
            "pid": os.getpid(),
            "endpoints": {name: getattr(endpoints, name) for name in names},
        }
        os.pwrite(self._file, json.dumps(facts, indent=1).encode(), 0)


@contextmanager
def claim(folder: Path) -> Iterator[Claim]:
    """Hold a folder for one lab, from before it starts until after it has stopped::

        with claim(folder) as claimed, open_lab(versions) as lab:
            claimed.announce(lab)

    Raises:
        LabError: another lab has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / _LAB, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"{folder}: a lab runs there already; stop it, or name another --lab") from None
        os.ftruncate(file, 0)
        yield Claim(file)
    finally:
        os.close(file)


def running_lab(folder: Path = FOLDER, project: str = PROJECT) -> RunningLab:
    """The lab that runs in ``folder``, else the one of a Compose project.

    Nothing is asked of Docker yet: a store whose lab does not run says so when it is used.
    """
    if is_announced(folder):
        store = FolderStore(folder, lambda state: derive(state, _addresses(folder)), _confirm_in(folder))
        return RunningLab(f"the lab in {folder}", store, folder, None)
    from loadtest.lab.volume_store import VolumeStore

    container = f"{project}-gateway-1"
    addresses = {role: f"{role}:8000" for role in ("stable", "candidate")}

    def confirm(state: State) -> None:
        from loadtest.lab.envoy import confirm_routes

        confirm_routes(_compose_gateway(container), Routes.of(state), _WITHIN)

    store_there = VolumeStore(container, lambda state: derive(state, addresses), confirm)
    return RunningLab(f"the Compose project {project}", store_there, None, project)


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


def _addresses(folder: Path) -> dict[str, str]:
    """``host:port`` of each deployment by its service, as the targets file has them now."""
    now = decode((folder / STATE_FILE).read_text(encoding="utf-8"), str(folder / STATE_FILE)).now
    services = {"stable": now.stable.service, "candidate": now.candidate.service}
    targets = json.loads((folder / TARGETS_FILE).read_text(encoding="utf-8"))
    return {services[target["labels"]["role"]]: target["targets"][0] for target in targets}


def _confirm_in(folder: Path) -> Any:
    def confirm(state: State) -> None:
        from loadtest.lab.envoy import confirm_routes

        confirm_routes(_facts(folder)["endpoints"]["gateway"], Routes.of(state), _WITHIN)

    return confirm


def _compose_gateway(container: str) -> str:
    """The gateway's base URL; whatever became of the versions, which is why somebody rolls back."""
    from loadtest.lab.docker import Docker

    return f"http://{Docker().run('port', container, '8080/tcp', timeout=30).split()[0]}"


def _compose_endpoints(project: str) -> Endpoints:
    from loadtest.lab.compose_project import Project
    from loadtest.lab.compose_start import PORTS
    from loadtest.lab.docker import Docker
    from loadtest.lab.ports import Endpoints

    containers = Project(Docker(), project, ()).containers()
    try:
        urls = {
            name: f"http://127.0.0.1:{containers[port.service].ports[port.inside]}"
            for name, port in PORTS.items()
            if name != "prometheus" or "prometheus" in containers
        }
    except KeyError as missing:
        raise LabError(f"the Compose project {project} lacks {missing}; run docker compose up -d") from None
    return Endpoints(**urls)
