import json
from xml.etree import ElementTree as ET

import pytest

from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate
from loadtest.judge.verdict import Verdict, Word
from loadtest.report.machine_formats import to_json, to_junit, to_markdown

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
        # a workflow finds its own comment by this line
        "<!-- loadproof: compare -->\n",
        "## ✗ FAIL: candidate `v2` beside stable `v1`\n\naccuracy is worse\n",
        "| ✓ PASS | `p50 <= stable + 25ms` | 10.0 ms | 12.0 ms | +2.00 ms | +1.00 ms to +3.00 ms |",
        "| ? INCONCLUSIVE | `p99 <= 250ms` | 10.0 ms | 12.0 ms | – | – |",
        # why, of the gates that do not pass; markup in it is text
        "\n- ✗ `accuracy >= stable - 1pp`: because of accuracy >= stable - 1pp \\| &lt;b>\n",
        "| requests | 3,000 | 3,000 |",
        "| p95 latency | 12.5 ms | 12.5 ms |",
        "| accuracy | 61.2% | – |",
        # never pretend: a limit that is not in force is named so
        "| CPU limit | 0.25 | not enforced |",
    ],
)
def test_markdown(verdict, expected):
    assert expected in to_markdown(verdict, EXPERIMENT).replace("&nbsp;", " ")


def test_markdown_tables_are_not_broken_by_blank_lines(verdict):
    tables = to_markdown(verdict, EXPERIMENT).split("\n\n")
    assert [table.count("\n") + 1 for table in tables if table.startswith("|")] == [5, 13]


def test_a_unit_stays_on_the_line_of_its_number(verdict):
    text = to_markdown(verdict, EXPERIMENT)
    assert "| ✓&nbsp;PASS | `p50 <= stable + 25ms` | 10.0&nbsp;ms |" in text
    assert "| +1.00&nbsp;ms to +3.00&nbsp;ms |" in text


def test_a_reason_that_the_verdict_gives_is_not_given_twice(verdict):
    single = verdict.model_copy(update={"reason": f"{verdict.gates[1].name}: {verdict.gates[1].reason}"})
    assert to_markdown(single, EXPERIMENT).count("because of accuracy") == 1


def test_markdown_of_a_gate_on_a_slice_with_a_bar_in_it(verdict):
    gate = verdict.gates[1].model_copy(update={"gate": Gate.parse("accuracy[plan=a|b] >= stable - 2pp")})
    text = to_markdown(verdict.model_copy(update={"gates": (gate,)}), EXPERIMENT)
    assert "| `accuracy[plan=a\\|b] >= stable - 2pp` |" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("p99 is above <img src=x>", "p99 is above &lt;img src=x>"),
        (
            "*all* _of_ `it` [here](there) | ~~gone~~",
            r"\*all\* \_of\_ \`it\` \[here\](there) \| \~\~gone\~\~",
        ),
        ("slice team=@everyone", "slice team=@\u200beveryone"),
        (r"a\b", r"a\\b"),
    ],
)
def test_a_reason_is_text(verdict, text, shown):
    assert shown in to_markdown(verdict.model_copy(update={"reason": text}), EXPERIMENT)


def test_markdown_has_each_row_once_and_no_accuracy_of_a_regression(verdict):
    neither = {role: seen.model_copy(update={"accuracy": None}) for role, seen in verdict.versions.items()}
    text = to_markdown(verdict.model_copy(update={"versions": neither}), EXPERIMENT)
    assert (text.count("\n| mismatches |"), text.count("\n| accuracy |")) == (1, 0)
