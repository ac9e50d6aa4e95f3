"""`loadproof diff` on stored runs, through the command itself."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from benchmarks.judging.run_of import write_run
from loadtest.cli.main import app
from loadtest.errors import UsageError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    write_run(place / "one", 9_000)
    shutil.copytree(place / "one", place / "two")
    return place


def test_tables(runs):
    done = CliRunner().invoke(app, ["diff", str(runs / "one"), str(runs / "two")])
    assert done.exit_code == 0, done.output
    for text in (
        "candidate against stable",
        "the same arrivals and rows",
        "paired by row, 9,000 rows in both",
    ):
        assert text in done.output
    assert "slower" not in done.output


def test_json(runs):
    done = CliRunner().invoke(app, ["diff", str(runs / "one"), str(runs / "two"), "--json"])
    found = json.loads(done.output)
    assert found["schema"] == 1
    assert found["same_arrivals"]
    assert {c["reading"] for c in found["changes"] if c["metric"] == "accuracy"} == {"no change seen"}


def test_beside_another_tool(runs):
    other = runs / "summary.json"
    other.write_text(json.dumps({"metrics": {"http_req_duration": {"med": 12.0, "p(95)": 30.0}}}))
    done = CliRunner().invoke(app, ["diff", str(runs / "one"), str(other)])
    assert done.exit_code == 0, done.output
    assert "no verdict is given" in done.output
    assert "12.0 ms" in done.output
    done = CliRunner().invoke(app, ["diff", str(other), str(runs / "one"), "--json"])
    found = json.loads(done.output)
    assert {(c["before"], c["after"]) for c in found["changes"]} == {
        ("all requests", "stable"),
        ("all requests", "candidate"),
    }


def test_no_run_folder(runs):
    done = CliRunner().invoke(app, ["diff", str(runs / "one"), str(runs / "nothing")])
    assert isinstance(done.exception, UsageError)
    assert "no run folder" in str(done.exception)
