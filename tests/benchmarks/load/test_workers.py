"""docs/sizing.md says what was measured."""

import json
from statistics import median

from benchmarks.load.workers import PAGE, RESULTS, SPEED, table

SIZING = PAGE.read_text()


def test_the_table_is_that_of_the_results():
    assert table(json.loads(RESULTS.read_text()), json.loads(SPEED.read_text())) in SIZING


def test_the_rule_asks_no_more_of_a_worker_than_was_measured_on_time():
    rounds = json.loads(SPEED.read_text())["rounds"]
    assert "requests/s / 4,000, rounded up" in SIZING
    assert median(entry["half"]["rate"] for entry in rounds) > 4000
    assert median(entry["half"]["lag_ms_p99"] for entry in rounds) < 2
