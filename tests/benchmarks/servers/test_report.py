"""The table in the docs is that of the stored results, and every server in it passes against itself alone."""

import tomllib

import pytest

from benchmarks.servers import report, running
from benchmarks.servers.servers import SERVERS, Trial
from loadtest.load.protocols import PROTOCOLS

WAYS = [(server, trial) for server in SERVERS for trial in server.trials]


def test_the_table_in_the_docs_is_that_of_the_results():
    page = report.DOCS.read_text()
    assert report.filled(page, report.table(report.stored())) == page


@pytest.mark.parametrize(
    ("server", "trial"),
    WAYS,
    ids=lambda each: each.name if hasattr(each, "name") else f"{each.protocol} {each.rows}",
)
def test_a_model_passes_against_itself_and_its_broken_copy_fails(server, trial):
    results = report.stored()
    if server.name in results["skipped"]:
        pytest.skip(results["skipped"][server.name])
    said = report.found(results, server, trial)
    assert (said["version"], said["itself"]["verdict"], said["broken"]["verdict"]) == (
        server.version,
        "PASS",
        "FAIL",
    )
    # it failed by its answers: none was an error
    assert said["broken"]["errors"] == [0, 0]


def test_every_result_is_of_a_way_that_is_tried():
    tried = {(server.name, trial.protocol, trial.rows) for server, trial in WAYS}
    stored = [(said["server"], said["protocol"], said["rows"]) for said in report.stored()["trials"]]
    assert len(stored) == len(set(stored))
    assert set(stored) <= tried


def test_a_protocol_that_is_not_tried_is_named_on_the_page():
    missing = set(PROTOCOLS) - {trial.protocol for _, trial in WAYS}
    assert missing == {"tfserving"}
    assert "`tfserving` follows its specification" in report.DOCS.read_text()


def test_the_experiment_of_a_way_names_columns_and_ports(tmp_path):
    (tmp_path / "penguins.csv").write_text("island,sex,label\nDream,,Adelie\n")
    trial = Trial("oip-grpc", "text", "penguins", target={"path": "/p"})
    said = tomllib.loads(running.experiment(SERVERS[0], trial, tmp_path / "penguins.csv", 8000, 9000))
    assert said["data"]["features"] == ["island", "sex"]
    # gRPC is on the port after that of REST
    assert said["target"] == {
        "protocol": "oip-grpc",
        "stable": "http://127.0.0.1:8001",
        "candidate": "http://127.0.0.1:9001",
        "path": "/p",
    }


def test_what_cannot_be_installed_is_in_the_table():
    server = SERVERS[0]
    results = report.stored()
    results["skipped"] = {server.name: "no wheel for this machine"}
    assert f"| {server.title} | {server.version} | – | – | not installed: no wheel" in report.table(results)
