"""The lab as local processes: the same services as on Compose, supervised, limited through cgroups."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from contract.feedback_token import VARIABLE
from contract.headers import MODEL_VERSION
from loadtest.errors import StartError
from loadtest.experiment.experiment import Fault
from loadtest.experiment.role import Role
from loadtest.fetch import get, page
from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.free_ports import HOST, free_port
from loadtest.lab.gateway.folder_store import FolderStore
from loadtest.lab.gateway.route_change import TARGETS_FILE, RouteChange
from loadtest.lab.interface import Endpoints, Version, require_cpus
from loadtest.lab.local.envoy import find_envoy, gateway_command
from loadtest.lab.local.prometheus import prometheus_command
from loadtest.lab.processes.limits import LARGE_PAGES, limits_for
from loadtest.lab.processes.load_process import COMMAND, LocalLoad
from loadtest.lab.processes.supervisor import ROOT, Service, Supervisor, hint
from loadtest.lab.remote_workers import RemoteWorkers
from loadtest.lab.services.feedback import lab_token
from loadtest.lab.services.server_faults import ServerFaults

_START_ATTEMPTS = 8
"""Beside much other work a free port is taken before Envoy listens, even three times in a row."""
_CANNOT_LISTEN = f"cannot listen() errno={errno.EADDRINUSE}"
"""Envoy's word where somebody took its port between bind and listen; it stays, and never is ready."""
_POLL = 0.05


