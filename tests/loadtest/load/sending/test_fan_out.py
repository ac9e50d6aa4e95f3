from collections import Counter

import pytest

from loadtest.experiment.experiment import Load
from loadtest.load.sending.fan_out import duet_with_control, pinned


def test_a_control_is_before_and_after_the_others_equally_often():
    versions = duet_with_control()
    orders = [versions(candidate_first) for candidate_first in [False] * 3 + [True] * 3]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    # each order once: before stable as often as behind it, and so for the candidate
    assert set(Counter(orders).values()) == {1}
    assert sum(order.index(2) < order.index(0) for order in orders) == 3


@pytest.mark.parametrize(
    ("load", "first"),
    [
        ({}, (0, 1)),
        ({"control": True}, (2, 0, 1)),
        ({"traffic": "candidate"}, (1,)),
    ],
)
def test_who_gets_an_arrival(load, first):
    assert pinned(Load(**load))(False) == first


def test_the_gateway_chooses_for_users():
    assert pinned(Load(traffic="canary")) is None
