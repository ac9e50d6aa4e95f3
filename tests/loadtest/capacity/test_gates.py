"""Gates on capacity, from points that were found before."""

import pytest

from loadtest.capacity.gates import check, corrected, judge, together
from loadtest.capacity.report import Point, cheapest, point
from loadtest.capacity.search import Capacity
from loadtest.errors import GateError
from loadtest.experiment.gate import Gate
from loadtest.judge.verdict import Word


def at(rate, low, high, cpus=0.5):
    return Point(
        cpus=cpus,
        capacity=rate,
        interval=(low, high),
        precise=True,
        exceeded_first="latency",
        trials=12,
        requests=1,
    )


STABLE = at(200.0, 194.0, 206.0)
CASES = [
    # well within the margin
    ("capacity >= stable - 10%", at(200.0, 195.0, 205.0), Word.PASS),
    # half as much
    ("capacity >= stable - 10%", at(100.0, 97.0, 103.0), Word.FAIL),
    # 10% less, give or take
    ("capacity >= stable - 10%", at(180.0, 174.0, 186.0), Word.INCONCLUSIVE),
    # 7% less with so wide an interval is no proof
    ("capacity >= stable - 10%", at(186.0, 160.0, 210.0), Word.INCONCLUSIVE),
    ("capacity >= stable - 30/s", at(190.0, 185.0, 195.0), Word.PASS),
    ("capacity >= 150/s", at(160.0, 155.0, 165.0), Word.PASS),
    ("capacity >= 150/s", at(140.0, 135.0, 145.0), Word.FAIL),
    # nothing that was tried was too much
    ("capacity >= 150/s", at(400.0, 390.0, None), Word.PASS),
    # no rate met the objective
    ("capacity >= 150/s", at(None, None, 10.0), Word.FAIL),
    ("capacity >= stable - 10%", at(None, None, 10.0), Word.INCONCLUSIVE),
]


@pytest.mark.parametrize(("gate", "candidate", "word"), CASES)
def test_gates(gate, candidate, word):
    result = judge(Gate.parse(gate), STABLE, candidate, 0.95)
    assert result.verdict is word
    assert result.reason


def test_the_interval_of_a_ratio_is_put_together_from_both():
    result = judge(Gate.parse("capacity >= stable - 10%"), STABLE, at(180.0, 175.0, 185.0), 0.95)
    assert result.estimate == pytest.approx(-10)
    # log half-widths of 2.8% and 3% add up as the sides of a right angle: 4.1%
    assert result.interval[0] == pytest.approx(-13.6, abs=0.2)
    assert result.interval[1] == pytest.approx(-6.3, abs=0.2)


def test_a_fail_outweighs_an_undecided_gate():
    results = [judge(Gate.parse(g), STABLE, c, 0.95) for g, c, _ in CASES[1:3]]
    assert together(results, (), [True, False])[0] is Word.FAIL


def test_one_fail_of_many_must_hold_after_correction():
    """Of 3 limits, one is beyond its margin at 95%, not at 98.3%."""
    assert corrected(0.95, 3) == pytest.approx(0.98333, abs=1e-4)
    results = [judge(Gate.parse(g), STABLE, c, 0.95) for g, c, _ in (CASES[0], CASES[1], CASES[0])]
    word, reason = together(results, (), [False, False, False])
    assert word is Word.INCONCLUSIVE
    assert "with 3 answers one fails by chance too often" in reason


@pytest.mark.parametrize("gate", ["p99 <= 100ms", "throughput >= stable - 5%"])
def test_other_gates_are_refused(gate):
    with pytest.raises(GateError, match="knows one metric"):
        check([Gate.parse(gate)])


def test_cost_and_the_cheapest_limit():
    found = Capacity(200.0, 190.0, 210.0, 12, 9000, True, "latency")
    # 0.5 CPU at 0.04 an hour is 0.02 an hour for 720,000 predictions
    assert point(found, 0.5, 0.04).cost_per_million == pytest.approx(0.02 / 0.72)
    assert point(found, None, 0.04).cost_per_million is None
    points = (at(90.0, 85.0, 95.0, 0.25), at(180.0, 170.0, 190.0, 0.5), at(380.0, 360.0, 400.0, 1.0))
    assert cheapest(points, 80) == 0.25
    assert cheapest(points, 180) == 1.0  # 0.5 may not be enough
    assert cheapest(points, 500) is None
