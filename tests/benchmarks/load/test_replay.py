"""docs/load.md says what was measured of a replayed log."""

import json

import pytest

from benchmarks.load.replay import BURST, BURSTS, MEAN, RESULTS, SECONDS, bar, recorded, table
from benchmarks.load.report import PAGE

STORED = json.loads(RESULTS.read_text())


def test_the_table_is_that_of_the_results():
    assert table(STORED) in PAGE.read_text()


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({"lag_in_bursts": [0, 0.0019, 0.01]}, True),
        ({"lag_in_bursts": [0, 0.003, 0.01]}, False),
        ({"lag_in_bursts": [0, 0.0019, 0.01], "instants_of_the_log": False}, False),
    ],
)
def test_the_bar(change, met):
    results = STORED | {"rounds": [STORED["rounds"][0] | change]}
    assert bar(results) is met
    # a bar that is missed is told where the figures are
    assert ("**missed**" in table(results)) is not met


def test_bursts_are_ten_times_the_mean():
    log, burst = recorded(1)
    assert len(log) == MEAN * SECONDS
    assert burst.sum() / (BURSTS * BURST) == pytest.approx(10 * MEAN, rel=0.1)
