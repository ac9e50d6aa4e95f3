"""Prometheus' configuration and rules, by its own tool; and no rule goes untested."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from loadtest.lab.local.prometheus import scrape_config

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "prometheus"
METRICS = (ROOT / "docs" / "metrics.md").read_text()
RULES = sorted((FOLDER / "rules").glob("*.yml"))
CONFIG = yaml.safe_load((FOLDER / "prometheus.yml").read_text())

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on the PATH")


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


@needs_promtool
def test_the_configuration_is_valid():
    assert "is valid prometheus config file" in promtool("check", "config", FOLDER / "prometheus.yml")


@needs_promtool
def test_the_rules_are_valid_and_promtool_sees_them_all():
    said = promtool("check", "rules", *RULES)
    assert sum(map(int, re.findall(r"(\d+) rules found", said))) == sum(len(rules(path)) for path in RULES)


@needs_promtool
@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_the_rules_do_what_their_tests_say(path):
    promtool("test", "rules", FOLDER / "tests" / path.name)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_rule_is_tested(path):
    cases = yaml.safe_load((FOLDER / "tests" / path.name).read_text())["tests"]
    tested = {
        case.get("expr") or case["alertname"]
        for test in cases
        for case in test.get("promql_expr_test", []) + test.get("alert_rule_test", [])
        # that something is absent is no test of what it is
        if case.get("exp_samples") or case.get("exp_alerts")
    }
    assert {rule.get("record") or rule["alert"] for rule in rules(path)} <= tested


@needs_promtool
def test_the_local_lab_has_the_same_jobs_and_rules(tmp_path):
    text = scrape_config(tmp_path / "targets.json", "127.0.0.1:1", "127.0.0.1:2", tmp_path)
    (tmp_path / "prometheus.json").write_text(text)
    promtool("check", "config", tmp_path / "prometheus.json")
    local = yaml.safe_load(text)

    def jobs(config):
        return {
            job["job_name"]: (job.get("metrics_path"), job.get("metric_relabel_configs"))
            for job in config["scrape_configs"]
        }

    assert jobs(local) == jobs(CONFIG)
    assert local["global"] == CONFIG["global"]
    (pattern,) = local["rule_files"]
    assert sorted(Path(pattern).parent.glob(Path(pattern).name)) == RULES


def test_docs_name_every_rule_and_no_other():
    recorded, alerts = METRICS.split("## Recording rules")[1].split("## Alerts")
    documented = set()
    for row in re.findall(r"^\| (`.+?`) \|", recorded, re.M):
        first, *others = re.findall(r"`(.+?)`", row)
        documented |= {first, *(other.replace("…", first.rpartition(":")[0]) for other in others)}
    documented |= set(re.findall(r"^\| `(\w+)` \|", alerts, re.M))
    assert documented == {rule.get("record") or rule["alert"] for path in RULES for rule in rules(path)}


def test_every_recorded_quantity_is_used():
    pages = "".join(path.read_text() for path in (ROOT / "grafana" / "dashboards").glob("*.json"))
    expressions = [rule["expr"] for path in RULES for rule in rules(path)]
    for path in RULES:
        for rule in rules(path):
            name = re.escape(rule.get("record", ""))
            assert any(re.search(rf"{name}\b", text) for text in (pages, *expressions)), name
