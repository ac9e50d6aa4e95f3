import json
from xml.etree import ElementTree as ET

import pytest

from loadtest.config import Experiment
from loadtest.judge.verdict import Verdict, Word
from loadtest.report.machine import to_json, to_junit, to_markdown

EXPERIMENT = Experiment.load_file("compare")


def test_verdict_json_has_the_contract_and_reads_back(verdict):
    content = json.loads(to_json(verdict))
    assert content["schema"] == 1
    assert content["verdict"] == "FAIL"
    assert content["gates"][2]["interval"] == [None, None]
    assert content["versions"]["candidate"]["cpus"] is None
    assert Verdict.model_validate(content) == verdict


def test_junit_has_a_case_per_gate_and_one_for_the_measurement(verdict):
    suite = ET.fromstring(to_junit(verdict)).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")
    outcome = {case.get("name"): [child.tag for child in case] for case in suite}
    assert outcome == {
        "measurement is valid": [],
        "p50 <= stable + 25ms": [],
        "accuracy >= stable - 1pp": ["failure"],
        "p99 <= 250ms": ["error"],
    }


def test_junit_of_an_invalid_run_has_an_error_even_when_every_gate_passed(verdict):
    invalid = verdict.model_copy(update={"verdict": Word.INVALID, "gates": verdict.gates[:1]})
    assert ET.fromstring(to_junit(invalid)).find("testsuite").get("errors") == "1"


@pytest.mark.parametrize(
    "expected",
    [
        "## ✗ Loadproof: FAIL",
        "Candidate `v2` beside stable `v1`: accuracy is worse",
        # a bar in a reason would end the table's cell
        "| ✓ PASS | `p50 <= stable + 25ms` | +2.00 ms | +1.00 ms to +3.00 ms | because of p50",
        "<= stable + 25ms \\| <b> |",
        "| ? INCONCLUSIVE | `p99 <= 250ms` | – | – |",
        "| p95 latency | 12.5 ms | 12.5 ms |",
        "| accuracy | 61.2% | – |",
        # never pretend: a limit that is not in force is named so
        "| CPU limit | 0.25 | not enforced |",
    ],
)
def test_markdown(verdict, expected):
    assert expected in to_markdown(verdict, EXPERIMENT)


def test_markdown_tables_are_not_broken_by_blank_lines(verdict):
    lines = to_markdown(verdict, EXPERIMENT).splitlines()
    tables = "\n".join(lines).split("\n\n")
    assert [table.count("\n") + 1 for table in tables if table.startswith("|")] == [5, 12]
