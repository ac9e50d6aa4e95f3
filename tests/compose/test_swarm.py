"""The lab as a stack on a swarm of one node: it answers, takes load by two workers, goes without a trace."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from loadtest.lab.compose.project import COMPOSE_FILE, Project
from loadtest.lab.free_ports import free_port

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]

BUILT = ("trainer", "stable", "gateway", "locust-master")
PUBLISHED = ("gateway", "locust-master", "prometheus")
PORTS = ("GATEWAY_PORT", "STATS_PORT", "LOCUST_PORT", "PROMETHEUS_PORT")


def until(what, seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except (OSError, urllib.error.URLError):
            pass
        assert time.monotonic() < end
        time.sleep(0.3)


def lines(docker, *arguments):
    return docker.run(*arguments, timeout=60).split()


def networks(docker):
    return set(lines(docker, "network", "ls", "--format", "{{.Name}}"))


@pytest.fixture
def swarm(docker):
    """A swarm of this node, for this test only."""
    if lines(docker, "info", "--format", "{{.Swarm.LocalNodeState}}") != ["inactive"]:
        pytest.skip("this Engine is part of a swarm already")
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
    # of the swarm's; other labs may come and go meanwhile
    assert not {"ingress", "docker_gwbridge"} & networks(docker) - before


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
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.headers, answer.read()

    def is_ready(self, version):
        return self.get("GATEWAY_PORT", "/v2/health/ready", **{"x-model-version": version})

    def workers(self):
        return json.loads(self.get("LOCUST_PORT", "/stats/requests")[1]).get("worker_count", 0)


@pytest.fixture
def stack(docker, swarm, tmp_path, shop):
    Project(docker, "loadproof", (COMPOSE_FILE,)).compose("build", *BUILT, timeout=900)
    name = f"loadproof-test-{secrets.token_hex(3)}"
    ports = {port: str(free_port()) for port in PORTS}
    # a limit that they start fast in: what is looked at here is not their speed
    choice = {"MODELS": str(shop.parent), "VERSION_CPUS": "1"} | ports
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
        until(lambda: "container" not in deployed.traces())
        for volume in deployed.traces().get("volume", []):
            docker.run("volume", "rm", volume, timeout=60)
        assert deployed.traces() == {}


def test_it_answers_and_takes_a_load_from_two_workers(docker, stack):
    for version in ("stable", "candidate"):
        assert until(lambda version=version: stack.is_ready(version))[0]["x-model-version"] == version
    until(lambda: stack.workers() == 2)
    form = b"user_count=1&spawn_rate=1&rate=30&duration=4s&host=http://gateway:8080"
    urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['LOCUST_PORT']}/swarm", form, timeout=10).close()
    master = stack.container("locust-master")
    load = json.loads(
        until(
            lambda: docker.run(
                "exec", master, "sh", "-c", "cat /results/latest/load.json || true", timeout=30
            )
        )
    )
    assert (load["workers"], load["missing_workers"], load["missing_samples"]) == (2, [], 0)
    assert load["requests"]["stable"] == load["requests"]["candidate"] > 60
    # every answer is a prediction
    table = "import pyarrow.parquet as p; t = p.read_table('/results/latest/samples.parquet')"
    count = f"{table}; print(*(sorted(set(t[name].to_pylist())) for name in ('worker', 'status')))"
    assert docker.run("exec", master, "python", "-c", count, timeout=60) == "[0, 1] [200]\n"
    # the limits are in force, and what the stack does not need of a container it does not have
    host = json.loads(docker.run("inspect", stack.container("stable"), timeout=30))[0]["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (10**9, 512 * 2**20, 256)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    # the split is changed by one command, and the gateway has taken it over when that returns
    canary = "loadproof canary set 30 --why measured"
    told = docker.run(
        *(
            "run",
            "--rm",
            "--network",
            f"{stack.name}_default",
            "--user",
            "101:101",
            "--read-only",
            "--tmpfs",
            "/tmp",
        ),
        *(
            "--volume",
            f"{stack.name}_routes:/routes",
            "--env",
            "LOADPROOF_ROUTES=/routes",
            "--cap-drop",
            "ALL",
        ),
        *(stack.image("locust-master"), *canary.split()),
        timeout=60,
    )
    assert "30%" in told
    # and Prometheus sees both versions through the file that derives from the canary's state
    query = "/api/v1/query?query=up%7Bjob=%22versions%22%7D==1"
    until(lambda: len(json.loads(stack.get("PROMETHEUS_PORT", query)[1])["data"]["result"]) == 2)
