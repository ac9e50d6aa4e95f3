"""The verbs of `loadproof canary` against a lab that is announced, whose gateway is a stand-in."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from loadtest.canary.state import Deployment, State
from loadtest.cli.main import app
from loadtest.cli.rollback import at_once
from loadtest.errors import ControllerError, LabError, UsageError
from loadtest.lab.gateway.folder_store import FolderStore
from loadtest.lab.gateway.routes import STATE_PATH
from loadtest.lab.gateway.signature import sign
from loadtest.lab.interface import Endpoints
from loadtest.lab.registry import INSIDE, announced, claim, is_announced, running_lab
from tests.gateway_doubles import NoGateway

ADDRESSES = {"stable": "127.0.0.1:1", "candidate": "127.0.0.1:2"}


class Gateway(BaseHTTPRequestHandler):
    """Says that the routes file in force is in force, and whether the candidate is ready."""

    folder = None
    candidate_status = 200
    records: list = []  # noqa: RUF012

    def do_GET(self):
        if self.path == STATE_PATH:
            (config,) = json.loads((self.folder / "routes.json").read_text())["resources"]
            answers = [
                r["direct_response"] for r in config["virtual_hosts"][0]["routes"] if "path" in r["match"]
            ]
            status, body = 200, answers[0]["body"]["inline_string"]
        elif self.path.startswith("/answers") and Gateway.records:
            page = {"ring": "one", "now": time.time(), "first": 0, "next": 4, "more": False}
            status, body = 200, json.dumps(page | {"records": Gateway.records})
        else:
            status, body = Gateway.candidate_status, "{}"
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


@dataclass
class Announced:
    endpoints: Endpoints
    backend = "local"


@pytest.fixture
def folder(tmp_path):
    """A running lab: v1 is stable, v2 the candidate at 10%."""
    store = FolderStore(tmp_path, NoGateway(ADDRESSES))
    versions = Deployment("stable", "v1"), Deployment("candidate", "v2")
    store.start(lambda: State.begin(*versions, sign("a new lab", by="test"), 10))
    handler = type("Handler", (Gateway,), {"folder": tmp_path})
    Gateway.candidate_status, Gateway.records = 200, []
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, claim(tmp_path) as claimed:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}"
        claimed.announce(Announced(Endpoints(url, url, url)))
        yield tmp_path
        server.shutdown()


@pytest.fixture
def canary(folder):
    """``canary("set", "10")``: the output of a verb that succeeds."""

    def run(*arguments):
        done = CliRunner().invoke(app, ["canary", *arguments, "--lab", str(folder)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


def in_force(folder):
    return json.loads((folder / "state.json").read_text())


def test_a_canary_from_the_first_step_to_a_rollback_after_the_promotion(canary, folder):
    assert canary("set", "25", "--why", "errors are fine") == (
        "set: candidate v2 gets 25% of unpinned traffic; stable is v1\n"
    )
    assert canary("promote") == "promoted: candidate v1 gets no unpinned traffic; stable is v2\n"
    # a script that is run again does not undo itself, whether or not the old version still runs
    Gateway.candidate_status = 503
    assert canary("promote") == "already promoted: candidate v1 gets no unpinned traffic; stable is v2\n"
    assert canary("rollback") == "rolled back: candidate v2 gets no unpinned traffic; stable is v1\n"
    assert canary("rollback") == "nothing to roll back: candidate v2 gets no unpinned traffic; stable is v1\n"
    assert canary("shadow") == "shadowed: candidate v2 is sent a copy of unpinned traffic; stable is v1\n"
    history = in_force(folder)["history"]
    assert [entry["action"] for entry in history] == ["begin", "set", "promote", "rollback", "shadow"]
    assert history[1]["why"] == "errors are fine"


def test_a_fallback_needs_a_share(canary, folder):
    with pytest.raises(
        UsageError, match=r"a candidate without a share answers nothing; .* set 0.01 --fallback"
    ):
        canary("set", "0", "--fallback")
    assert in_force(folder)["serial"] == 1
    canary("set", "0.01", "--fallback")
    assert in_force(folder)["fallback"] is True


def test_the_status_of_a_shadow_shows_both_versions_answers_to_the_same_requests(canary):
    canary("shadow")
    # somebody else's servers, or older ones
    assert "keeps no answers to join" in canary("status")
    at = time.time() + 1
    answer = {"at": at, "id": "a", "status": 200, "labels": ["yes"]}
    Gateway.records = [
        answer | {"mark": "original", "seconds": 0.01},
        answer | {"mark": "copy", "seconds": 0.25},
        {"at": at, "id": "a", "truth": ["yes"]},
    ]
    said = canary("status")
    assert "shadow: 1 answers joined; of the candidate's copies 0 failed, 0 unanswered" in said
    assert "agreement  100.0% of 1 users (95% between " in said
    assert "accuracy   stable 100.0%, candidate 100.0% of 1 row with feedback" in said
    assert "p99        stable 10.0 ms, candidate 250.0 ms, in the server" in said


def test_the_status_shows_who_gets_what_and_why(canary):
    canary("set", "5", "--why", "a first look")
    shown = canary("status")
    assert "candidate v2 gets 5% of unpinned traffic; stable is v1" in shown
    assert "a first look" in shown
    assert "a new lab" in shown


def test_the_status_as_json_is_the_state_file(canary, folder):
    assert canary("status", "--json") == (folder / "state.json").read_text()


@pytest.mark.parametrize("status", [503, 404])
def test_a_candidate_that_is_not_ready_is_not_promoted_unless_somebody_insists(canary, folder, status):
    Gateway.candidate_status = status
    with pytest.raises(LabError, match=f"the candidate is not ready .it answers {status}."):
        canary("promote")
    assert in_force(folder)["serial"] == 1
    canary("promote", "--force")
    assert in_force(folder)["stable"]["version"] == "v2"


def test_by_hand_nothing_is_changed_behind_a_controller_but_a_rollback_always_works(canary, folder):
    controlled = FolderStore(folder, NoGateway(ADDRESSES))
    with controlled.lead("auto"):
        for verb in (["set", "50"], ["promote"], ["shadow"]):
            with pytest.raises(ControllerError, match=r"auto .* controls this canary"):
                canary(*verb)
        assert in_force(folder)["serial"] == 1
        canary("status")
        canary("rollback")
    assert in_force(folder)["mode"] == "off"


def test_the_fast_rollback_is_the_same_rollback(folder, capsys):
    assert at_once(["--lab", str(folder), "--why", "wrong answers"]) == 0
    assert capsys.readouterr().out.startswith("rolled back: candidate v2 gets no unpinned traffic")
    assert (in_force(folder)["action"], in_force(folder)["why"]) == ("rollback", "wrong answers")


@pytest.mark.parametrize("arguments", [["--help"], ["--lab"], ["--color", "red"], ["now"]])
def test_what_the_fast_rollback_does_not_know_is_left_to_the_whole_command(arguments):
    assert at_once(arguments) is None


def test_without_a_lab_a_line_says_how_to_start_one(tmp_path, capsys):
    assert not is_announced(tmp_path)
    assert at_once(["--lab", str(tmp_path), "--project", "loadproof-of-nobody"]) == 5
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith("loadproof: ")


def test_a_second_lab_in_the_same_folder_is_refused(folder):
    with pytest.raises(LabError, match="a lab runs there already"), claim(folder):
        pass


def test_a_lab_that_ended_is_no_longer_announced(tmp_path):
    url = "http://127.0.0.1:1"
    with claim(tmp_path) as claimed:
        # held, but it has not started yet
        assert not is_announced(tmp_path)
        claimed.announce(Announced(Endpoints(url, url, url)))
        assert is_announced(tmp_path)
    assert not is_announced(tmp_path)


def test_a_lab_whose_state_lies_elsewhere_is_reached_all_the_same(folder, tmp_path_factory, capsys):
    there, said = tmp_path_factory.mktemp("results") / "canary", []
    lab = Announced(running_lab(folder).endpoints())
    with announced(there, folder, said.append) as announce:
        assert not is_announced(there)
        announce(lab)
        # a second one goes on without a name, and says so
        with announced(there, folder, said.append) as again:
            again(lab)
        assert at_once(["--lab", str(there)]) == 0
    assert in_force(folder)["action"] == "rollback"
    assert not is_announced(there)
    (line,) = said
    assert line.startswith(f"{there} names another lab")


def test_a_service_of_the_project_takes_the_volume_that_is_mounted(folder, monkeypatch):
    monkeypatch.setenv(INSIDE, str(folder))
    lab = running_lab()
    assert lab.canary.read().now.percent == 10
    assert lab.state is None
    assert lab.endpoints() == Endpoints(
        "http://gateway:8080", "http://stable:8000", "http://candidate:8000", stats="http://gateway:9902"
    )
