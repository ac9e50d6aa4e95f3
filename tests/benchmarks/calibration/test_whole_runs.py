"""Whole runs: every cell comes to a verdict, by the gates of the default experiment as it is."""

import pytest

from benchmarks.calibration.whole_runs import measure
from loadtest.judge.verdict import Word


def test_every_cell_is_judged():
    cells = measure(1, seed=0)
    assert len({cell["what"] for cell in cells}) == len(cells) > 10
    for cell in cells:
        assert sum(cell[word.value.lower()] for word in Word) == pytest.approx(1), cell["what"]
        # equal versions, and 60 s of a calm or harsh host: no run is broken
        assert cell["invalid"] == 0, cell["what"]
