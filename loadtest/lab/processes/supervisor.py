"""Services as processes that log to files and leave nothing behind, whatever becomes of this one.

::

    with Supervisor(folder, cwd) as supervisor:
        service = supervisor.start("gateway", ["envoy", ...])
        supervisor.check()      # ServiceDied, with the last lines of its log, when one has ended
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Self

import psutil

from loadtest.errors import ServiceDied, StartError
from loadtest.lab.interrupts import interrupts_deferred
from loadtest.lab.leftovers import MARK, LabNote, remove_folder, temporary_folder
from loadtest.lab.processes.limits import Limits
from loadtest.lab.processes.process_stop import stop_families
from loadtest.lab.processes.reaper import Reaper

ROOT = Path(__file__).parents[3]
"""The repository: from here our own modules can be run."""
GRACE = 5.0
"""Seconds that a service gets to end by itself."""

_GATE = 'read -r _ && exec "$@" </dev/null'
"""A service begins once it is told to: if we are killed before the reaper knows of it, it never does."""

_REAPED = 15.0
"""Seconds that the reaper of a killed lab gets before what it left is killed."""
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024


class Service:
    """One supervised process: its name, its process, its limits and its log."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: Path, limits: Limits, essential: bool
    ) -> None:
        self.name = name
        self.process = process
        self.log = log
        self.limits = limits
        self.essential = essential
        self.handle = psutil.Process(process.pid)

    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def enforced(self) -> dict[str, object]:
        """Its limits as the kernel has them in force, and by what."""
        pid = self.process.pid
        return {"cpus": self.limits.cpus(pid), "memory": self.limits.memory(pid), "by": self.limits.how}

    def listens(self, port: int) -> bool:
        """Whether it, or a process that it started, is the one that listens on a port of this machine."""
        with contextlib.suppress(psutil.Error):
            for process in (self.handle, *self.handle.children(recursive=True)):
                for connection in process.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                        return True
        return False

    def tail(self) -> tuple[str, ...]:
        """The last lines of its log, oldest first."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            return tuple(file.read().decode("utf-8", errors="replace").splitlines()[-_TAIL_LINES:])


class Supervisor:
    """Starts services in ``cwd`` and, when it is closed, stops them in reverse order; logs in ``folder``."""

    def __init__(self, folder: Path, cwd: Path, reaper: Callable[[Path], Reaper] = Reaper) -> None:
        self._folder = folder
        self._cwd = cwd
        self._make_reaper = reaper
        self._services: list[Service] = []

    def __enter__(self) -> Self:
        """Start the reaper."""
        with interrupts_deferred():
            self._note = LabNote(backend="local", folder=str(self._folder))
            self._reaper = self._make_reaper(self._cwd)
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop everything, the last started first; a second Ctrl-C waits until that is done."""
        with interrupts_deferred():
            for service in reversed(self._services.copy()):
                self.stop(service)
            self._reaper.close()
            self._note.close()

    def start(
        self,
        name: str,
        argv: Sequence[str],
        limits: Limits | None = None,
        stdout: Path | int | None = None,
        env: Mapping[str, str] | None = None,
        essential: bool = True,
    ) -> Service:
        """Start a service; standard error, and standard output unless told otherwise, go to ``<name>.log``.

        Raises:
            StartError: the program cannot be run.
        """
        limits = limits or Limits()
        log = self._folder / f"{name}.log"
        with (
            interrupts_deferred(),
            log.open("wb") as errors,
            stdout.open("wb") if isinstance(stdout, Path) else nullcontext(stdout or errors) as output,
        ):
            if shutil.which(argv[0]) is None:
                limits.remove()
                raise StartError(f"{name}: cannot run {argv[0]} (no such program)")
            # its own session: Ctrl-C at the terminal reaches us alone, and we stop it in order
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, "sh", *limits.command(argv)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
                cwd=self._cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", MARK: self._note.name, **(env or {})},
                start_new_session=True,
            )
            self._reaper.started(process.pid)
            assert process.stdin is not None  # noqa: S101 - for the type checker
            # whoever ended already says so by its exit code
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(b"\n")
            service = Service(name, process, log, limits, essential)
            self._services.append(service)
        return service

    def will_make(self, folder: Path) -> None:
        """Take note of a cgroup that is about to be made: it is gone after this supervisor at the latest."""
        self._reaper.will_make(folder)

    def check(self) -> None:
        """Look whether every service still runs.

        Raises:
            ServiceDied: one ended; the message names the first, and the error carries the end of its log.
        """
        for service in self._services:
            if service.essential and (how := service.ended()):
                raise ServiceDied(f"{service.name} {how}{hint(service)}", service.tail(), service.name)

    def stop(self, service: Service, first: int = signal.SIGTERM, grace: float = GRACE) -> None:
        """Stop a service, which may have ended, with all that it started; after ``grace`` seconds, kill."""
        stop_families([service.handle], grace, first)
        service.process.wait()
        service.limits.remove()
        self._reaper.stopped(service.process.pid)
        if service in self._services:
            self._services.remove(service)


def run_supervised(name: str, argv: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Run a command of ours to its end: its exit code, and the last lines of its standard error.

    Raises:
        StartError: the program cannot be run.
    """
    with temporary_folder() as logs, Supervisor(logs, Path.cwd()) as supervisor:
        service = supervisor.start(name, argv, stdout=subprocess.DEVNULL)
        return service.process.wait(), service.tail()


def log_folder() -> Path:
    """A folder for logs that goes when this process ends: errors carry the lines that matter."""
    until_the_end = ExitStack()
    folder = until_the_end.enter_context(temporary_folder())
    atexit.register(until_the_end.close)
    return folder


def remove(noted: Mapping[str, str], name: str) -> str:
    """Remove what a lab left whose command was killed, and its reaper too; see ``Backend.remove``."""
    _, left = psutil.wait_procs(list(_marked(name)), timeout=_REAPED)
    stop_families(left, GRACE)
    remove_folder(noted["folder"])
    return f"the local lab in {noted['folder']} ({len(left)} processes)"


def _marked(name: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if name and process.environ().get(MARK) == name:
                yield process


def hint(service: Service) -> str:
    """What the way in which a service ended may mean; may be empty."""
    if service.process.returncode == -signal.SIGKILL and service.limits.folders:
        return " (perhaps out of memory: raise limits.memory in the experiment)"
    return ""
