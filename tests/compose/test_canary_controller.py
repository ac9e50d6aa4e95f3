"""The controller as a service of ``docker compose up``: to everybody by itself, through a kill."""

import itertools
import json
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
import tomli_w

from loadtest.errors import ControllerError
from loadtest.experiment.experiment import EXPERIMENTS
from loadtest.fetch import get
from loadtest.lab.gateway.signature import sign
from loadtest.lab.registry import running_lab
from tests.compose.test_canary import url_of
from tests.compose.waiting import HUNG, eventually, get_json

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


ANSWERS = 60
"""The candidate's, that a step needs at least."""


@pytest.fixture
def experiment(tmp_path):
    """Short steps, and gates without feedback that any machine meets; as a file that every user can read."""
    raw = tomllib.loads((EXPERIMENTS / "canary.toml").read_text())
    raw["gates"] = ["error_rate <= stable + 90pp"]
    raw["canary"] |= {"rollback": ["error_rate <= stable + 95pp"], "steps": [50, 100], "settle": "1s"}
    # no source of evidence is given up because the machine is busy
    raw["canary"] |= {"answers": ANSWERS, "timeout": "60s", "missing": "60s"}
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(raw))
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    return path


def ask(url, users):
    """One unpinned request for each of these users, one after the other, so that it is never too much."""
    with requests.Session() as session:
        # no proxy of the environment is asked either
        session.trust_env = False
        columns = session.get(f"{url}/v2/models/shop", timeout=HUNG).json()["inputs"]
        # a shopper of whom nothing is known
        body = {"inputs": [column | {"shape": [1], "data": [None]} for column in columns]}
        for user in users:
            headers = {"x-user-id": str(user)}
            session.post(f"{url}/v2/models/shop/infer", json=body, headers=headers, timeout=HUNG)


def answers(url):
    """Whether the gateway is there and reaches a version."""
    answer = get(f"{url}/v2/health/ready", HUNG)
    return answer is not None and answer.status == 200


@contextmanager
def users(url):
    """Unpinned requests, until the context ends."""
    over = threading.Event()
    crowd = itertools.takewhile(lambda _: not over.is_set(), itertools.cycle(range(1000)))
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, url, crowd)
        try:
            yield
        finally:
            over.set()
    asking.result()


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
        return get_json(f"{stack.url('prometheus', 9090)}/api/v1/query?query={query}")["data"]["result"]

    try:
        first = controller()
        eventually(lambda: split() == 50)
        # nobody else controls it now, not from this machine either
        with pytest.raises(ControllerError, match=r"auto \(process"), canary.lead("me"):
            pass
        eventually(lambda: described(first)["State"]["Health"]["Status"] == "healthy")
        # while it lives: the next may be done before Prometheus knows of it
        eventually(scraped)
        # the step has begun, and cannot be over: so few answers are not enough for it
        ask(url_of(docker, gateway), range(ANSWERS // 2))
        docker.run("kill", "--signal", "KILL", first, timeout=30)
        before = canary.read()
        assert before.now.percent == 50
        # the gateway too comes back with the split that was set
        docker.run("kill", "--signal", "KILL", gateway, timeout=30)
        docker.run("start", gateway, timeout=30)
        eventually(lambda: answers(url_of(docker, gateway)))
        with users(url_of(docker, gateway)):
            second = controller()
            code = int(docker.run("wait", second, timeout=600))
        container = described(second)
        assert container["Config"]["User"] == "101:101"
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        lines = docker.run("logs", second, timeout=30).splitlines()
        assert (code, json.loads(lines[-1])["end"]) == (0, "promoted"), lines[-5:]
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
