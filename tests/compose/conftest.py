"""Real containers: the whole lab of ``compose.yaml`` once, and one lab of the loadproof command beside it."""

import contextlib
import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.errors import StartError
from loadtest.lab.compose.docker_cli import Docker
from loadtest.lab.compose.images import provide_images
from loadtest.lab.compose.lab import ComposeLab
from loadtest.lab.compose.project import COMPOSE_FILE, Project
from loadtest.lab.free_ports import free_port
from loadtest.lab.interface import Version

WORKERS = 3
SERVICES = ("stable", "candidate", "gateway", "locust-master", "locust-worker", "prometheus")
PORTS = ("GATEWAY_PORT", "STATS_PORT", "STABLE_PORT", "CANDIDATE_PORT", "LOCUST_PORT", "PROMETHEUS_PORT")


@pytest.fixture(scope="session")
def docker():
    client = Docker()
    try:
        client.versions()
    except StartError as error:
        pytest.skip(str(error))
    return client


@dataclass(frozen=True)
class Stack:
    """``docker compose up``, as a person would run it, and every container as Docker describes it."""

    project: Project
    inspect: list[dict]

    def of(self, service: str) -> list[dict]:
        return [d for d in self.inspect if d["Config"]["Labels"]["com.docker.compose.service"] == service]

    def url(self, service: str, port: int) -> str:
        binding = self.of(service)[0]["NetworkSettings"]["Ports"][f"{port}/tcp"][0]
        return f"http://{binding['HostIp']}:{binding['HostPort']}"


@pytest.fixture(scope="session")
def stack(docker):
    project = Project(docker, f"loadproof-test-{secrets.token_hex(3)}", (COMPOSE_FILE,))
    try:
        project.compose("build", *SERVICES, "trainer", timeout=900)
        project.compose(
            *("up", "--detach", "--wait", "--wait-timeout", "240", "--pull", "never"),
            *("--scale", f"locust-worker={WORKERS}", *SERVICES),
            timeout=300,
            # whichever ports are free: another lab may run here; the gateway's stays when it starts again
            environment=dict.fromkeys(PORTS, "0") | {"GATEWAY_PORT": str(free_port())},
        )
        ids = docker.run(
            "ps", "-aq", "--filter", f"label=com.docker.compose.project={project.name}", timeout=30
        ).split()
        yield Stack(project, json.loads(docker.run("inspect", *ids, timeout=30)))
    finally:
        project.remove()
        assert project.leftovers() == []


@pytest.fixture(scope="session")
def models(docker, stack, tmp_path_factory) -> Path:
    """What the trainer of the stack made, on this machine."""
    folder = tmp_path_factory.mktemp("models")
    docker.run("cp", f"{stack.of('stable')[0]['Id']}:/models/.", str(folder), timeout=60)
    return folder


@pytest.fixture(scope="session")
def open_lab(docker, models):
    """``open_lab("v1", "v2")``: a lab to be entered."""
    provide_images(docker, lambda _: None)

    def make(stable: str, candidate: str) -> ComposeLab:
        folders = {"stable": stable, "candidate": candidate}
        versions = tuple(Version(role, models / "shop" / name, 0.25, 2**29) for role, name in folders.items())
        return ComposeLab(versions, docker)

    return make


@pytest.fixture(scope="session")
def lab(docker, open_lab):
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # the gateway's usual port is in use, by us if by nobody else
        with contextlib.suppress(OSError):
            squatter.bind(("127.0.0.1", 8080))
            squatter.listen()
        with open_lab("v1", "v2") as running:
            yield running
            volumes = volumes_of(docker, running)
    assert Project(docker, running.name, ()).leftovers() == []
    assert not volumes & set(docker.run("volume", "ls", "-q", timeout=30).split())


def volumes_of(docker, lab) -> set[str]:
    """Every volume of a lab's containers, those without a label included."""
    ids = docker.run(
        "ps", "-aq", "--filter", f"label=com.docker.compose.project={lab.name}", timeout=30
    ).split()
    found = json.loads(docker.run("inspect", *ids, timeout=30))
    return {mount["Name"] for d in found for mount in d["Mounts"] if mount["Type"] == "volume"}


@pytest.fixture
def gone(docker):
    """``gone(name)``: nothing of that Compose project is there."""

    def check(name: str) -> bool:
        return Project(docker, name, ()).leftovers() == []

    return check
