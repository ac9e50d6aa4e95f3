"""The lab on Docker Compose: ``compose.yaml`` in a project of its own, so that several can run at once."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from prometheus_client.parser import text_string_to_metric_families

from loadtest.config import Experiment
from loadtest.errors import LabError, ServiceDied, StartError
from loadtest.lab.compose_load import ComposeLoad
from loadtest.lab.compose_override import ROUTES, require_readable, write_load_override, write_override
from loadtest.lab.compose_project import COMPOSE_FILE, Container, Project
from loadtest.lab.docker import Docker
from loadtest.lab.envoy import Routes, confirm_routes, write_routes
from loadtest.lab.free_ports import free_port
from loadtest.lab.ports import CpuUsage, Endpoints, Version
from loadtest.lab.probe import get

_PORTS = {
    "gateway": ("gateway", "GATEWAY_PORT", 8080, 8080),
    "stats": ("gateway", "STATS_PORT", 9902, 9902),
    "stable": ("stable", "STABLE_PORT", 8001, 8000),
    "candidate": ("candidate", "CANDIDATE_PORT", 8002, 8000),
    "prometheus": ("prometheus", "PROMETHEUS_PORT", 9090, 9090),
}
"""Per endpoint: its service, the variable of its published port, that port by default, the port inside."""

_START_SECONDS = 120
_ATTEMPTS = 3
_PORT_TAKEN = ("port is already allocated", "address already in use")
_REACH_SECONDS = 20.0
# references and rows take their time before the load: the bound only ends a run that hangs
_LOAD_SLACK = 600.0
_LOAD_CODES = (0, 4)
"""Exit codes of a load generator that did its job: PASS and INVALID of ``errors.ExitCode``."""


class ComposeLab:
    """Both versions, their gateway and Prometheus as containers: ``with ComposeLab(versions) as lab: ...``.

    The images must be there (``images.provide_images``). Per lab there are a project name, a generated
    override file, and host ports: the usual ones, or others that are free.

    **The split** is the routes file in a folder of this machine, bound into the gateway: setting it is a
    write and a rename here, which the kernel shows to Envoy's watch inside the container at once. No Docker
    command is on that way (``docker exec`` takes some 100 ms and fails when the Engine is busy), so that a
    rollback takes milliseconds. ``set_split`` returns when the gateway itself says that the split is in
    force. After a plain ``docker compose up`` the same file lies on the volume ``routes``, where
    ``swap-routes`` of the gateway's image renames it.

    Args:
        versions: stable and candidate.
        docker: the client.
        prometheus: start Prometheus too.
        routes: what the gateway does at first.
    """

    backend: Literal["compose", "local"] = "compose"

    def __init__(
        self,
        versions: tuple[Version, Version],
        docker: Docker | None = None,
        *,
        prometheus: bool = True,
        routes: Routes | None = None,
    ) -> None:
        self._versions = versions
        self._docker = docker or Docker()
        self._services = [*(v.role for v in versions), "gateway", *(["prometheus"] if prometheus else [])]
        self._routes = routes or Routes()
        self._folder = Path()
        self._project = Project(self._docker, f"loadproof-{secrets.token_hex(4)}", ())
        self._containers: dict[str, Container] = {}
        self._load: ComposeLoad | None = None

    def __enter__(self) -> Self:
        for version in self._versions:
            require_readable(version.folder)
        self._folder = Path(tempfile.mkdtemp(prefix="loadproof-"))
        override = write_override(self._folder, self._versions, self._routes)
        self._project = Project(self._docker, self._project.name, (COMPOSE_FILE, override))
        try:
            self._start()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        broken = next((error for error in exc if isinstance(error, BaseException)), None)
        with _uninterrupted():
            try:
                self._project.remove()
            except LabError as trouble:
                if broken is None:
                    raise
                broken.add_note(str(trouble))
            finally:
                if self._load:
                    self._load.close()
                shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def name(self) -> str:
        """The Compose project of this lab."""
        return self._project.name

    @property
    def endpoints(self) -> Endpoints:
        """Where the services listen on this machine."""
        urls = {
            name: f"http://127.0.0.1:{self._containers[service].ports[inside]}"
            for name, (service, _, _, inside) in _PORTS.items()
            if service in self._containers
        }
        return Endpoints(**urls)

    def enforced_cpus(self, role: str) -> float | None:
        """The CPU limit in cores that Docker enforces on a version; None: none."""
        return self._containers[role].cpus

    def cpu_usage(self, role: str) -> CpuUsage | None:
        """The throttling counters that a version reads from its own cgroup; None where it shows none."""
        answer = get(f"{getattr(self.endpoints, role)}/metrics", timeout=5)
        if answer is None or answer.status != 200:
            return None
        values = {
            sample.name: int(sample.value)
            for family in text_string_to_metric_families(answer.body)
            for sample in family.samples
            if family.name.startswith("loadproof_cpu_")
        }
        try:
            return CpuUsage(
                values["loadproof_cpu_periods_total"], values["loadproof_cpu_throttled_periods_total"]
            )
        except KeyError:
            return None

    def set_split(self, percent: float) -> None:
        """Send this share (0 to 100) of unpinned traffic to the candidate.

        Raises:
            LabError: the gateway did not take it over.
        """
        self._routes = Routes(percent, timeout=self._routes.timeout)
        write_routes(self._folder / ROUTES, self._routes)
        confirm_routes(self.endpoints.gateway, self._routes, within=5.0)

    def launch_load(self, job: Path) -> ComposeLoad:
        """Start the load generator in a container beside the gateway.

        Args:
            job: folder with ``experiment.toml``, whose ``data.path`` is absolute.

        Raises:
            LabError: the container cannot be made.
            UsageError: the experiment cannot be read, or the container may not read the evaluation set.
        """
        experiment = Experiment.load_file(str(job / "experiment.toml"))
        data, load = experiment.data.path, experiment.load
        require_readable(data)
        if used := self._project.containers().get("load"):
            # with its volume: no file of an earlier job may pass for one of this
            self._docker.run("rm", "--force", "--volumes", used.id, timeout=30)
        override = write_load_override(self._folder, data)
        project = Project(self._docker, self._project.name, (*self._project.files, override))
        project.compose("create", "--no-build", "--pull", "never", "load", timeout=60)
        self._load = ComposeLoad(
            self._docker, project.containers()["load"], job, 3 * (load.warmup + load.duration) + _LOAD_SLACK
        )
        return self._load

    def check(self) -> None:
        """Look whether every service still runs, and whether the load, if it ended, ended well.

        Raises:
            ServiceDied: one does not; carries its name and the last lines of its log.
        """
        containers = self._project.containers()
        for service in self._services:
            container = containers.get(service)
            fault = container.fault() if container else "is gone"
            if fault:
                raise ServiceDied(f"{service} {fault}", self._project.log(container) if container else ())
        load = containers.get("load")
        if load and load.state["Status"] != "running" and load.state["ExitCode"] not in _LOAD_CODES:
            raise ServiceDied(f"load {load.fault()}", self._project.log(load))

    def environment(self) -> dict[str, object]:
        """Facts for ``environment.json``: the Engine, the limits as Docker enforces them, the images."""
        versions = self._docker.versions()
        return {
            "backend": self.backend,
            "engine": versions.engine,
            "compose": versions.compose,
            "limits": {
                v.role: {"cpus": self._containers[v.role].cpus, "memory": self._containers[v.role].memory}
                for v in self._versions
            },
            "images": {service: container.image for service, container in self._containers.items()},
        }

    def _start(self) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._up()
                break
            except LabError as error:
                # somebody took a port in the meantime
                taken = any(words in str(error) for words in _PORT_TAKEN)
                if not taken or attempt + 1 == _ATTEMPTS:
                    raise self._explain(error) from None
        self._containers = self._project.containers()
        deadline = time.monotonic() + _REACH_SECONDS
        for version in self._versions:
            while not self._reaches(version.role):
                if time.monotonic() > deadline:
                    raise StartError(
                        f"the gateway does not reach {version.role}",
                        self._project.log(self._containers["gateway"]),
                    )
                time.sleep(0.1)

    def _reaches(self, role: str) -> bool:
        """Whether a request that is pinned to a version comes back from it through the gateway."""
        url = f"{self.endpoints.gateway}/v2/health/ready"
        answer = get(url, timeout=2, headers={"x-model-version": role})
        return answer is not None and answer.status == 200 and answer.headers.get("x-model-version") == role

    def _up(self) -> None:
        ports: dict[str, str] = {}
        for variable, usual in ((v, usual) for s, v, usual, _ in _PORTS.values() if s in self._services):
            # fixed, where Docker's own choice would change with every restart of the container
            port = free_port(usual)
            while str(port) in ports.values():
                port = free_port()
            ports[variable] = str(port)
        self._project.compose(
            *("up", "--detach", "--no-deps", "--no-build", "--pull", "never"),
            *("--wait", "--wait-timeout", str(_START_SECONDS), *self._services),
            timeout=_START_SECONDS + 60,
            environment=ports,
        )

    def _explain(self, error: LabError) -> StartError:
        """The same failure by the name and the log of the service that caused it."""
        for container in self._project.containers().values():
            fault = container.fault()
            if fault and container.state["Status"] != "created":
                return StartError(
                    f"{container.service} did not start: it {fault}", self._project.log(container)
                )
            if container.state.get("Health", {}).get("Status") == "starting":
                return StartError(
                    f"{container.service} was not ready within {_START_SECONDS} s",
                    self._project.log(container),
                )
        return StartError(f"the lab did not start: {error}", error.log)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold off further Ctrl-C for the clean-up, which is bounded in time."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    # a handler, where SIG_IGN would be inherited by the commands that clean up
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
