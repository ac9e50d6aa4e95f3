"""The calibration of gates on scores against a bound: what is there is kept, what is missing is measured."""

import math

import numpy as np
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


RATES = [
    # all of it is beyond the bound: FAIL
    ((0.55, 0.62), (1, 0, 0)),
    # on its good side: PASS
    ((0.38, 0.45), (0, 1, 1)),
    # about it, and within the room
    ((0.45, 0.55), (0, 0, 1)),
    # neither
    ((0.45, 0.65), (0, 0, 0)),
]


@pytest.mark.parametrize(("ends", "expected"), RATES)
def test_what_an_interval_means_at_its_true_value_and_with_room(ends, expected):
    lower = bounds.rates(np.array([ends]), 0.5, 0.1, higher_is_better=False)
    # the other way round about 0.5
    higher = bounds.rates(1 - np.array([ends])[:, ::-1], 0.5, 0.1, higher_is_better=True)
    assert lower == higher
    assert (lower["alarm"], lower["wrong_pass"], lower["pass_room"]) == expected


# of few positive rows the recall is less than the room: a bound below 0 would always be met
@pytest.mark.parametrize(("share", "most"), [(0.1, 0.06), (0.5, 0.1)])
def test_the_easy_bound_of_a_metric_of_which_more_is_better_is_above_0(share, most):
    row = bounds.cell("recall@precision=0.8 >= 0.1", 400, share, 4, 1, many=20_000)
    truth = float(row["what"].rpartition(", ")[2])
    assert row["room"] == pytest.approx(min(0.1, truth / 2), abs=0.001)
    assert row["room"] <= most
