import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from loadtest import lab
from loadtest.errors import StartError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.compose.backend import prepare
from loadtest.lab.interface import Backend, Version
from loadtest.lab.select import backend_names, backends, check_backend, choose_lab

VERSIONS = tuple(Version(role, Path("/models/shop/v1"), 0.25, 2**29) for role in ("stable", "candidate"))
SERVICES = {
    name: {"image": f"loadproof/{name}:1"}
    for name in ("stable", "candidate", "gateway", "load", "prometheus")
}
RUNNING = {
    "compose version": "2.40.3",
    " config ": json.dumps({"services": SERVICES}),
    "version": "28.5.2",
    "info": "2",
}
SILENT = {"version": (1, "Cannot connect to the Docker daemon")}
BROKEN_BUILD = {" build ": (1, "no space left on device"), **RUNNING}
OLD = {**RUNNING, "version": "24.0.9"}


def offered(docker):
    """The backends that ship, with a Docker of the test's own."""
    return [
        replace(one, prepare=partial(prepare, docker=docker.client)) if one.name == "compose" else one
        for one in backends()
    ]


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
    opened = choose_lab(asked, experiment, lines.append, offered(fake_docker(docker)))(VERSIONS)
    assert opened.backend == taken
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
        choose_lab("compose", experiment, lambda _: None, offered(fake_docker(docker)))


@pytest.mark.parametrize(
    ("cpus", "refused"),
    [
        (0, None),
        (0.01, None),
        (2, None),
        (2.5, "limits.cpus: 2.5: .* 2 CPUs"),
        (1e9, "1e.09"),
        (0.001, "0.001"),
    ],
)
def test_compose_takes_limits_that_its_engine_can_set(fake_docker, experiment, cpus, refused):
    limits = experiment.limits.model_copy(update={"cpus": cpus or None})
    experiment = experiment.model_copy(update={"limits": limits})
    choose = partial(choose_lab, "compose", experiment, lambda _: None, offered(fake_docker(RUNNING)))
    if refused is None:
        choose()
    else:
        with pytest.raises(UsageError, match=refused):
            choose()


def test_local_does_not_ask_docker(fake_docker, experiment):
    docker = fake_docker(RUNNING)
    choose_lab("local", experiment, lambda _: None, offered(docker))
    assert docker.asked == []


def test_unknown_backend(experiment):
    with pytest.raises(UsageError, match="no backend 'swarm'; there are auto, compose, local"):
        check_backend("swarm", experiment)


def test_every_folder_with_a_backend_is_one():
    folders = {path.parent.name for path in Path(lab.__file__).parent.glob("*/backend.py")}
    assert {one.prepare.__module__.split(".")[-2] for one in backends()} == folders
    assert backend_names() == ["auto", "compose", "local"]


def elsewhere(why_not=None):
    """A backend that nobody but the test knows."""

    def prepare(request):
        if why_not:
            raise StartError(why_not)
        return lambda _: "a cluster's lab"

    return Backend("cluster", "a cluster", rank=0, prepare=prepare)


def test_a_backend_that_is_new_is_offered_chosen_and_fallen_back_from(experiment):
    local = next(one for one in backends() if one.name == "local")
    new, broken = elsewhere(), elsewhere("no cluster answers; log in")
    assert backend_names([new, local]) == ["auto", "cluster", "local"]
    assert choose_lab("auto", experiment, print, [new, local])(VERSIONS) == "a cluster's lab"
    said = []
    assert choose_lab("auto", experiment, said.append, [broken, local])(VERSIONS).backend == "local"
    assert said == ["taking local processes: no cluster answers"]
    with pytest.raises(StartError, match="no cluster answers; log in, or take BACKEND=local"):
        choose_lab("cluster", experiment, print, [broken, local])
    # the last of them has nothing to fall back to
    with pytest.raises(StartError, match=r"no cluster answers; log in$"):
        choose_lab("auto", experiment, print, [broken])


TARGET = {"stable": "http://127.0.0.1:8001", "candidate": "http://127.0.0.1:8002"}


@pytest.mark.parametrize(
    ("overrides", "asked", "message"),
    [
        # local processes take folders
        ({"versions": {"stable": "image:mine:1"}}, "local", "'image:mine:1' needs BACKEND=compose"),
        # servers of somebody else's are asked, and nothing more
        ({"target": TARGET, "load": {"restarts": 3}}, "auto", "two servers by their URLs take duet traffic"),
        ({"target": TARGET, "load": {"traffic": "stable"}}, "local", "two servers by their URLs take duet"),
        # in a protocol that there is
        ({"target": TARGET | {"protocol": "soap"}}, "auto", "soap"),
    ],
)
def test_a_backend_refuses_an_experiment_before_anything_starts(fake_docker, overrides, asked, message):
    docker = fake_docker(RUNNING)
    with pytest.raises(UsageError, match=message):
        choose_lab(asked, Experiment.load_file("compare", overrides), lambda _: None, offered(docker))
    assert docker.asked == []


@pytest.mark.parametrize("asked", ["auto", "compose", "local"])
def test_servers_by_their_urls_need_no_docker(fake_docker, asked):
    docker = fake_docker(SILENT)
    experiment = Experiment.load_file("compare", {"target": TARGET})
    assert choose_lab(asked, experiment, lambda _: None, offered(docker))(VERSIONS).backend == "urls"
    assert docker.asked == []
