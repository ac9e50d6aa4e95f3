"""The canary's state on the volume of ``docker compose up``."""

import json
import subprocess
import urllib.request

import pytest

from loadtest.errors import ControllerError, LabError, UsageError
from loadtest.fetch import get
from loadtest.lab.gateway.route_change import RouteChange
from loadtest.lab.gateway.signature import sign
from loadtest.lab.gateway.volume_store import VolumeStore
from tests.compose.waiting import HUNG, eventually
from tests.gateway_doubles import NoGateway

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


def url_of(docker, container):
    """The gateway's base URL: a port that Docker chose changes with every start."""
    return "http://" + docker.run("port", container, "8080/tcp", timeout=30).strip()


@pytest.fixture(scope="module")
def gateway(stack):
    return stack.of("gateway")[0]["Name"].removeprefix("/")


@pytest.fixture
def store(stack, docker, gateway):
    addresses = {role: f"{role}:8000" for role in ("stable", "candidate")}
    routes = RouteChange(lambda: url_of(docker, gateway), lambda: addresses, within=HUNG)
    store = VolumeStore(gateway, routes)
    yield store
    store.update(lambda state: state.set(10, sign("after a test")))


def split_of(docker, container):
    answer = get(url_of(docker, container) + "/split", HUNG)
    return json.loads(answer.body) if answer and answer.status == 200 else None


def test_a_new_volume_begins_with_ten_percent_and_the_versions_that_are_served(store):
    first = store.read().history[0]
    assert (first.action, first.percent, first.note.by) == ("begin", 10, "gateway")
    assert (first.stable.version, first.candidate.version) == ("v1", "v2")


def test_a_change_on_the_volume_survives_the_death_of_the_gateway(store, docker, gateway):
    changed = store.update(lambda state: state.set(35, sign("a step")))
    docker.run("kill", "--signal", "KILL", gateway, timeout=30)
    docker.run("start", gateway, timeout=30)
    in_force = eventually(lambda: split_of(docker, gateway))
    assert (in_force["candidate_percent"], in_force["serial"]) == (35, changed.now.serial)
    assert store.read() == changed


def test_a_command_that_is_killed_in_the_middle_changes_nothing_and_holds_up_nobody(store, docker, gateway):
    before = store.read()
    command = [docker.program, "exec", "--interactive", gateway, "canary-state", "change"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"{\n"
        process.kill()
    after = store.update(lambda state: state.hold(sign("still there")))
    assert after.history[:-1] == before.history


def test_a_change_that_is_refused_changes_nothing(store):
    before = store.read()
    with pytest.raises(UsageError, match="not between 0 and 100"):
        store.update(lambda state: state.set(101, sign("too much")))
    assert store.read() == before


def test_a_second_controller_is_refused_and_a_killed_one_is_replaced(store, gateway):
    other = VolumeStore(gateway, NoGateway())
    with store.lead("auto of ann"):
        with pytest.raises(ControllerError, match=r"auto of ann \(process"), other.lead("me"):
            pass
        store._leading.kill()
        store._leading.wait()
        # whoever led must not go on as if it did
        with pytest.raises(ControllerError, match="no longer leads"):
            store.update(lambda state: state)
        eventually(lambda: leads(other))


def leads(store):
    try:
        with store.lead("me"):
            return True
    except ControllerError:
        return False


def test_after_a_promotion_answers_and_metrics_name_the_new_roles(store, stack, docker, gateway):
    def answered():
        with urllib.request.urlopen(f"{url_of(docker, gateway)}/v2/models/shop", timeout=HUNG) as answer:
            return answer.headers["x-model-version"], json.load(answer)["versions"]

    def scraped():
        query = 'loadproof_model_info{job="versions"}'
        with urllib.request.urlopen(
            f"{stack.url('prometheus', 9090)}/api/v1/query?query={query}", timeout=10
        ) as answer:
            result = json.load(answer)["data"]["result"]
        return {(series["metric"]["role"], series["metric"]["version"]) for series in result}

    store.update(lambda state: state.promote(sign("better")))
    assert {tuple(map(str, answered())) for _ in range(10)} == {("stable", "['v2']")}
    # right after the change Prometheus shows both for as long as it looks back
    eventually(lambda: {("stable", "v2"), ("candidate", "v1")} <= scraped())
    store.update(lambda state: state.rollback(sign("not after all")))
    assert {tuple(map(str, answered())) for _ in range(10)} == {("stable", "['v1']")}


def test_without_the_container_a_line_says_how_to_start_one(docker):
    with pytest.raises(LabError, match="no lab runs here, nor does the container nobody; start one with"):
        VolumeStore("nobody", NoGateway()).read()
