"""One Docker Compose project: its commands, its containers as Docker sees them, and its complete removal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.counted import counted
from loadtest.errors import LabError
from loadtest.lab.compose.docker_cli import LOG_LINES, Docker

ROOT = Path(__file__).parents[3]
COMPOSE_FILE = ROOT / "compose.yaml"

_LABEL = "com.docker.compose.project"
_DOWN_SECONDS = 60.0
_PAUSE = 0.5


@dataclass(frozen=True)
class Container:
    """What ``docker inspect`` says of one container."""

    id: str
    service: str
    image: str
    state: Mapping[str, Any]
    restarts: int
    limits: Mapping[str, Any]
    ports: Mapping[int, int]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Container:
        """Read one element of what ``docker inspect`` prints."""
        return cls(
            id=document["Id"],
            service=document["Config"]["Labels"]["com.docker.compose.service"],
            image=document["Image"],
            state=document["State"],
            restarts=document["RestartCount"],
            limits=document["HostConfig"],
            ports={
                int(inside.split("/")[0]): int(bindings[0]["HostPort"])
                for inside, bindings in document["NetworkSettings"]["Ports"].items()
                if bindings
            },
        )

    @property
    def cpus(self) -> float | None:
        """The CPU limit in cores that Docker enforces; None: none."""
        nano = self.limits["NanoCpus"]
        return nano / 1e9 if nano else None

    @property
    def memory(self) -> int | None:
        """The memory limit in bytes that Docker enforces; None: none."""
        return self.limits["Memory"] or None

    def fault(self, health: bool = True) -> str | None:
        """What is wrong with a service that should run, in words; None: nothing.

        Args:
            health: what its health check says counts.
        """
        if self.state["OOMKilled"]:
            return f"was killed: it needs more than its {(self.memory or 0) // 2**20} MB of memory"
        if self.state["Status"] == "exited":
            return f"ended with exit code {self.state['ExitCode']}"
        if self.state["Status"] != "running":
            detail = self.state.get("Error") or f"exit code {self.state['ExitCode']}"
            return f"is not running ({self.state['Status']}, {detail})"
        if self.restarts:
            return f"ended and was restarted {counted(self.restarts, 'time')}"
        if health and self.state.get("Health", {}).get("Status") == "unhealthy":
            return "does not pass its health check"
        return None


@dataclass(frozen=True)
class Project:
    """A project by its name: ``Project(Docker(), "loadproof-1a2b3c", [COMPOSE_FILE, override])``."""

    docker: Docker
    name: str
    files: Sequence[Path]

    def compose(self, *arguments: str, timeout: float, environment: Mapping[str, str] | None = None) -> str:
        """Run ``docker compose`` on this project; see ``Docker.run``."""
        files = [word for file in self.files for word in ("--file", str(file))]
        return self.docker.run(
            *("compose", "--project-name", self.name, "--project-directory", str(ROOT), *files),
            *("--progress", "plain", *arguments),
            timeout=timeout,
            environment=environment,
        )

    def containers(self) -> dict[str, Container]:
        """The project's containers by service, running or not."""
        ids = self._ids("ps", "--all")
        if not ids:
            return {}
        found = [Container.parse(d) for d in json.loads(self.docker.run("inspect", *ids, timeout=30))]
        return {container.service: container for container in found}

    def log(self, container: Container) -> tuple[str, ...]:
        """The last lines that a container wrote, oldest first."""
        try:
            text = self.compose(
                "logs", "--no-color", "--no-log-prefix", f"--tail={LOG_LINES}", container.service, timeout=30
            )
        except LabError as error:
            return error.log
        return tuple(text.splitlines()[-LOG_LINES:])

    def remove(self, within: float = 60.0) -> None:
        """Remove all of the project; no further attempt is begun after ``within`` seconds.

        Raises:
            LabError: something is still there; the message names it and the remedy.
        """
        deadline = time.monotonic() + within
        trouble = ""
        while left := self.leftovers():
            if trouble and time.monotonic() > deadline:
                remedy = f"run docker compose -p {self.name} --profile load down -v"
                raise LabError(f"could not remove {', '.join(left)}{trouble}; {remedy}")
            try:
                self.compose(
                    *("--profile", "load", "--profile", "control", "down"),
                    *("--volumes", "--remove-orphans", "--timeout", "5"),
                    timeout=_DOWN_SECONDS,
                )
                trouble = " (something new appears)"
            except LabError as error:
                trouble = f" ({error})"
                time.sleep(_PAUSE)  # the Engine is busy or restarts

    def leftovers(self) -> list[str]:
        """What of the project is there now: ids of containers and networks, names of volumes."""
        return [*self._ids("ps", "--all"), *self._ids("network", "ls"), *self._ids("volume", "ls")]

    def _ids(self, *command: str) -> list[str]:
        return self.docker.run(
            *command, "--quiet", "--filter", f"label={_LABEL}={self.name}", timeout=30
        ).split()
