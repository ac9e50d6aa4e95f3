"""docs/load.md says what was measured of the generator's clock."""

import json

import numpy as np
import pytest

from benchmarks.load.known_delays import DELAYS, RESULTS, bars, by_arithmetic, table
from benchmarks.load.report import PAGE
from loadtest.load.sending.arrivals import Schedule

STORED = json.loads(RESULTS.read_text())


def test_the_table_is_that_of_the_results():
    assert table(STORED) in PAGE.read_text()


def test_every_bar_is_met():
    assert len(bars(STORED)) == 7
    assert all(bars(STORED).values())


@pytest.mark.parametrize(
    ("at", "stalled", "latency"),
    [
        # nothing stands still: the delay of the row
        (1.0, None, 0.1),
        # answered before the stall
        (0.5, (2.0, 3.0), 0.1),
        # came before it, would have been answered in it
        (1.95, (2.0, 3.0), 1.05),
        # came in it: begins when it ends
        (2.5, (2.0, 3.0), 0.6),
        # came after it
        (3.5, (2.0, 3.0), 0.1),
    ],
)
def test_arithmetic(at, stalled, latency):
    row = DELAYS.index(0.1)
    schedule = Schedule(np.array([at]), np.array([row]), np.array([False]))
    assert by_arithmetic(schedule, stalled) == pytest.approx([latency] * 2)
