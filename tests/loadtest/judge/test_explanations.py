"""The words beside a verdict: figures that differ read differently."""

import pytest

from loadtest.experiment.gate import Gate
from loadtest.judge.explanations import decided
from loadtest.judge.measurement import Measurement
from loadtest.judge.significance import Level
from loadtest.stats.estimate import StudentEstimate


@pytest.mark.parametrize(
    ("gate", "value", "said"),
    [
        # to three digits both are 0.97, 250 ms, −1pp
        ("r2 >= 0.97", 0.9697, "at most 0.9697 with 95% confidence, beyond the bound of 0.97"),
        ("p99 <= 250ms", 0.25004, "at least 250.04 ms with 95% confidence, beyond the bound of 250 ms"),
        ("accuracy >= stable - 1pp", -0.010000001, "at most −1.0000001pp with 95% confidence, beyond the"),
        # three digits tell them apart
        ("r2 >= 0.97", 0.94321, "at most 0.943 with 95% confidence, beyond the bound of 0.97"),
    ],
)
def test_a_figure_and_its_limit_read_differently(gate, value, said):
    gate = Gate.parse(gate)
    measured = Measurement(StudentEstimate(value, 0.0, 9), gate.margin, None, None)
    assert decided(gate, measured, Level(0.05), passed=False).startswith(said)
