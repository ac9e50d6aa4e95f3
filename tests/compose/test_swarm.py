"""The lab as a stack on a swarm of one node: it answers, takes load by two workers, goes without a trace."""

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import sys
import urllib.request

import pytest

from loadtest.lab.free_ports import free_port
from tests.compose.waiting import HUNG, eventually
from tests.locks import ENGINE, locked

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]

PUBLISHED = ("gateway", "locust-master", "prometheus")
PORTS = ("GATEWAY_PORT", "STATS_PORT", "LOCUST_PORT", "PROMETHEUS_PORT")


def lines(docker, *arguments):
    return docker.run(*arguments, timeout=60).split()


def networks(docker):
    return set(lines(docker, "network", "ls", "--format", "{{.Name}}"))


@pytest.fixture
def swarm(docker):
    """A swarm of this node, for this test only, and only while nobody else has containers here.

    When the Engine leaves a swarm, it resolves no names any more for the containers that run then.
    """
    with contextlib.ExitStack() as alone:
        try:
            eventually(lambda: taken(alone), trouble=BlockingIOError, within=300)
        except AssertionError:
            pytest.skip("another test run keeps its labs on this Engine")
        if lines(docker, "info", "--format", "{{.Swarm.LocalNodeState}}") != ["inactive"]:
            pytest.skip("this Engine is part of a swarm already")
        if running := lines(docker, "ps", "--format", "{{.Names}}"):
            pytest.skip(f"a swarm would disturb the containers that run on this Engine, such as {running[0]}")
        before = networks(docker)
        docker.run("swarm", "init", "--advertise-addr", "127.0.0.1", timeout=60)
        try:
            (node,) = lines(docker, "info", "--format", "{{.Swarm.NodeID}}")
            docker.run("node", "update", "--label-add", "loadproof=lab", node, timeout=60)
            yield
        finally:
            docker.run("swarm", "leave", "--force", timeout=60)
            # the swarm's own bridge outlives it
            for name in networks(docker) - before & {"docker_gwbridge"}:
                docker.run("network", "rm", name, timeout=60)
        assert not {"ingress", "docker_gwbridge"} & networks(docker) - before


def taken(stack):
    """Take the Engine for this test alone.

    Raises:
        BlockingIOError: a test run has a lab on it.
    """
    stack.enter_context(locked(ENGINE, fcntl.LOCK_EX | fcntl.LOCK_NB))
    return True


class Stack:
    """A deployed stack."""

    def __init__(self, docker, name, ports):
        self.docker = docker
        self.name = name
        self.ports = ports

    def traces(self):
        of_stack = ["--filter", f"label=com.docker.stack.namespace={self.name}", "--quiet"]
        return {
            kind: found
            for kind in ("service", "network", "volume", "config", "secret", "container")
            if (
                found := lines(
                    self.docker, kind, "ls", *(["--all"] if kind == "container" else []), *of_stack
                )
            )
        }

    def container(self, service):
        label = f"label=com.docker.swarm.service.name={self.name}_{service}"
        return lines(self.docker, "ps", "--filter", label, "--quiet")[0]

    def image(self, service):
        (image,) = lines(self.docker, "inspect", self.container(service), "--format", "{{.Config.Image}}")
        return image

    def get(self, port, path, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[port]}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers, answer.read()

    def is_ready(self, version):
        return self.get("GATEWAY_PORT", "/v2/health/ready", **{"x-model-version": version})

    def workers(self):
        return json.loads(self.get("LOCUST_PORT", "/stats/requests")[1]).get("worker_count", 0)


@pytest.fixture
def stack(docker, swarm, tmp_path, models, request):
    # built only now: whoever shares them waits for the swarm, and not the swarm for whoever was faster
    request.getfixturevalue("images")
    name = f"loadproof-test-{secrets.token_hex(3)}"
    drawn: dict[str, int] = {}
    for port in PORTS:
        drawn[port] = free_port(0, drawn.values())
    ports = {port: str(number) for port, number in drawn.items()}
    # a limit that they start fast in: what is looked at here is not their speed
    choice = {"MODELS": str(models), "VERSION_CPUS": "1"} | ports
    file = tmp_path / "stack.yaml"
    publish = [word for service in PUBLISHED for word in ("--publish", service)]
    command = [sys.executable, "-m", "deploy.swarm", "--workers", "2", "--without", "grafana", *publish]
    with file.open("w") as out:
        subprocess.run(command, stdout=out, env=os.environ | choice, check=True)
    deployed = Stack(docker, name, ports)
    try:
        docker.run(
            *("stack", "deploy", "--resolve-image", "never", "--compose-file", str(file), name), timeout=120
        )
        yield deployed
    finally:
        docker.run("stack", "rm", "--detach=false", name, timeout=120)
        # containers end a little later than their services
        eventually(lambda: "container" not in deployed.traces())
        for volume in deployed.traces().get("volume", []):
            docker.run("volume", "rm", volume, timeout=60)
        assert deployed.traces() == {}


def test_it_answers_and_takes_a_load_from_two_workers(docker, stack):
    for version in ("stable", "candidate"):
        headers, _ = eventually(lambda version=version: stack.is_ready(version), trouble=OSError)
        assert headers["x-model-version"] == version
    eventually(lambda: stack.workers() == 2, trouble=OSError)
    form = b"user_count=1&spawn_rate=1&rate=30&duration=4s&host=http://gateway:8080"
    page = f"http://127.0.0.1:{stack.ports['LOCUST_PORT']}/swarm"
    urllib.request.urlopen(page, form, timeout=HUNG).close()
    master = stack.container("locust-master")
    stored = ("exec", master, "sh", "-c", "cat /results/latest/load.json || true")
    load = json.loads(eventually(lambda: docker.run(*stored, timeout=60)))
    assert (load["workers"], load["missing_workers"], load["missing_samples"]) == (2, [], 0)
    assert load["requests"]["stable"] == load["requests"]["candidate"] > 60
    # every answer is a prediction; 0 is one that a slow machine did not give in time
    table = "import pyarrow.parquet as p; t = p.read_table('/results/latest/samples.parquet')"
    seen = f"{table}; print([sorted(set(t[name].to_pylist())) for name in ('worker', 'status')])"
    workers, statuses = json.loads(docker.run("exec", master, "python", "-c", seen, timeout=HUNG))
    assert workers == [0, 1]
    assert set(statuses) - {0} == {200}
    # the limits are in force, and what the stack does not need of a container it does not have
    host = json.loads(docker.run("inspect", stack.container("stable"), timeout=30))[0]["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (10**9, 512 * 2**20, 1280)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    # the split is changed by one command, and the gateway has taken it over when that returns
    canary = "loadproof canary set 30 --why measured"
    rights = "--user 101:101 --read-only --tmpfs /tmp --cap-drop ALL --env LOADPROOF_ROUTES=/routes"
    told = docker.run(
        *("run", "--rm", "--network", f"{stack.name}_default", "--volume", f"{stack.name}_routes:/routes"),
        *(*rights.split(), stack.image("locust-master"), *canary.split()),
        timeout=HUNG,
    )
    assert "30%" in told
    # and Prometheus sees both versions through the file that derives from the canary's state
    query = "/api/v1/query?query=up%7Bjob=%22versions%22%7D==1"
    eventually(
        lambda: len(json.loads(stack.get("PROMETHEUS_PORT", query)[1])["data"]["result"]) == 2,
        trouble=OSError,
    )
