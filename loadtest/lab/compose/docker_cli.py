"""The ``docker`` command: with time limits, safe under Ctrl-C, and with errors that a person can use.

::

    docker = Docker()
    docker.versions()                        # StartError where it is missing, silent or too old
    docker.run("inspect", "abc", timeout=10)
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from loadtest.errors import LabError, StartError, UsageError
from loadtest.lab.interrupts import interrupts_deferred

OLDEST_ENGINE = (25, 0)
"""The first that knows ``start_interval`` of health checks."""

OLDEST_COMPOSE = (2, 24)

SMALLEST_LIMIT = 0.01
"""Cores: the kernel's quota is at least 1 ms of each 100 ms."""

LOG_LINES = 20


class DockerVersions(NamedTuple):
    """What runs here, as the commands themselves say it."""

    engine: str
    compose: str


@dataclass(frozen=True)
class Docker:
    """The client; ``leave``: seconds that a command gets for its own clean-up when it is ended early."""

    program: str = "docker"
    leave: float = 10.0

    def run(
        self,
        *arguments: str,
        timeout: float,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run one command, ``timeout`` seconds at most, and return its standard output.

        Raises:
            LabError: it failed, took too long or cannot be run; carries the last lines that it wrote.
        """
        process: subprocess.Popen[bytes] | None = None
        try:
            # Ctrl-C while it starts must not leave a command behind that nobody knows of
            with interrupts_deferred():
                # its own session: Ctrl-C reaches this process only, which then ends the command in order
                process = subprocess.Popen(
                    [self.program, *arguments],
                    stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    env={**os.environ, **(environment or {})},
                )
            out, err = process.communicate(stdin, timeout)
        except BaseException as error:
            if process is None and isinstance(error, OSError):
                raise LabError(f"no {self.program} command can be run ({error.strerror})") from None
            if process is not None:
                _end(process, self.leave)
            if isinstance(error, subprocess.TimeoutExpired):
                raise LabError(f"docker {_verb(arguments)} did not end within {timeout:g} s") from None
            raise
        if process.returncode:
            lines = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
            reason = lines[-1].strip() if lines else f"exit code {process.returncode}"
            raise LabError(f"docker {_verb(arguments)}: {reason}", lines[-LOG_LINES:])
        return out.decode(errors="replace")

    def versions(self) -> DockerVersions:
        """The versions of the Engine and of Compose.

        Raises:
            StartError: one of them is missing, does not answer, or is too old; the message says which.
        """
        try:
            engine = self.run("version", "--format", "{{.Server.Version}}", timeout=10).strip()
        except LabError as error:
            raise StartError(f"no Docker Engine answers ({error}); start or install it") from None
        try:
            compose = self.run("compose", "version", "--short", timeout=10).strip()
        except LabError as error:
            raise StartError(f"Docker Compose is missing ({error}); install its plugin") from None
        if _numbers(engine) < OLDEST_ENGINE:
            raise StartError(f"Docker Engine {engine} is older than {OLDEST_ENGINE[0]}; update it")
        if _numbers(compose) < OLDEST_COMPOSE:
            oldest = ".".join(map(str, OLDEST_COMPOSE))
            raise StartError(f"Docker Compose {compose} is older than {oldest}; update it")
        return DockerVersions(engine, compose)

    def require_cpus(self, cpus: float | None) -> None:
        """See that the Engine can set a CPU limit, in cores; None: none is wanted.

        Raises:
            UsageError: it has fewer CPUs, or the kernel counts no such small part of one.
        """
        if cpus is None:
            return
        there = int(self.run("info", "--format", "{{.NCPU}}", timeout=10))
        if not SMALLEST_LIMIT <= cpus <= there:
            raise UsageError(
                f"limits.cpus: {cpus:g}: the Docker Engine has {there} CPUs and takes from "
                f"{SMALLEST_LIMIT:g} to {there}; give such a limit, or 0 for none"
            )


def _verb(arguments: tuple[str, ...]) -> str:
    """What a command does, without its options: ``compose up``."""
    words = ("build", "config", "create", "down", "pull", "up", "version")
    if arguments[0] == "compose":
        return " ".join(["compose", *[word for word in arguments[1:] if word in words][:1]])
    return arguments[0]


def _numbers(version: str) -> tuple[int, int]:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _end(process: subprocess.Popen[bytes], leave: float) -> None:
    """End a command and what it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=leave)
            return
