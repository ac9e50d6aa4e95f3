"""A whole canary on the local lab, through the command: users, late feedback, Envoy, the controller."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import tomli_w

from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import EXPERIMENTS
from tests.integration.tiny_model import tiny

pytestmark = pytest.mark.integration


def canary(tmp_path, faults=(), gates=None, own=None, **policy):
    """Run one; its exit code, its events and its run folder."""
    raw = tomllib.loads((EXPERIMENTS / "canary.toml").read_text()) | (own or {})
    raw["canary"] |= {"rollback": ["error_rate <= stable", "accuracy >= stable - 20pp"]} | policy
    raw["load"] |= {"rate": 40, "warmup": "1s", "baseline": "1s", "feedback_delay": "500ms"}
    # a machine that is held up is no finding on the candidate, and neither is it one on the generator
    raw["canary"] |= {"timeout": "60s", "missing": "10m"}
    raw["load"] |= {"timeout": "60s", "max_lag": "60s"}
    raw["faults"] = list(faults)
    raw["gates"] = gates or raw["gates"]
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(raw))
    command = [sys.executable, "-m", "loadtest", "canary", "run", "--backend", "local", "--json"]
    done = subprocess.run(
        [*command, "--experiment", str(path), "--results", str(tmp_path / "results")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GRAFANA_URL": ""},
    )
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    *events, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert end["code"] == done.returncode
    return done, events, (tmp_path / "results" / "latest").resolve()


def test_a_killed_candidate_is_rolled_back_within_seconds(tmp_path):
    fault = {"kind": "killed", "at": "5s"}
    done, events, folder = canary(
        tmp_path, faults=[fault], own=tiny(tmp_path), steps=[25, 100], answers=10**6
    )
    assert done.returncode == 1, done.stderr
    assert [e["decision"] for e in events if e["decision"] != "hold"] == ["step", "rollback"]
    # it was up to two health checks in a row, or to the gateway, whoever was first
    assert re.match(r"the candidate did not pass 2 health checks|the gateway ejected", events[-1]["why"])
    history = json.loads((folder / "state.json").read_text())["history"]
    assert (history[-1]["action"], history[-1]["by"]) == ("rollback", "auto")
    assert history[-1]["evidence"]["why"] == history[-1]["why"]
    # users noticed nothing: stable answered for the one that died
    samples = SampleSet.read(folder / "samples.parquet")
    assert not samples.failed.any()
    assert len(samples.of("candidate")) > 5


def test_an_honest_candidate_is_promoted_by_what_its_users_see(tmp_path):
    gates = ["error_rate <= stable + 20pp", "accuracy >= stable - 20pp"]
    own = tiny(tmp_path) | {"versions": {"stable": "a-shy", "candidate": "b-shy"}}
    policy = {"shadow": "3s", "answers": 50, "steps": [25, 100], "settle": "1s"}
    done, events, folder = canary(tmp_path, gates=gates, own=own, **policy)
    assert done.returncode == 0, done.stderr
    taken = [(e["decision"], e["split"]) for e in events if e["decision"] != "hold"]
    assert taken == [("shadow", 0), ("step", 25), ("step", 100), ("promote", 0)]
    # before any user had it, it had answered what they asked stable, and was judged by what they reported
    shadow = [e["shadow"] for e in events if "shadow" in e][-1]
    assert shadow["pairs"] >= 50
    assert (shadow["failed"], shadow["unanswered"]) == (0, 0)
    low, high = shadow["interval"]
    # how wide it is depends on how many users came in time
    assert 0 < low <= shadow["agreement"] <= high < 1
    assert shadow["judged"] >= 20
    assert all(0.4 < share < 1 for share in shadow["accuracy"].values())
    assert shadow["latency"]["candidate"]["p50"] > 0
    # both servers told who came by which arm, and nobody came by both
    arms = [e["arms"] for e in events if e.get("arms") and e["split"] == 25]
    assert any(min(told["users"].values()) > 0 and min(told["requests"].values()) > 0 for told in arms)
    assert {(told["both"], told["problem"]) for told in arms} == {(0, None)}
    now = json.loads((folder / "state.json").read_text())
    assert now["stable"]["version"] == "b-shy"
    # what users were told, and what they reported, is what it was decided upon
    assert events[-1]["proofs"][gates[1]]["shown"][-1] == 1.0
    assert "candidate 0.00%" in events[-1]["proofs"][gates[0]]["seen"]
