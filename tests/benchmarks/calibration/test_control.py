"""Simulated runs with a control."""

from benchmarks.calibration.control import CASES, cell
from benchmarks.calibration.simulator import CALM
from loadtest.judge.verdict import Word


def test_runs_in_pieces_are_the_runs_at_once():
    case, seed = CASES[1], [1, 2]
    first = cell(case, CALM, 1, seed, {}, block=1)
    rest = cell(case, CALM, 3, seed, first, block=1)
    assert rest == cell(case, CALM, 3, seed, {}, block=1)
    assert (first["runs"], rest["runs"]) == (1, 3)
    for judged in ("control", "plain"):
        assert sum(rest[f"{judged}_{word.value.lower()}"] for word in Word) == 1
    # fewer than there are: none is measured
    assert cell(case, CALM, 2, seed, rest) == rest
