"""The lab as local processes: the same services as on Compose, supervised, limited through cgroups."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

from loadtest.config import Experiment
from loadtest.errors import ServiceDied, StartError
from loadtest.lab import prometheus
from loadtest.lab.envoy import GATEWAY_FOLDER, Routes, confirm_routes, find_envoy, render, write_routes
from loadtest.lab.free_ports import HOST, free_port
from loadtest.lab.limits import limits_for
from loadtest.lab.local_load import LocalLoad
from loadtest.lab.ports import CpuUsage, Endpoints, Version
from loadtest.lab.probe import get
from loadtest.lab.supervisor import Service, Supervisor

ROOT = Path(__file__).parents[2]
"""The repository: from here the services can be imported."""

_START_ATTEMPTS = 3
_POLL = 0.05
_LOAD_SLACK = 600.0


class LocalLab:
    """Both versions, their gateway and, if it is on the PATH, Prometheus as processes of this machine.

    ::

        with LocalLab(versions, Path("/tmp/lab"), "shop") as lab:
            lab.set_split(50)
            requests.get(f"{lab.endpoints.gateway}/v2/models/shop")

    A version is ready when it says so itself and a request pinned to it comes back through the gateway.

    Args:
        versions: stable and candidate.
        folder: for logs, configuration and Prometheus's data; made when absent, kept afterwards.
        model: name of the model that both serve.
        gateway_port: preferred; another one is taken when it is in use.
        start_seconds: until a service must be ready.
        server: command of the model server, without ``--model-dir``, ``--host`` and ``--port``.
        load: command of the load generator, without ``--job`` and ``--host``.
        routes: what the gateway does at first.
        with_prometheus: start Prometheus where it is on the PATH.
    """

    backend: Literal["compose", "local"] = "local"

    def __init__(
        self,
        versions: tuple[Version, Version],
        folder: Path,
        model: str,
        *,
        gateway_port: int = 8080,
        start_seconds: float = 120.0,
        server: Sequence[str] = (sys.executable, "-m", "services.model_server"),
        load: Sequence[str] = (sys.executable, "-m", "loadtest.load"),
        routes: Routes | None = None,
        with_prometheus: bool = True,
    ) -> None:
        self._versions: dict[str, Version] = {version.role: version for version in versions}
        self._folder = folder.absolute()
        self._model = model
        self._gateway_port = gateway_port
        self._start_seconds = start_seconds
        self._server = tuple(server)
        self._load_command = tuple(load)
        self._routes = routes or Routes()
        self._prometheus = shutil.which("prometheus") if with_prometheus else None
        self._ports: dict[str, int] = {}
        self._services: dict[str, Service] = {}
        self._load: LocalLoad | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises:
            StartError: a service did not become ready; what was started is stopped again.
        """
        (self._folder / "routes").mkdir(parents=True, exist_ok=True)
        with ExitStack() as starting:
            self._supervisor = starting.enter_context(Supervisor(self._folder, ROOT))
            for role in self._versions:
                self._start(role)
            for role in self._versions:
                self._await(role)
            write_routes(self._folder / "routes", self._routes)
            for name in ("gateway", *(("prometheus",) if self._prometheus else ())):
                self._start(name)
                self._await(name)
            self._cleanup = starting.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop what this lab started, the load first and stable last."""
        self._cleanup.close()
        if self._load:
            self._load.close()

    @property
    def endpoints(self) -> Endpoints:
        """Where the services listen."""
        return Endpoints(
            self._url("gateway"),
            self._url("stable"),
            self._url("candidate"),
            self._url("prometheus") if "prometheus" in self._ports else None,
            self._url("stats"),
        )

    def enforced_cpus(self, role: str) -> float | None:
        """The CPU limit that the kernel has in force for a version's process; None when there is none."""
        service = self._services[role]
        return service.limits.cpus(service.process.pid)

    def cpu_usage(self, role: str) -> CpuUsage | None:
        """The throttling counters of a version's cgroup now; None where there is none."""
        return self._services[role].limits.cpu_usage()

    def set_split(self, percent: float) -> None:
        """Send this share (0 to 100) of unpinned traffic to the candidate, and wait until it is in force.

        Raises:
            LabError: the gateway did not take it over.
        """
        self._routes = Routes(percent, timeout=self._routes.timeout)
        write_routes(self._folder / "routes", self._routes)
        confirm_routes(self.endpoints.gateway, self._routes, within=5.0)

    def launch_load(self, job: Path) -> LocalLoad:
        """Start the load generator on a job folder; its standard error goes to ``load.log``.

        Args:
            job: folder with ``experiment.toml``.

        Raises:
            ExperimentError: the job's experiment cannot be read.
        """
        job = job.absolute()
        load = Experiment.load_file(str(job / "experiment.toml")).load
        command = [*self._load_command, "--job", str(job), "--host", self.endpoints.gateway]
        service = self._supervisor.start("load", command, stdout=subprocess.PIPE, essential=False)
        # references and rows take their time before the load: the bound only ends a run that hangs
        self._load = LocalLoad(service, self._supervisor, 3 * (load.warmup + load.duration) + _LOAD_SLACK)
        return self._load

    def check(self) -> None:
        """Look whether every service still runs, and whether the load, if it ended, ended well.

        Raises:
            ServiceDied: one does not; carries its name and the last lines of its log.
        """
        self._supervisor.check()
        if self._load and (how := self._load.failure()):
            raise ServiceDied(f"load {how}", self._load.tail())

    def environment(self) -> dict[str, object]:
        """Facts for ``environment.json``: limits as the kernel has them in force, and what runs."""
        envoy = subprocess.run([str(find_envoy()), "--version"], capture_output=True, text=True, check=True)
        return {
            "backend": self.backend,
            "limits": {role: self._limits(self._services[role]) for role in self._versions},
            "envoy": (re.findall(r"\d+\.\d+\.\d+", envoy.stdout) or [envoy.stdout.strip()])[0],
            "kernel": platform.release(),
        }

    def _start(self, name: str) -> None:
        self._ports[name] = free_port(self._gateway_port if name == "gateway" else 0)
        if name in self._versions:
            version = self._versions[name]
            argv = [*self._server, "--model-dir", str(version.folder.absolute()), "--host", HOST]
            limits = limits_for(name, version.cpus, version.memory, self._supervisor.will_make)
            # a version starts at full speed, inside its cgroup, and is limited as soon as it is ready
            limits.lift()
            self._services[name] = self._supervisor.start(
                name,
                [*argv, "--port", str(self._ports[name])],
                limits=limits,
                # the server reads it as its --version, and it is a name that other tools set
                env={"VERSION": ""},
            )
        elif name == "gateway":
            access_log = self._folder / "gateway-access.log"
            self._services[name] = self._supervisor.start(name, self._gateway_command(), stdout=access_log)
        else:
            self._services[name] = self._supervisor.start(name, self._prometheus_command())

    def _await(self, name: str) -> None:
        """Wait until a service is ready; start it again where somebody else took its port meanwhile."""
        deadline = time.monotonic() + self._start_seconds
        attempts = 1
        while not (self._is_ready(name) and self._services[name].listens(self._ports[name])):
            service = self._services[name]
            how = service.ended()
            if how is None and time.monotonic() < deadline:
                time.sleep(_POLL)
                continue
            how = how or f"was not ready within {self._start_seconds:g} s"
            tail = service.tail()
            self._supervisor.stop(service)
            if attempts == _START_ATTEMPTS or "address already in use" not in "\n".join(tail).lower():
                raise StartError(f"{name} did not start: it {how}", tail)
            attempts += 1
            self._start(name)
        self._services[name].limits.enforce()

    def _is_ready(self, name: str) -> bool:
        if name == "gateway":
            return all(self._pinned(role) for role in self._versions)
        path = "/-/ready" if name == "prometheus" else "/v2/health/ready"
        answer = get(self._url(name) + path, timeout=2.0)
        return answer is not None and answer.status == 200

    def _pinned(self, role: str) -> bool:
        url = f"{self._url('gateway')}/v2/models/{self._model}/ready"
        answer = get(url, timeout=2.0, headers={"x-model-version": role})
        return bool(answer and answer.status == 200 and answer.headers.get("x-model-version") == role)

    def _gateway_command(self) -> list[str]:
        self._ports["admin"], self._ports["stats"] = free_port(), free_port()
        values: dict[str, str | int] = {
            **{f"{name}_ADDRESS": HOST for name in ("LISTEN", "ADMIN", "STATS")},
            **{f"{name}_HOST": HOST for name in ("STABLE", "CANDIDATE")},
            **{
                f"{name.upper()}_PORT": self._ports[name]
                for name in ("admin", "stats", "stable", "candidate")
            },
            "LISTEN_PORT": self._ports["gateway"],
            "ROUTES_DIR": str(self._folder / "routes"),
        }
        config = self._folder / "envoy.yaml"
        config.write_text(render((GATEWAY_FOLDER / "envoy.yaml").read_text(encoding="utf-8"), values))
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        return [str(find_envoy()), "-c", str(config), *options]

    def _prometheus_command(self) -> list[str]:
        config = self._folder / "prometheus.json"
        versions = {role: self._ports[role] for role in self._versions}
        config.write_text(prometheus.scrape_config(versions, self._ports["stats"], HOST))
        address = f"{HOST}:{self._ports['prometheus']}"
        return prometheus.command(str(self._prometheus), config, self._folder / "prometheus", address)

    def _url(self, name: str) -> str:
        return f"http://{HOST}:{self._ports[name]}"

    @staticmethod
    def _limits(service: Service) -> dict[str, object]:
        pid = service.process.pid
        return {
            "cpus": service.limits.cpus(pid),
            "memory": service.limits.memory(pid),
            "by": service.limits.how,
        }
