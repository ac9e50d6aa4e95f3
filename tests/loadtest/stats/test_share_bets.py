"""One share that is looked at at every moment: how often it is wrong, by simulation and by exact counts."""

import math

import numpy as np
import pytest
from scipy import stats

from loadtest.stats.proportions import Share
from loadtest.stats.share_bets import ShareBets


@pytest.mark.parametrize("truth", [0.995, 0.9, 0.5])
def test_no_false_claim_at_any_moment_in_more_than_5_percent_of_runs(truth):
    rng = np.random.default_rng(2)
    runs, rows = 400, 1200
    wrong = {"above": 0, "below": 0}
    for hits in np.cumsum(rng.random((runs, rows)) < truth, axis=1):
        # between two misses the evidence moves one way, so its extremes stand where a miss or its eve does
        moments = np.unique(np.r_[np.flatnonzero(np.diff(hits) == 0)[:200], np.arange(0, rows, 40), rows - 1])
        bets = [ShareBets(float(hits[n]), n + 1.0) for n in moments.tolist()]
        wrong["above"] += min(b.p_above(truth) for b in bets) <= 0.05
        wrong["below"] += min(b.p_below(truth) for b in bets) <= 0.05
    # 5% of 400 runs, and three standard errors
    assert max(wrong.values()) <= 20 + 13


@pytest.mark.parametrize(
    ("hits", "trials"), [(995, 1000), (500, 1000), (1000, 1000), (0, 50), (3, 7), (1, 1)]
)
def test_intervals_and_p_values_agree_and_are_wider_than_those_of_one_look(hits, trials):
    bets = ShareBets(hits, trials)
    low, high = bets.interval(0.05)
    once = Share(hits, trials).interval(0.05)
    assert 0 <= low <= once[0] <= bets.value <= once[1] <= high <= 1
    if low > 0:
        assert bets.p_above(low) == pytest.approx(0.05)
        assert bets.p_above(0.9 * low) < 0.05
    if high < 1:
        assert bets.p_below(high) == pytest.approx(0.05)


def test_evidence_far_on_the_other_side_is_none():
    bets = ShareBets(500_000, 1_000_000)
    assert (bets.p_above(0.99), bets.p_below(0.01)) == (1.0, 1.0)
    assert (bets.p_above(0.01), bets.p_below(0.99)) == (0.0, 0.0)
    assert (bets.p_above(0.0), bets.p_below(1.0), bets.p_below(0.0)) == (0.0, 0.0, 1.0)


def test_how_many_rows_without_a_difference_show_a_bound():
    needed = {
        kind: next(n for n in range(1, 5000) if kind(n, n).p_above(0.995) < 0.05)
        for kind in (Share, ShareBets)
    }
    assert needed[Share] == math.ceil(math.log(0.05) / math.log(0.995)) == 598
    assert 598 < needed[ShareBets] < 1000


@pytest.mark.parametrize("rows", [200, 1000, 10_000])
@pytest.mark.parametrize("bound", [0.9, 0.99, 0.995])
def test_the_verdict_of_one_look_is_wrong_in_at_most_5_percent_counted_out(rows, bound):
    chances = stats.binom.pmf(np.arange(rows + 1), rows, bound)
    likely = np.flatnonzero(chances > 1e-9)
    passes, fails = (
        sum(chances[k] for k in likely if p(Share(float(k), float(rows))) < 0.05)
        for p in (lambda s: s.p_above(bound), lambda s: s.p_below(bound))
    )
    assert passes <= 0.05 + 1e-6
    assert fails <= 0.05 + 1e-6


@pytest.mark.parametrize(
    "values",
    [
        # a share of two rows, of three, and of many
        (0.0, 0.5, 1.0),
        (0.0, 1 / 3, 2 / 3, 1.0),
        tuple(np.linspace(0, 1, 20)),
    ],
)
def test_shares_of_rows_as_outcomes_are_on_the_safe_side(values):
    rng = np.random.default_rng(6)
    truth, trials = float(np.mean(values)), 200
    drawn = rng.choice(values, (100, trials)).cumsum(axis=1)
    wrong = {"above": 0, "below": 0}
    for hits in drawn:
        seen = [ShareBets(hits[n - 1], float(n)) for n in range(10, trials + 1, 10)]
        wrong["above"] += any(one.p_above(truth) <= 0.05 for one in seen)
        wrong["below"] += any(one.p_below(truth) <= 0.05 for one in seen)
    # yes and no would give up to 5%: 100 runs 11 or more in 1% of cases
    assert max(wrong.values()) <= 5
