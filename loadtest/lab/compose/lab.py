"""The lab on Docker Compose: ``compose.yaml`` in a project of its own, so that several can run at once."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from contract.headers import MODEL_VERSION
from contract.metric_names import CPU_PERIODS, CPU_THROTTLED_PERIODS
from loadtest.data.exposition import read_exposition
from loadtest.data.run_folder import EXPERIMENT
from loadtest.errors import LabError, ServiceDied, StartError
from loadtest.experiment.experiment import Experiment, Fault
from loadtest.experiment.role import Role
from loadtest.fetch import get, page
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.images import require_image
from loadtest.lab.compose.load_container import ComposeLoad
from loadtest.lab.compose.override import require_readable, write_load_override, write_override
from loadtest.lab.compose.project import COMPOSE_FILE, Container, Project
from loadtest.lab.compose.start import PORTS, start
from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.gateway.folder_store import FolderStore
from loadtest.lab.gateway.route_change import RouteChange
from loadtest.lab.interface import Endpoints, Version, require_cpus
from loadtest.lab.interrupts import interrupts_deferred
from loadtest.lab.leftovers import LabNote, new_folder
from loadtest.lab.remote_workers import RemoteWorkers
from loadtest.lab.services.feedback import lab_token
from loadtest.lab.services.load_generator import did_its_job, load_ended, longest
from loadtest.lab.services.server_faults import ServerFaults

# a version that was restarted loads its model first
_REACH_SECONDS = 120.0


class ComposeLab:
    """Both versions, their gateway and Prometheus as containers: ``with ComposeLab(versions) as lab: ...``.

    The images must be there (``images.provide_images``). Per lab there are a project name, a generated
    override file, and host ports: the usual ones, or others that are free.

    **The canary's state** and the routes that derive from it lie in a folder of this machine, bound into
    the gateway: a change is a write and a rename here, which the kernel shows to Envoy's watch inside the
    container at once. No Docker command is on that way (``docker exec`` takes some 100 ms and fails when the
    Engine is busy), so that a rollback takes milliseconds. After a plain ``docker compose up`` the same files
    lie on the volume ``routes``; see ``volume_store``. ``allow_faults`` is the model whose server may be made
    slow, wrong or failing. For the others see ``LabRequest``.
    """

    backend: str = "compose"

    def __init__(
        self,
        versions: tuple[Version, ...],
        docker: Docker | None = None,
        *,
        prometheus: bool = True,
        state: Path | None = None,
        percent: float = 10.0,
        allow_faults: str = "",
        own_images: Mapping[Role, str] | None = None,
        workers: RemoteWorkers | None = None,
    ) -> None:
        self._versions = versions
        self._docker = docker or Docker()
        self._services = [*(v.role for v in versions), "gateway", *(["prometheus"] if prometheus else [])]
        self._state = state
        self._percent = percent
        self._allow_faults = allow_faults
        self._own_images = own_images or {}
        self._workers = workers
        self.feedback_token = lab_token()
        self._faults = ServerFaults(lambda role: self.endpoints.of(role))
        self._stricken: set[str] = set()
        # a pause ends Docker's health check, and the next one is a day away: see write_override
        self._resumed: set[str] = set()
        self._folder = Path()
        self._project = Project(self._docker, f"loadproof-{secrets.token_hex(4)}", ())
        self._containers: dict[str, Container] = {}
        self._load: ComposeLoad | None = None

    def __enter__(self) -> Self:
        for version in self._versions:
            if version.image:
                require_image(self._docker, version.image, version.role)
            else:
                require_readable(version.folder)
        self._folder = new_folder()
        self._note = LabNote(backend=self.backend, project=self.name, folder=str(self._folder))
        self._folder.mkdir(mode=0o700)
        state = (self._state or self._folder / "routes").absolute()
        state.mkdir(parents=True, exist_ok=True)
        # whatever this person's umask is, the gateway reads it
        state.chmod(0o755)
        self.canary = FolderStore(
            state,
            RouteChange(
                lambda: self.endpoints.gateway,
                lambda: {v.role: f"{v.role}:{PORTS[v.role].inside}" for v in self._versions},
            ),
        )
        self.canary.take_up({v.role: v.name for v in self._versions}, self._percent)
        override = write_override(
            self._folder,
            self._versions,
            state,
            self._allow_faults,
            self._own_images,
            self.feedback_token,
            self._workers,
        )
        self._project = Project(self._docker, self._project.name, (COMPOSE_FILE, override))
        try:
            self._containers = start(self._project, self._services)
            for version in self._versions:
                self._reach(version.role)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        broken = next((error for error in exc if isinstance(error, BaseException)), None)
        with interrupts_deferred(drop=True):
            try:
                self._project.remove()
                self._note.close()
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
            for name, (service, _, _, inside) in PORTS.items()
            if service in self._containers
        }
        return Endpoints(**urls)

    def enforced_cpus(self, role: Role) -> float | None:
        """The CPU limit in cores that Docker enforces on a version; None: none."""
        return self._containers[role].cpus

    def set_cpus(self, role: Role, cpus: float) -> None:
        """Give a running version another CPU limit, in cores.

        Raises:
            LabError: it is not in force afterwards.
        """
        self._docker.run("update", "--cpus", f"{cpus:g}", self._containers[role].id, timeout=30)
        self._containers = self._project.containers()
        require_cpus(role, cpus, self.enforced_cpus(role))

    def cpu_usage(self, role: Role) -> CpuUsage | None:
        """The throttling counters that a version reads from its own cgroup; None where it shows none."""
        values = read_exposition(page(f"{self.endpoints.of(role)}/metrics"))
        try:
            return CpuUsage(int(values[CPU_PERIODS]), int(values[CPU_THROTTLED_PERIODS]))
        except KeyError:
            return None

    def inject(self, role: Role, fault: Fault) -> None:
        """Make a version fail; see ``Lab.inject``."""
        if fault.by_server:
            self._faults.inject(role, fault)
            return
        self._stricken.add(role)
        verb = ("kill", "--signal", "KILL") if fault.kind == "killed" else ("pause",)
        self._docker.run(*verb, self._containers[role].id, timeout=30)

    def heal(self, role: Role) -> None:
        """End every fault of a version; see ``Lab.heal``."""
        if self._project.containers()[role].state["Status"] == "paused":
            self._docker.run("unpause", self._containers[role].id, timeout=30)
            self._resumed.add(role)
        elif role in self._stricken:
            self.restart(role)
        self._stricken.discard(role)
        self._faults.heal(role)
        self._reach(role)

    def ended(self) -> list[str]:
        """The services that ended by themselves."""
        containers = self._project.containers()
        return [
            service
            for service in self._services
            if service not in self._stricken
            and (service not in containers or containers[service].state["Status"] == "exited")
        ]

    def restart(self, service: str) -> None:
        """Start a container again on its port; see ``Lab.restart``."""
        self._docker.run("restart", "--time", "5", self._containers[service].id, timeout=60)
        self._stricken.discard(service)
        self._resumed.discard(service)
        self._faults.forget(service)
        for version in self._versions:
            if service in (version.role, "gateway"):
                self._reach(version.role)

    def launch_load(self, job: Path) -> ComposeLoad:
        """Start the load generator in a container beside the gateway.

        Raises:
            LabError: the container cannot be made.
            UsageError: the experiment cannot be read, or the container may not read the evaluation set.
        """
        experiment = Experiment.load_file(str(job / EXPERIMENT))
        data = experiment.data.path
        require_readable(data)
        if used := self._project.containers().get("load"):
            # with its volume: no file of an earlier job may pass for one of this
            self._docker.run("rm", "--force", "--volumes", used.id, timeout=30)
        override = write_load_override(
            self._folder, data, self.feedback_token, self._workers, self._gateway_of_workers()
        )
        project = Project(self._docker, self._project.name, (*self._project.files, override))
        project.compose("create", "--no-build", "--pull", "never", "load", timeout=60)
        limit = longest(experiment) + (self._workers.max_wait if self._workers else 0.0)
        self._load = ComposeLoad(self._docker, project.containers()["load"], job, limit)
        return self._load

    def _gateway_of_workers(self) -> str:
        port = self._containers["gateway"].ports[PORTS["gateway"].inside]
        return f"http://{self._workers.host}:{port}" if self._workers else ""

    def check(self) -> None:
        """Look whether every service still runs, and whether the load, if it ended, ended well.

        Raises:
            ServiceDied: one does not; carries its name and the last lines of its log.
        """
        containers = self._project.containers()
        for service in self._services:
            if service in self._stricken:
                continue
            container = containers.get(service)
            fault = container.fault(health=service not in self._resumed) if container else "is gone"
            if fault:
                log = self._project.log(container) if container else ()
                raise ServiceDied(f"{service} {fault}", log, service)
        load = containers.get("load")
        asked = self._load is not None and self._load.stopped
        done = load is None or load.state["Status"] == "running"
        if load and not (done or did_its_job(load.state["ExitCode"], asked=asked)):
            raise load_ended(str(load.fault()), self._project.log(load), elsewhere=self._workers is not None)

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

    def _reach(self, role: Role) -> None:
        """Wait until the gateway reaches a version.

        Raises:
            StartError: it does not in time.
        """
        deadline = time.monotonic() + _REACH_SECONDS
        while not self._reaches(role):
            if time.monotonic() > deadline:
                raise StartError(
                    f"the gateway does not reach {role}", self._project.log(self._containers["gateway"])
                )
            time.sleep(0.1)

    def _reaches(self, role: Role) -> bool:
        """Whether a request that is pinned to a version comes back from it through the gateway."""
        url = f"{self.endpoints.gateway}/v2/health/ready"
        answer = get(url, timeout=2, headers={MODEL_VERSION: role})
        return answer is not None and answer.status == 200 and answer.headers.get(MODEL_VERSION) == role
