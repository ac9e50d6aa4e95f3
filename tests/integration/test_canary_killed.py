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
from tests.integration.test_canary_local import eventually, open_lab, users

pytestmark = pytest.mark.integration


@pytest.fixture
def controller(tmp_path):
    """``with controller(lab_folder) as process``: ``canary auto``, with gates that need no feedback."""
    raw = tomllib.loads((EXPERIMENTS / "canary.toml").read_text())
    raw["gates"] = ["error_rate <= stable + 50pp"]
    raw["canary"] |= {"rollback": ["error_rate <= stable"], "steps": [50, 100], "settle": "0s"}
    # a step that lasts: as long as a killed controller's successor needs for the next one
    raw["canary"]["answers"] = 600
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(raw))

    def start(folder):
        command = [sys.executable, "-m", "loadtest", "canary", "auto", "--json", "--experiment", str(path)]
        return subprocess.Popen([*command, "--lab", str(folder)], stdout=subprocess.PIPE, text=True)

    return start


def test_a_controller_that_is_killed_leaves_the_split_and_another_goes_on(tmp_path, controller):
    folder = tmp_path / "results"
    with open_lab(tmp_path) as lab, announced(folder, tmp_path / "state", print) as announce, users(lab):
        announce(lab)
        canary = running_lab(folder).canary
        canary.update(lambda state: state.set(0, sign("a test")))
        with controller(folder) as first:
            eventually(lambda: canary.read().now.percent == 50)
            first.kill()
        before = canary.read()
        # with nobody there to lead, a person can
        with canary.lead("me"):
            pass
        lab.restart("gateway")
        with controller(folder) as second:
            lines = [json.loads(line) for line in second.stdout]
        assert (second.returncode, lines[-1]["end"]) == (0, "promoted")
        history = canary.read().history
        assert history[: len(before.history)] == before.history
        assert [entry.serial for entry in history] == list(range(1, len(history) + 1))
        taken = [(entry.action, entry.percent) for entry in history[-3:]]
        assert taken == [("set", 50), ("set", 100), ("promote", 0)]
