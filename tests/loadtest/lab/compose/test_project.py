import pytest

from loadtest.errors import LabError
from loadtest.lab.compose.project import COMPOSE_FILE, Container, Project


def container(restarts=0, oom=False, memory=2**29, nano_cpus=250_000_000, ports=None, **state):
    return Container.parse(
        {
            "Id": "abc",
            "Image": "sha256:1",
            "Config": {"Labels": {"com.docker.compose.service": "candidate"}},
            "State": {"Status": "running", "ExitCode": 0, "OOMKilled": oom, "Error": ""} | state,
            "RestartCount": restarts,
            "HostConfig": {"NanoCpus": nano_cpus, "Memory": memory},
            "NetworkSettings": {"Ports": ports or {}},
        }
    )


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (container(), None),
        # no health check, or still starting: it runs
        (container(Health={"Status": "starting"}), None),
        (container(Health={"Status": "unhealthy"}), "does not pass its health check"),
        (container(Status="exited", ExitCode=137), "ended with exit code 137"),
        # a clean end is an end
        (container(Status="exited", ExitCode=0), "ended with exit code 0"),
        (
            container(Status="exited", ExitCode=137, oom=True),
            "was killed: it needs more than its 512 MB of memory",
        ),
        (container(Status="paused"), "is not running (paused, exit code 0)"),
        (container(Status="created", Error="no such file"), "is not running (created, no such file)"),
        (container(Status="restarting", ExitCode=2), "is not running (restarting, exit code 2)"),
        # up again, but not without a gap
        (container(restarts=2), "ended and was restarted 2 times"),
    ],
)
def test_faults_in_words(found, fault):
    assert found.fault() == fault


@pytest.mark.parametrize(
    ("nano_cpus", "memory", "limits"),
    [
        (250_000_000, 2**29, (0.25, 2**29)),
        # Docker's word for no limit is 0
        (0, 0, (None, None)),
    ],
)
def test_limits_as_enforced(nano_cpus, memory, limits):
    found = container(nano_cpus=nano_cpus, memory=memory)
    assert (found.cpus, found.memory) == limits


def test_published_ports_only():
    ports = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}], "9902/tcp": None, "9901/tcp": []}
    assert container(ports=ports).ports == {8080: 32768}


def test_removal_says_what_is_left_and_how_to_remove_it(fake_docker):
    docker = fake_docker({" down ": (1, "daemon is not responding"), "ps": "4f2a", "ls": ""})
    project = Project(docker.client, "loadproof-1", (COMPOSE_FILE,))
    with pytest.raises(
        LabError,
        match=r"could not remove 4f2a .*not responding.*run docker compose -p loadproof-1 .* down -v",
    ):
        project.remove(within=0.0)
    assert any(" down --volumes --remove-orphans" in line for line in docker.asked)


def test_removal_of_nothing_asks_for_nothing(fake_docker):
    docker = fake_docker({"ps": "", "ls": ""})
    Project(docker.client, "loadproof-1", (COMPOSE_FILE,)).remove()
    assert not [line for line in docker.asked if "down" in line]
