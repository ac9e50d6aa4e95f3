"""An evaluation set without labels, from the command to the report: do both versions answer the same?"""

import json
import tomllib

import pyarrow.parquet as pq
import pytest
import tomli_w

from loadtest.experiment.experiment import EXPERIMENTS
from tests.command import command
from tests.integration.tiny_model import tiny

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def unlabelled(tmp_path):
    """``unlabelled(gates)``: a comparison on rows whose outcome nobody knows."""
    own, rows = tiny(tmp_path), tmp_path / "unlabelled.parquet"
    pq.write_table(pq.read_table(own["data"]["path"]).drop_columns(["label"]), rows)

    def make(gates):
        raw = tomllib.loads((EXPERIMENTS / "compare.toml").read_text())
        patient = {"warmup": "0.5s", "baseline": "1s", "timeout": "20s", "max_lag": "5s"}
        patient |= {"duration": "5s", "rate": 100}
        raw |= own | {"gates": gates, "data": {"path": str(rows)}, "load": raw["load"] | patient}
        path = tmp_path / "unlabelled.toml"
        path.write_text(tomli_w.dumps(raw))
        return path

    return make


def compare(experiment, candidate, results):
    options = ["--backend", "local", "--results", str(results), "--experiment", str(experiment)]
    return command("compare", *options, "--candidate", candidate)


@pytest.mark.parametrize(
    ("candidate", "code"),
    [
        ("v1", 0),  # the same version twice
        ("wrong", 1),  # other answers
    ],
)
def test_the_same_version_agrees_and_another_does_not(unlabelled, tmp_path, candidate, code):
    ended, output = compare(unlabelled(["agreement >= 97%"]), candidate, tmp_path / "results")
    assert ended == code, output
    assert "no column 'label', so no labels: whether an answer is right cannot be judged" in output
    assert "no labels, so whether answers are right was not judged" in output
    folder = tmp_path / "results" / "latest"
    assert "whether answers are right was not judged" in (folder / "report.html").read_text()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["rows"]["labelled"] is False
    for version in verdict["versions"].values():
        assert version["accuracy"] is None
    if code:
        assert "differs on row" in verdict["gates"][0]["reason"]


def test_what_needs_labels_is_refused_before_the_load(unlabelled, tmp_path):
    ended, output = compare(unlabelled(["accuracy >= stable - 1pp"]), "v1", tmp_path / "results")
    assert ended == 2, output
    assert "accuracy needs labels" in output
    assert not (tmp_path / "results").exists()
