"""The controller is killed in the middle of a step, on local processes: another one goes on from there."""

import json
import subprocess
import sys
import tomllib

import pytest
import tomli_w

from loadtest.experiment.experiment import EXPERIMENTS
from loadtest.lab.gateway.signature import sign
from loadtest.lab.registry import announced, running_lab
from tests.integration.test_canary_local import open_lab, users
from tests.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def controller(tmp_path):
    """``with controller(folder, answers=20) as process``: ``canary auto``, its gates need no feedback."""

    def start(folder, answers):
        raw = tomllib.loads((EXPERIMENTS / "canary.toml").read_text())
        raw["gates"] = ["error_rate <= stable + 50pp"]
        raw["canary"] |= {"rollback": ["error_rate <= stable"], "steps": [50, 100], "settle": "0s"}
        # a machine that is held up is no finding on the candidate
        raw["canary"] |= {"timeout": "60s", "missing": "10m", "misses": 100, "answers": answers}
        path = tmp_path / f"{answers}.toml"
        path.write_text(tomli_w.dumps(raw))
        command = [sys.executable, "-m", "loadtest", "canary", "auto", "--json", "--experiment", str(path)]
        return subprocess.Popen([*command, "--lab", str(folder)], stdout=subprocess.PIPE, text=True)

    return start


def test_a_controller_that_is_killed_leaves_the_split_and_another_goes_on(tmp_path, controller):
    folder = tmp_path / "results"
    with (
        open_lab(tmp_path) as lab,
        announced(folder, tmp_path / "state", print) as announce,
        users(lab, pause=0.02),
    ):
        announce(lab)
        canary = running_lab(folder).canary
        canary.update(lambda state: state.set(0, sign("a test")))
        # its step does not end: it is killed in the middle of it, however fast users are answered
        with controller(folder, answers=10**9) as first:
            eventually(lambda: canary.read().now.percent == 50)
            first.kill()
        before = canary.read()
        # with nobody there to lead, a person can
        with canary.lead("me"):
            pass
        lab.restart("gateway")
        with controller(folder, answers=20) as second:
            lines = [json.loads(line) for line in second.stdout]
        assert (second.returncode, lines[-1]["end"]) == (0, "promoted")
        history = canary.read().history
        assert history[: len(before.history)] == before.history
        assert [entry.serial for entry in history] == list(range(1, len(history) + 1))
        # it went on from where the first had been
        assert (before.history[-1].action, before.history[-1].percent) == ("set", 50)
        taken = [(entry.action, entry.percent) for entry in history[len(before.history) :]]
        assert taken == [("set", 100), ("promote", 0)]
