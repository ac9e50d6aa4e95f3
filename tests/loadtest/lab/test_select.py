import json
from pathlib import Path

import pytest

from loadtest.errors import StartError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import Version
from loadtest.lab.select import check_backend, choose_lab

VERSIONS = tuple(Version(role, Path("/models/shop/v1"), 0.25, 2**29) for role in ("stable", "candidate"))
SERVICES = {
    name: {"image": f"loadproof/{name}:1"}
    for name in ("stable", "candidate", "gateway", "load", "prometheus")
}
RUNNING = {"compose version": "2.40.3", " config ": json.dumps({"services": SERVICES}), "version": "28.5.2"}
SILENT = {"version": (1, "Cannot connect to the Docker daemon")}
BROKEN_BUILD = {" build ": (1, "no space left on device"), **RUNNING}
OLD = {**RUNNING, "version": "24.0.9"}


@pytest.fixture
def experiment():
    return Experiment.load_file("compare")


@pytest.mark.parametrize(
    ("asked", "docker", "taken", "said"),
    [
        # what is asked for is taken where it can be had
        ("local", RUNNING, "local", None),
        ("compose", RUNNING, "compose", None),
        # auto prefers Compose
        ("auto", RUNNING, "compose", None),
        # and otherwise says why not, in one line
        ("auto", SILENT, "local", "taking local processes: no Docker Engine answers"),
        ("auto", OLD, "local", "taking local processes: Docker Engine 24.0.9 is older than 25"),
        ("auto", BROKEN_BUILD, "local", "taking local processes: the images cannot be built"),
    ],
)
def test_the_backend_that_is_taken(fake_docker, experiment, asked, docker, taken, said):
    lines = []
    lab = choose_lab(asked, experiment, lines.append, fake_docker(docker).client)(VERSIONS)
    assert lab.backend == taken
    reasons = [line for line in lines if line.startswith("taking")]
    assert len(reasons) == (said is not None)
    assert not said or (reasons[0].startswith(said) and "\n" not in reasons[0])


@pytest.mark.parametrize(
    ("docker", "message"),
    [
        (SILENT, "no Docker Engine answers .*start or install it, or take BACKEND=local"),
        (OLD, "older than 25; update it, or take BACKEND=local"),
        (
            BROKEN_BUILD,
            "no space left on device.*look at its last lines, the network and the disk, or take BACKEND",
        ),
    ],
)
def test_compose_fails_with_the_remedy(fake_docker, experiment, docker, message):
    with pytest.raises(StartError, match=message):
        choose_lab("compose", experiment, lambda _: None, fake_docker(docker).client)


def test_local_does_not_ask_docker(fake_docker, experiment):
    docker = fake_docker(RUNNING)
    choose_lab("local", experiment, lambda _: None, docker.client)
    assert docker.asked == []


def test_unknown_backend(experiment):
    with pytest.raises(UsageError, match="no backend 'swarm'; there are auto, compose, local"):
        check_backend("swarm", experiment)
