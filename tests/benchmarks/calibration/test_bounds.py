"""The calibration of gates on scores against a bound: what is there is kept, what is missing is measured."""

import math

import pytest

from benchmarks.calibration import bounds, regression

KEPT = [
    {"what": f"{gate.partition(' ')[0]}, 0.1", "size": bounds._size(*size), "runs": 8}
    for gate in (*bounds.ROOM, *bounds.FEW)
    for size in (bounds.CELLS if gate in bounds.ROOM else bounds.FEW_CELLS)
]


def test_what_has_as_many_runs_is_kept_and_after_the_time_everything_is():
    assert [*bounds.measure(2, 1, KEPT)] == KEPT
    assert [*bounds.measure(1000, 1, KEPT, until=-math.inf)] == KEPT
    assert [*bounds.measure(1000, 1, KEPT[:3], until=-math.inf)] == KEPT[:3]
    assert [*regression.measure(1, 1, until=-math.inf)] == []


@pytest.mark.parametrize("gate", ["ece <= 0.9", "recall@precision=0.8 >= 0.1"])
def test_a_bound_with_more_room_passes_more_often(gate):
    row = bounds.cell(gate, 400, 0.5, 12, 1, many=20_000)
    assert row["pass_room"] >= row["wrong_pass"]
    assert row["wrong_pass"] < 0.5
