import signal
import subprocess
import sys

import pytest

from loadtest.errors import LabError, StartError
from loadtest.lab.compose.docker_cli import Docker, DockerVersions
from tests.waiting import HUNG, eventually, runs

NOT_RUNNING = (1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?")


@pytest.mark.parametrize(
    ("engine", "compose"),
    [
        # the oldest of both
        ("25.0.0", "2.24.0"),
        # as Debian says it
        ("28.5.2+dfsg4", "2.40.3-3"),
        # as older Compose releases say it
        ("27.1.1", "v2.29.1"),
        # two digits are more than one
        ("100.0.1", "10.0.0"),
    ],
)
def test_new_enough(fake_docker, engine, compose):
    docker = fake_docker({"compose version": compose, "version": engine}).client
    assert docker.versions() == DockerVersions(engine, compose)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"version": NOT_RUNNING}, "no Docker Engine answers .*Cannot connect.*; start or install it"),
        (
            {"compose version": (1, "'compose' is not a docker command"), "version": "28.0.0"},
            "Compose is missing",
        ),
        (
            {"compose version": "2.24.0", "version": "24.0.9"},
            "Docker Engine 24.0.9 is older than 25; update it",
        ),
        (
            {"compose version": "2.23.3", "version": "25.0.0"},
            "Docker Compose 2.23.3 is older than 2.24; update it",
        ),
        ({"compose version": "2.24.0", "version": "podman"}, "Docker Engine podman is older than 25"),
    ],
)
def test_missing_or_too_old_in_one_line(fake_docker, answers, message):
    with pytest.raises(StartError, match=message) as caught:
        fake_docker(answers).client.versions()
    assert "\n" not in str(caught.value)


def test_no_docker_command():
    with pytest.raises(StartError, match=r"no /nowhere/docker command can be run .*No such file"):
        Docker("/nowhere/docker").versions()


def test_a_failure_carries_the_last_lines(fake_docker):
    docker = fake_docker({"up": (1, "pulling\n\nno space left on device")}).client
    with pytest.raises(LabError, match="docker compose up: no space left on device") as caught:
        docker.run("compose", "--project-name", "x", "up", timeout=HUNG)
    assert caught.value.log == ("pulling", "no space left on device")


def test_stdin_and_environment_arrive(tmp_path):
    program = tmp_path / "docker"
    program.write_text('#!/bin/sh\nprintf "%s " "$GATEWAY_PORT"; cat\n')
    program.chmod(0o755)
    out = Docker(str(program)).run("cp", timeout=HUNG, stdin=b"archive", environment={"GATEWAY_PORT": "0"})
    assert out == "0 archive"


def test_too_slow_is_ended_with_its_children(tmp_path):
    program, pid = tmp_path / "docker", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\nsleep 600 & echo $! > {pid}\nwait\n")
    program.chmod(0o755)
    # it never ends; how long it takes to start is for this machine to say
    for timeout in (0.5, 5.0, 60.0):
        with pytest.raises(LabError, match=f"docker compose build did not end within {timeout:g} s"):
            Docker(str(program), leave=0.2).run("compose", "build", timeout=timeout)
        if pid.exists() and pid.read_text():
            break
    eventually(lambda: not runs(int(pid.read_text())))


def test_ctrl_c_ends_the_command_first(tmp_path):
    program, pid, ended = tmp_path / "docker", tmp_path / "pid", tmp_path / "ended"
    # like docker compose: SIGINT makes it clean up
    program.write_text(
        f"#!/bin/bash\ntrap 'echo cleaned > {ended}; kill $!; exit 130' INT\n"
        f"sleep 600 & echo $! > {pid}.part\nmv {pid}.part {pid}\nwait\n"
    )
    program.chmod(0o755)
    run = f"Docker({str(program)!r}).run('compose', 'up', timeout={HUNG})"
    source = f"from loadtest.lab.compose.docker_cli import Docker\n{run}"
    with subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.PIPE) as process:
        eventually(pid.exists)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=HUNG)
    assert b"KeyboardInterrupt" in stderr
    assert ended.read_text() == "cleaned\n"
    eventually(lambda: not runs(int(pid.read_text())))
