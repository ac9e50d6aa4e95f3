"""One comparison as a process: who runs in it, what its servers counted, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from loadtest.data.exposition import parse
from loadtest.data.repeats import LOOKS
from loadtest.errors import LabError
from loadtest.experiment.role import ROLES
from loadtest.fetch import page
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.project import Project

_MARK = "LOADPROOF_BENCHMARK"
_COUNTER = "loadproof_requests_total"
_EVERY = 0.05
_PORT = 8000
_LOADPROOF = [sys.executable, "-m", "loadtest"]
LONGEST = 180.0


class Reading(NamedTuple):
    """How many requests both servers together said that they had answered, and when they were asked."""

    at: float
    answered: int


class Killable:
    """``with Killable(place, "local", options) as run: run.kill("worker")``.

    Args:
        place: folder for its results, its temporary files and what it says.
        backend: ``local`` or ``compose``.
        options: of ``loadproof compare``.
    """

    def __init__(self, place: Path, backend: str, options: list[str]) -> None:
        self.results, self._temporary, self._said = place / "results", place / "tmp", place / "said"
        self._temporary.mkdir(parents=True)
        self._mark = uuid.uuid4().hex
        self._environment = os.environ | {_MARK: self._mark, "TMPDIR": str(self._temporary)}
        self._backend = backend
        self._options = options
        self._projects: set[str] = set()
        self._over = threading.Event()
        self.readings: list[Reading] = []

    def __enter__(self) -> Self:
        command = [*_LOADPROOF, "compare", "--backend", self._backend, "--results", str(self.results)]
        self.began = time.time()
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [*command, *self._options], env=self._environment, stdout=said, stderr=said
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._reader.join()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(LONGEST)

    def wait_for_load(self) -> float:
        """When the load was seen to have begun, or the command to have ended without; seconds since 1970."""
        while (begun := load_seen(self.readings)) is None and self.process.poll() is None:
            time.sleep(_EVERY)
        return begun or time.time()

    def said(self) -> str:
        """What the command printed."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def stop_reading(self) -> None:
        """Ask the servers no more."""
        self._over.set()
        self._reader.join()

    def kill(self, who: str) -> bool:
        """``kill -9`` of the command, the load generator or one of its workers; False: there is none now."""
        process = self.process if who == "command" else next(self._load(who), None)
        if process is None:
            return False
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.Error:
            return False
        return True

    def _load(self, who: str) -> Iterator[psutil.Process]:
        """The processes of the generator: its master, which others descend from, or its workers."""
        found = {one.pid: one for one in self._generator()}
        for one in found.values():
            with contextlib.suppress(psutil.Error):
                if (one.ppid() in found) == (who == "worker"):
                    yield one

    def _generator(self) -> Iterator[psutil.Process]:
        if self._backend == "compose":
            for project in self.projects():
                yield from _in_container(Project(Docker(), project, ()), "load")
            return
        for one in self.processes():
            if _generates(one):
                yield one

    def processes(self) -> list[psutil.Process]:
        """Every process of this machine that the command started, or that one of those started."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.environ().get(_MARK) == self._mark and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def projects(self) -> set[str]:
        """The Compose projects that the command made."""
        for note in self._temporary.glob("loadproof-labs-*/*.json"):
            with contextlib.suppress(OSError, ValueError):
                self._projects |= {json.loads(note.read_text()).get("project", "")} - {""}
        return self._projects

    def next_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any verb, as the person runs it that comes back."""
        command = [*_LOADPROOF, *arguments]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )

    def left(self) -> list[str]:
        """What is there now that should not be: processes, containers, networks, volumes and files."""
        found = [f"process {one.pid} {' '.join(one.cmdline())[:80]}" for one in self.processes()]
        for project in self.projects():
            found += [f"{project}: {one}" for one in Project(Docker(), project, ()).leftovers()]
        # the folder of the notes stays, empty
        files = (path for path in self._temporary.rglob("*") if not path.match("loadproof-labs-*"))
        names = (str(path.relative_to(self._temporary)) for path in files)
        return found + [f"file {name}" for name in names if not name.startswith(".")]

    def _read(self) -> None:
        urls: list[str] = []
        while not self._over.wait(_EVERY):
            asked = time.time()
            try:
                urls = urls or self._servers()
                if urls:
                    self.readings.append(Reading(asked, sum(map(_answered, urls))))
            except (LabError, OSError, psutil.Error, KeyError, ValueError):
                continue

    def _servers(self) -> list[str]:
        """Where both versions listen, once they do."""
        if self._backend == "compose":
            for project in self.projects():
                containers = Project(Docker(), project, ()).containers()
                return [f"http://127.0.0.1:{containers[role].ports[_PORT]}" for role in ROLES]
            return []
        ports = set()
        for one in self.processes():
            with contextlib.suppress(psutil.Error):
                if any("services.model_server" in word for word in one.cmdline()):
                    ports |= {c.laddr.port for c in one.net_connections("tcp") if c.status == "LISTEN"}
        urls = [f"http://127.0.0.1:{port}" for port in sorted(ports)]
        return urls if len(urls) == len(ROLES) else []


def _answered(url: str) -> int:
    text = page(f"{url}/metrics")
    if text is None:
        raise ValueError(f"{url} does not answer")
    return int(sum(sample.value for sample in parse(text) if sample.name == _COUNTER))


def load_seen(readings: Sequence[Reading]) -> float | None:
    """When the servers had first answered more than is asked before any load; None: they have not yet."""
    return next((one.at for one in readings if one.answered > LOOKS * len(ROLES)), None)


def _generates(process: psutil.Process) -> bool:
    """Whether it is of the load generator; an init process only names its command line."""
    with contextlib.suppress(psutil.Error):
        return bool(process.cmdline()[1:3] == ["-m", "loadtest.load"])
    return False


def _in_container(project: Project, service: str) -> Iterator[psutil.Process]:
    container = project.containers().get(service)
    if container is None:
        return
    # it may have gone since
    with contextlib.suppress(LabError, psutil.Error):
        pid = int(project.docker.run("inspect", "--format", "{{.State.Pid}}", container.id, timeout=30))
        if pid:
            first = psutil.Process(pid)
            yield from filter(_generates, (first, *first.children(recursive=True)))
