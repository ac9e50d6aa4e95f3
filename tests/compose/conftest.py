"""Real containers: the whole lab of ``compose.yaml`` once, and one lab of the loadproof command beside it.

No test uses both, so that each may be in a process of its own (``tests/conftest.py``). Both end with the last
test of this folder in their process, and cost no time afterwards.
"""

import contextlib
import fcntl
import json
import secrets
import shutil
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
from tests.compose.own_images import remove_images
from tests.integration.tiny_model import tiny
from tests.locks import ENGINE, locked

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


@pytest.fixture(scope="package")
def images(docker, testrun_uid, tmp_path_factory):
    """All of our images, under a tag of this test run: built by the process that needs them first.

    Returns:
        the tag, which is also what ``compose.yaml`` takes meanwhile.
    """
    tag = f"test-{testrun_uid[:12]}"
    folder = tmp_path_factory.getbasetemp().parent
    with pytest.MonkeyPatch.context() as environment, contextlib.ExitStack() as use:
        environment.setenv("LOADPROOF_TAG", tag)
        with locked(folder / f"{tag}-builds"):
            use.enter_context(locked(folder / f"{tag}-uses", fcntl.LOCK_SH))
            provide_images(docker, lambda _: None)
            project = Project(docker, "loadproof", (COMPOSE_FILE,))
            project.compose("--profile", "*", "build", "trainer", "notebook", timeout=1200)
        yield tag
        use.close()
        # whoever is the last takes them away
        with (
            locked(folder / f"{tag}-builds"),
            contextlib.suppress(BlockingIOError),
            locked(folder / f"{tag}-uses", fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            remove_images(docker, tag)


@pytest.fixture(scope="package")
def lasting(docker):
    """While there are labs here, nobody makes a swarm of the Engine.

    When it leaves one, it resolves no names any more for the containers that run then.
    """
    with locked(ENGINE, fcntl.LOCK_SH):
        yield


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


@pytest.fixture(scope="package")
def stack(docker, images, lasting):
    project = Project(docker, f"loadproof-test-{secrets.token_hex(3)}", (COMPOSE_FILE,))
    try:
        project.compose(
            *("up", "--detach", "--wait", "--wait-timeout", "500", "--no-build", "--pull", "never"),
            *("--scale", f"locust-worker={WORKERS}", *SERVICES),
            timeout=560,
            # whichever ports are free: another lab may run here; the gateway's stays when it starts again
            environment=dict.fromkeys(PORTS, "0") | {"GATEWAY_PORT": str(free_port())},
        )
        ids = docker.run(
            "ps", "-aq", "--filter", f"label=com.docker.compose.project={project.name}", timeout=60
        ).split()
        yield Stack(project, json.loads(docker.run("inspect", *ids, timeout=60)))
    finally:
        project.remove()
        assert project.leftovers() == []


@pytest.fixture(scope="package")
def models(shop, tmp_path_factory) -> Path:
    """The demo versions in a folder that tests may add broken ones to, for containers to read."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(shop, folder / shop.name)
    return readable(folder)


@pytest.fixture(scope="package")
def tiny_models(tmp_path_factory) -> Path:
    """The same of a model that starts within two seconds inside a small CPU limit; see ``tiny``."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny(folder)
    return readable(folder)


def readable(folder: Path) -> Path:
    """The folder, which containers may now read."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture(scope="package")
def open_lab(docker, images, tiny_models, lasting):
    """``open_lab("v1", "v2")``: a lab to be entered."""

    def make(stable: str, candidate: str) -> ComposeLab:
        folders = {"stable": stable, "candidate": candidate}
        versions = tuple(
            Version(role, tiny_models / "tiny" / name, 0.25, 2**29) for role, name in folders.items()
        )
        return ComposeLab(versions, docker)

    return make


@pytest.fixture(scope="package")
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
