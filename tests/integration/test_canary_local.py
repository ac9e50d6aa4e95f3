"""A canary on a local lab whose parts are killed, paused and started again in the middle of a step."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from loadtest.errors import LabError
from loadtest.experiment.experiment import Fault
from loadtest.fetch import get
from loadtest.lab.gateway.folder_store import FolderStore
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Version
from loadtest.lab.local.lab import LocalLab
from loadtest.workflows.canary_up import Keeper
from tests.gateway_doubles import NoGateway
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
SERVER = (sys.executable, str(ROOT / "tests/loadtest/lab/double_server.py"))

KEEP_A_LAB = """
import sys
from pathlib import Path
from tests.integration.test_canary_local import open_lab
with open_lab(Path(sys.argv[1])) as lab:
    print(lab.endpoints.gateway, flush=True)
    sys.stdin.read()
"""


def open_lab(folder):
    for name in ("v1", "v2"):
        (folder / name).mkdir(exist_ok=True)
    versions = Version("stable", folder / "v1", None, None), Version("candidate", folder / "v2", None, None)
    return LocalLab(
        versions,
        folder / "lab",
        "shop",
        server=SERVER,
        gateway_port=0,
        start_seconds=HUNG,
        with_prometheus=False,
        state=folder / "state",
        percent=0,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with open_lab(tmp_path_factory.mktemp("canary")) as lab:
        yield lab


@pytest.fixture
def lab(running):
    """At 25%, in the middle of a step."""
    running.canary.update(lambda state: state.set(25, sign("a test")))
    yield running
    running.check()


def in_force(lab):
    return json.loads(get(f"{lab.endpoints.gateway}/split", HUNG).body)


def answered(lab, count=100):
    """Who answered, and with which status, to so many users."""
    found = Counter()
    for user in range(count):
        answer = get(f"{lab.endpoints.gateway}/v2/echo", HUNG, {"x-user-id": str(user)})
        found[(answer.status, answer.headers.get("x-model-version")) if answer else None] += 1
    return found


def assert_nothing_changed(lab, before):
    state = lab.canary.read()
    assert state == before
    assert in_force(lab)["candidate_percent"] == state.now.percent == 25
    assert in_force(lab)["serial"] == state.now.serial


@pytest.mark.parametrize("service", ["gateway", "candidate", "stable"])
def test_a_service_that_is_killed_comes_back_with_the_split_that_was_set(lab, service):
    before = lab.canary.read()
    lab._services[service].process.kill()
    lab._services[service].process.wait()
    assert lab.ended() == [service]
    said = []
    Keeper(lab, said.append).check()
    assert said == [f"{service} ended and was started again"]
    assert_nothing_changed(lab, before)
    assert answered(lab)[200, "candidate"] > 5


@pytest.mark.parametrize("kind", ["killed", "paused"])
def test_users_of_a_candidate_that_is_hit_all_get_an_answer(lab, kind):
    before = answered(lab)
    assert set(before) == {(200, "stable"), (200, "candidate")}
    lab.inject("candidate", Fault(kind=kind))
    try:
        if kind == "paused":
            assert psutil.Process(lab._services["candidate"].process.pid).status() == psutil.STATUS_STOPPED
        # what was done to it on purpose is no reason to stop
        lab.check()
        assert lab.ended() == []
        assert set(answered(lab)) == {(200, "stable")}
    finally:
        lab.heal("candidate")
    # the gateway has it out for ten seconds after five failures in a row; pinned requests reach it at once
    pinned = get(f"{lab.endpoints.gateway}/v2/echo", HUNG, {"x-model-version": "candidate"})
    assert (pinned.status, pinned.headers["x-model-version"]) == (200, "candidate")
    # a new gateway knows nothing of that
    lab.restart("gateway")
    assert answered(lab)[200, "candidate"] > 5


def test_a_fault_that_needs_a_willing_server_is_refused_by_another(lab):
    with pytest.raises(LabError, match="candidate takes no faults; start its model server with ALLOW_FAULTS"):
        lab.inject("candidate", Fault(kind="failing"))


@contextmanager
def users(lab, count=3, pause=0.0):
    """Users who ask all the time; yields when each asked and was answered, the status, and who answered."""
    asked, done = [], threading.Event()

    def ask():
        while not done.wait(pause):
            at = time.monotonic()
            answer = get(f"{lab.endpoints.gateway}/v2/echo", HUNG)
            who = answer.headers["x-model-version"] if answer else None
            asked.append((at, time.monotonic(), answer and answer.status, who))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_after_a_rollback_has_returned_nobody_is_sent_to_the_candidate(lab):
    quiet = []
    with users(lab) as asked:
        for _ in range(15):
            lab.canary.update(lambda state: state.set(100, sign("all in")))
            before = len(asked)
            eventually(lambda before=before: len(asked) > before + 6)
            lab.canary.update(lambda state: state.rollback(sign("wrong answers")))
            began, before = time.monotonic(), len(asked)
            eventually(lambda before=before: len(asked) > before + 6)
            quiet.append((began, time.monotonic()))
    assert {status for *_, status, _ in asked} == {200}
    assert sum(version == "candidate" for *_, version in asked) > 15
    rolled_back = [
        v for at, done, _, v in asked if any(began <= at and done < ended for began, ended in quiet)
    ]
    assert len(rolled_back) > 15
    assert set(rolled_back) == {"stable"}


def test_a_promotion_and_its_rollback_lose_no_request(lab):
    with users(lab) as asked:
        for _ in range(5):
            lab.canary.update(lambda state: state.promote(sign("better")))
            assert in_force(lab)["stable"] == "candidate"
            assert set(answered(lab, 20)) == {(200, "stable")}
            lab.canary.update(lambda state: state.rollback(sign("not after all")))
            assert in_force(lab)["stable"] == "stable"
            before = len(asked)
            eventually(lambda before=before: len(asked) > before + 6)
    assert {status for *_, status, _ in asked} == {200}


def test_a_lab_that_is_killed_comes_back_with_the_split_and_the_roles_that_were_set(tmp_path):
    keep = [sys.executable, "-c", KEEP_A_LAB, str(tmp_path)]
    # another test's command would speak of a lab that is killed
    mine = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(keep, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=mine) as process:
        assert process.stdout.readline().startswith("http")
        store = FolderStore(tmp_path / "state", NoGateway())
        state = store.read()
        assert (state.now.mode, state.now.percent) == ("off", 0)
        process.kill()
    # somebody changed the state while no gateway ran: the routes follow at the next start
    store.update(lambda state: state.promote(sign("better")))
    changed = store.update(lambda state: state.set(40, sign("and on")))
    with open_lab(tmp_path) as lab:
        assert lab.canary.read() == changed
        assert in_force(lab) == {
            "candidate_percent": 40.0,
            "fallback": False,
            "shadow": False,
            "timeout_s": 10.0,
            "stable": "candidate",
            "serial": 3,
        }
        assert [entry.serial for entry in lab.canary.read().history] == [1, 2, 3]