class LocalLab:
    """Both versions, their gateway and, if it is on the PATH, Prometheus as processes of this machine.

    ::

        with LocalLab(versions, Path("/tmp/lab"), "shop") as lab:
            lab.canary.update(lambda state: state.set(50, sign("half of it")))
            requests.get(f"{lab.endpoints.gateway}/v2/models/shop")

    A version is ready when it says so itself and a request pinned to it comes back through the gateway.
    ``folder`` keeps logs, configuration and Prometheus's data; ``server`` and ``load`` are commands without
    what names the model, the job and the addresses; a service must be ready within ``start_seconds``
    of ``clock``; ``pythons`` are the interpreters of versions with packages of their own. For the others see
    ``LabRequest``.
    """

    backend: str = "local"

    def __init__(
        self,
        versions: tuple[Version, ...],
        folder: Path,
        model: str,
        *,
        gateway_port: int = 8080,
        start_seconds: float = 120.0,
        server: Sequence[str] = (sys.executable, "-m", "services.model_server"),
        load: Sequence[str] = COMMAND,
        state: Path | None = None,
        percent: float = 10.0,
        allow_faults: bool = False,
        with_prometheus: bool = True,
        pythons: Mapping[Role, Path] | None = None,
        workers: RemoteWorkers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._versions: dict[str, Version] = {version.role: version for version in versions}
        self._folder = folder.absolute()
        self._model = model
        self._gateway_port = gateway_port
        self._start_seconds = start_seconds
        self._server = tuple(server)
        self._load_command = tuple(load)
        self._state = (state or self._folder / "routes").absolute()
        self._percent = percent
        self._allow_faults = allow_faults
        self._workers = workers
        self._clock = clock
        self._pythons: Mapping[Role, Path] = pythons or {}
        self.canary = FolderStore(
            self._state,
            RouteChange(
                lambda: self._url("gateway"),
                lambda: {v.role: f"{HOST}:{self._ports[v.role]}" for v in versions},
            ),
        )
        self.feedback_token = lab_token()
        self._secrets = {VARIABLE: self.feedback_token}
        self._faults = ServerFaults(lambda role: self._url(role))
        self._killed: set[str] = set()
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
        for folder in (self._folder, self._state):
            folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as starting:
            self._supervisor = starting.enter_context(Supervisor(self._folder, ROOT))
            for role in self._versions:
                self._start(role)
            for role in self._versions:
                self._await(role)
            self.canary.take_up({v.role: v.name for v in self._versions.values()}, self._percent)
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
        return Endpoints(**{name: self._url(name) for name in self._ports if name != "admin"})

    def enforced_cpus(self, role: Role) -> float | None:
        """The CPU limit that the kernel has in force for a version's process; None when there is none."""
        service = self._services[role]
        return service.limits.cpus(service.process.pid)

    def set_cpus(self, role: Role, cpus: float) -> None:
        """Give a running version another CPU limit, in cores; LabError: it is not in force afterwards."""
        self._services[role].limits.change(cpus)
        require_cpus(role, cpus, self.enforced_cpus(role))

    def cpu_usage(self, role: Role) -> CpuUsage | None:
        """The throttling counters of a version's cgroup now; None where there is none."""
        return self._services[role].limits.cpu_usage()

    def inject(self, role: Role, fault: Fault) -> None:
        """Make a version fail; see ``Lab.inject``."""
        if fault.by_server:
            self._faults.inject(role, fault)
            return
        service = self._services[role]
        service.essential = False
        # the whole group: a worker must not go on for a moment without its parent
        os.killpg(service.process.pid, signal.SIGKILL if fault.kind == "killed" else signal.SIGSTOP)
        if fault.kind == "killed":
            self._killed.add(role)
            service.process.wait()
        else:
            # its other threads go on answering until the one that is to take the signal gets a core
            os.waitid(os.P_PID, service.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def heal(self, role: Role) -> None:
        """End every fault of a version; see ``Lab.heal``."""
        service = self._services[role]
        if role in self._killed or service.ended():
            self.restart(role)
        else:
            os.killpg(service.process.pid, signal.SIGCONT)
            service.essential = True
            self._faults.heal(role)
            self._await(role)

    def ended(self) -> list[str]:
        """The services that ended by themselves."""
        return [n for n, service in self._services.items() if service.ended() and n not in self._killed]

    def restart(self, service: str) -> None:
        """Start a service again on its port; see ``Lab.restart``."""
        self._supervisor.stop(self._services[service])
        self._killed.discard(service)
        self._faults.forget(service)
        self._start(service)
        self._await(service)

    def launch_load(self, job: Path) -> LocalLoad:
        """Start the load generator on a job folder; see ``LocalLoad``."""
        self._load = LocalLoad(
            self._supervisor,
            self._load_command,
            job,
            self.endpoints.gateway,
            self._secrets,
            self._workers,
        )
        return self._load

    def check(self) -> None:
        """Look whether every service still runs, and whether the load, if it ended, ended well.

        Raises:
            ServiceDied: one does not; carries its name and the last lines of its log.
        """
        self._supervisor.check()
        if self._load:
            self._load.check()

    def environment(self) -> dict[str, object]:
        """Facts for ``environment.json``: limits as the kernel has them in force, and what runs."""
        envoy = subprocess.run([str(find_envoy()), "--version"], capture_output=True, text=True, check=True)
        return {
            "backend": self.backend,
            "limits": {role: self._services[role].enforced() for role in self._versions},
            "envoy": (re.findall(r"\d+\.\d+\.\d+", envoy.stdout) or [envoy.stdout.strip()])[0],
            "kernel": platform.release(),
        }

    def _start(self, name: str) -> None:
        self._draw(name, self._gateway_port if name == "gateway" else 0)
        if name in self._versions:
            version = self._versions[name]
            server = [str(self._pythons.get(version.role, self._server[0])), *self._server[1:]]
            argv = [*server, "--model-dir", str(version.folder.absolute()), "--host", HOST]
            limits = limits_for(name, version.cpus, version.memory, self._supervisor.will_make)
            # a version starts at full speed, inside its cgroup, and is limited as soon as it is ready
            limits.lift()
            self._services[name] = self._supervisor.start(
                name,
                [*argv, "--port", str(self._ports[name])],
                limits=limits,
                # the server reads VERSION as its --version, and it is a name that other tools set
                env={
                    "VERSION": "",
                    "ALLOW_FAULTS": self._model if self._allow_faults else "",
                    **self._secrets,
                    **LARGE_PAGES,
                },
            )
        elif name == "gateway":
            access_log = self._folder / "gateway-access.log"
            for listener in ("admin", "stats"):
                self._draw(listener)
            command = gateway_command(self._folder, self._state, self._ports, self._host("gateway"))
            self._services[name] = self._supervisor.start(name, command, stdout=access_log)
        else:
            command = prometheus_command(
                str(self._prometheus), self._folder, self._state / TARGETS_FILE, self._ports
            )
            self._services[name] = self._supervisor.start(name, command)

    def _draw(self, name: str, preferred: int = 0) -> None:
        """Choose a port, the last one if it is still free; not one of those on which nobody listens yet."""
        others = [port for other, port in self._ports.items() if other != name]
        self._ports[name] = free_port(self._ports.get(name, preferred), others)

    def _await(self, name: str) -> None:
        """Wait until a service is ready; start it again where somebody else took its port meanwhile."""
        deadline = self._clock() + self._start_seconds
        attempts = 1
        while not (self._is_ready(name) and self._services[name].listens(self._ports[name])):
            service = self._services[name]
            how, tail = service.ended(), service.tail()
            lost = any(_CANNOT_LISTEN in line for line in tail)
            if how is None and not lost and self._clock() < deadline:
                time.sleep(_POLL)
                continue
            how = how or ("lost its port" if lost else f"was not ready within {self._start_seconds:g} s")
            self._supervisor.stop(service)
            taken = lost or "address already in use" in "\n".join(tail).lower()
            if attempts == _START_ATTEMPTS or not taken:
                raise StartError(f"{name} did not start: it {how}{hint(service)}", tail)
            attempts += 1
            self._start(name)
        self._services[name].limits.enforce()

    def _is_ready(self, name: str) -> bool:
        if name == "gateway":
            return all(self._pinned(role) for role in self._versions)
        path = "/-/ready" if name == "prometheus" else "/v2/health/ready"
        return page(self._url(name) + path, timeout=2.0) is not None

    def _pinned(self, role: str) -> bool:
        url = f"{self._url('gateway')}/v2/models/{self._model}/ready"
        answer = get(url, timeout=2.0, headers={MODEL_VERSION: role})
        return bool(answer and answer.status == 200 and answer.headers.get(MODEL_VERSION) == role)

    def _url(self, name: str) -> str:
        return f"http://{self._host(name)}:{self._ports[name]}"

    def _host(self, name: str) -> str:
        """Only the gateway is for others: workers on other machines reach it where they reach the master."""
        return self._workers.host if self._workers and name == "gateway" else HOST
