"""The controller as a service of ``docker compose up``: to everybody by itself, through a kill."""

import json
import subprocess
import sys
import tomllib
import urllib.request
from contextlib import contextmanager

import pytest
import tomli_w

from loadtest.errors import ControllerError
from loadtest.experiment.experiment import EXPERIMENTS
from loadtest.lab.gateway.signature import sign
from loadtest.lab.registry import running_lab
from tests.compose.test_canary import eventually, url_of

pytestmark = [pytest.mark.compose, pytest.mark.timeout(240)]


@pytest.fixture
def experiment(tmp_path):
    """Short steps, and gates that need no feedback; as a file that every user can read."""
    raw = tomllib.loads((EXPERIMENTS / "canary.toml").read_text())
    raw["gates"] = ["error_rate <= stable + 20pp"]
    raw["canary"] |= {"rollback": ["error_rate <= stable"], "steps": [50, 100], "settle": "4s"}
    # a step lasts long enough to kill somebody in it
    raw["canary"]["answers"] = 400
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(raw))
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    return path


@contextmanager
def users(url, rate=150):
    """Unpinned requests, until the context ends."""
    command = [sys.executable, "-m", "benchmarks.canary.steady", url, "shop", str(rate), "200"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def gateway(stack):
    return stack.of("gateway")[0]["Name"].removeprefix("/")


@pytest.fixture
def controller(stack, docker, experiment):
    """``controller()``: starts it as ``docker compose --profile canary up`` does, with another experiment."""
    started = []

    def start():
        name = f"{stack.project.name}-canary-{len(started)}"
        command = ["loadproof", "canary", "auto", "--experiment", "/mine.toml", "--json"]
        stack.project.compose(
            *("run", "--detach", "--no-deps", "--use-aliases", "--name", name),
            *("--volume", f"{experiment}:/mine.toml:ro", "canary", *command),
            *("--metrics-port", "9109", "--metrics-address", "0.0.0.0"),
            timeout=60,
        )
        started.append(name)
        return name

    yield start
    for name in started:
        docker.run("rm", "--force", name, timeout=60)


def test_it_goes_on_where_it_was_killed_and_promotes(stack, docker, gateway, controller, tmp_path):
    canary = running_lab(tmp_path / "nowhere", stack.project.name).canary
    canary.update(lambda state: state.set(0, sign("a test")))
    began = len(canary.read().history)

    def split():
        return canary.read().now.percent

    def described(container):
        return json.loads(docker.run("inspect", container, timeout=30))[0]

    def scraped():
        query = 'max_over_time(loadproof_canary_split_percent{job="canary"}[5m])'
        address = f"{stack.url('prometheus', 9090)}/api/v1/query?query={query}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    try:
        with users(url_of(docker, gateway)):
            first = controller()
            eventually(lambda: split() == 50)
            # nobody else controls it now, not from this machine either
            with pytest.raises(ControllerError, match=r"auto \(process"), canary.lead("me"):
                pass
            eventually(lambda: described(first)["State"]["Health"]["Status"] == "healthy")
            docker.run("kill", "--signal", "KILL", first, timeout=30)
            before = canary.read()
            assert before.now.percent > 0
            # the gateway too comes back with the split that was set
            docker.run("kill", "--signal", "KILL", gateway, timeout=30)
            docker.run("start", gateway, timeout=30)
            second = controller()
            code = int(docker.run("wait", second, timeout=120))
        container = described(second)
        assert container["Config"]["User"] == "101:101"
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        lines = docker.run("logs", second, timeout=30).splitlines()
        assert (code, json.loads(lines[-1])["end"]) == (0, "promoted"), lines[-5:]
        eventually(scraped)
        state = canary.read()
        assert state.history[: len(before.history)] == before.history
        assert [e.serial for e in state.history] == list(range(1, len(state.history) + 1))
        own = [(e.action, e.percent) for e in state.history[began:]]
        assert own == [("set", 50), ("set", 100), ("promote", 0)]
        assert state.now.stable.version == "v2"
        assert json.loads(lines[0])["split"] == before.now.percent
    finally:
        if canary.read().last_change.action == "promote":
            canary.update(lambda state: state.rollback(sign("after a test")))
        canary.update(lambda state: state.set(10, sign("after a test")))
