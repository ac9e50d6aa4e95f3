"""Always-valid tests: exact where that can be computed, honest under constant looking where not."""

import math

import numpy as np
import pytest
from scipy import stats

from loadtest.stats.sequential import (
    EQUAL_ODDS,
    ERROR_ODDS,
    RHO2,
    STAKES,
    PairedBets,
    TwoSampleBets,
    anytime_p,
    level_at,
    lower_bounds,
    paired_log_e,
)


@pytest.mark.parametrize("margin", [-0.1, 0.0, 0.01, 0.3])
def test_paired_evidence_is_a_fair_game_at_the_margin(margin):
    # one pair whose mean difference is exactly the margin: the expected wealth is exactly 1
    for lost in (0.05, 0.3):
        gained = lost + margin
        outcomes = [(1, 0, gained), (0, 1, lost), (0, 0, 1 - gained - lost)]
        if gained >= 0:
            expected = sum(p * math.exp(paired_log_e(b, c, 1, margin)) for b, c, p in outcomes)
            assert expected == pytest.approx(1.0)


def test_paired_evidence_without_margin_counts_discordant_pairs_only():
    assert paired_log_e(9, 2, 11, 0.0) == pytest.approx(paired_log_e(9, 2, 100_000, 0.0))
    by_hand = np.log(np.mean((1 + STAKES) ** 9 * (1 - STAKES) ** 2))
    assert paired_log_e(9, 2, 11, 0.0) == pytest.approx(by_hand)


def test_paired_interval_closes_in_and_agrees_with_the_evidence():
    low, high = PairedBets(120, 80, 2000).interval(0.05)
    assert low < 0.02 < high
    assert paired_log_e(120, 80, 2000, low) == pytest.approx(math.log(20), abs=1e-3)
    assert paired_log_e(80, 120, 2000, -high) == pytest.approx(math.log(20), abs=1e-3)
    longer = PairedBets(1200, 800, 20_000).interval(0.05)
    assert longer[1] - longer[0] < (high - low) / 2
    assert PairedBets(0, 0, 0).interval(0.05) == (-1.0, 1.0)  # nothing is known yet


def test_looking_after_every_pair_costs_nothing():
    rng, runs, pairs = np.random.default_rng(3), 500, 3000
    draws = rng.random((runs, pairs))
    gained, lost = np.cumsum(draws < 0.06, axis=1), np.cumsum(draws > 0.95, axis=1)  # 1 point apart
    n = np.arange(1, pairs + 1)
    ever = np.array([paired_log_e(g, c, n, 0.01).max() for g, c in zip(gained, lost, strict=True)])
    assert np.mean(ever >= math.log(20)) <= 0.05
    # a fixed-size test that is looked at as often cries wolf
    z = (gained - lost - 0.01 * n) / np.sqrt(np.maximum(gained + lost, 1))
    assert np.mean((z[:, 50:] > stats.norm.isf(0.05)).any(axis=1)) > 0.25


@pytest.mark.parametrize("above", [True, False])
def test_two_sample_evidence_is_no_better_than_fair_under_the_hypothesis(above):
    """One update after known history, its expectation by enumeration of all outcomes."""
    for p_stable, margin in ((0.05, 0.0), (0.2, 0.02)):
        edge = p_stable + margin
        for p_candidate in (edge, edge * (0.7 if above else 1.3)):  # on the edge and well inside
            odds = ERROR_ODDS if above else EQUAL_ODDS
            kc, ks = np.meshgrid(np.arange(5), np.arange(13), indexing="ij")
            bets = TwoSampleBets(margin, odds, above=above, shape=kc.shape)
            zero = np.zeros(kc.shape)
            bets.update(zero, zero, zero + round(100 * p_stable), zero + 100)
            bets.update(kc, zero + 4, ks, zero + 12)
            chance = stats.binom.pmf(kc, 4, p_candidate) * stats.binom.pmf(ks, 12, p_stable)
            assert np.sum(chance * np.exp(bets.log_e)) <= 1 + 1e-6


def test_two_sample_bets_find_a_tenfold_error_rate_within_seconds():
    rng = np.random.default_rng(4)
    bets = TwoSampleBets(0.0, ERROR_ODDS, above=True, shape=(200,))
    found = np.full(200, np.inf)
    for second in range(1, 61):
        bets.update(rng.binomial(10, 0.05, 200), 10, rng.binomial(90, 0.005, 200), 90)
        found[(bets.log_e >= math.log(20)) & np.isinf(found)] = second
    assert np.median(found) <= 10


def test_lower_bound_is_the_formula_and_waits():
    windows = np.random.default_rng(5).normal(1.0, 2.0, 40)
    bounds = lower_bounds(windows, 0.05)
    t, rho2 = 40, 0.1
    width = math.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * math.log(1 + math.sqrt(t * rho2 + 1) / 0.1))
    assert bounds[-1] == pytest.approx(windows.mean() - windows.std(ddof=1) * width)
    assert np.all(np.isinf(bounds[:9]))


def test_lower_bounds_hold_at_all_times_at_once():
    windows = np.random.default_rng(6).exponential(1.0, (2000, 360)) - 1.0
    assert np.mean((lower_bounds(windows, 0.05) > 0).any(axis=1)) <= 0.06


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
@pytest.mark.parametrize("late", [0.0, 0.5])
def test_betting_anew_is_no_better_than_a_fair_game(share, late):
    # 40 outcomes of stable with the share's own number of hits, then one outcome of each, twice
    expected = 0.0
    for outcomes in np.ndindex(2, 2, 2, 2):
        bets = TwoSampleBets(0.0, ERROR_ODDS, above=True, late=late)
        bets.update(0, 0, 40 * share, 40)
        bets.update(outcomes[0], 1, outcomes[1], 1)
        bets.update(outcomes[2], 1, outcomes[3], 1)
        chance = np.prod([share if hit else 1 - share for hit in outcomes])
        expected += chance * math.exp(bets.log_e)
    assert expected <= 1 + 1e-9


def test_harm_that_begins_late_is_found_sooner_by_betting_anew():
    rng = np.random.default_rng(8)
    found = {}
    for late in (0.0, 0.5):
        bets = TwoSampleBets(0.0, ERROR_ODDS, above=True, shape=(100,), late=late)
        seconds = np.full(100, np.inf)
        for second in range(600):
            failing = 0.005 if second < 300 else 0.05
            bets.update(rng.binomial(10, failing, 100), 10, rng.binomial(90, 0.005, 100), 90)
            seconds[np.isinf(seconds) & (bets.log_e >= math.log(20))] = second
        found[late] = np.median(seconds)
    assert 300 < found[0.5] < found[0.0] < 360


def test_analyses_without_outcomes_change_nothing_of_what_was_won():
    bets = TwoSampleBets(0.0, ERROR_ODDS, above=True)
    bets.update(0, 10, 0, 90)
    bets.update(3, 10, 0, 90)
    before = float(bets.log_e)
    bets.update(0, 0, 0, 0)
    assert bets.log_e == before > 0


@pytest.mark.parametrize(("seconds", "alpha"), [(10, 0.05), (60, 0.05), (60, 0.01), (3600, 0.05)])
def test_the_level_of_an_analysis_is_the_boundary_of_the_asymptotic_sequence(seconds, alpha):
    windows = np.random.default_rng(1).normal(3.0, 2.0, seconds)
    error = windows.std(ddof=1) / math.sqrt(seconds)
    by_level = windows.mean() - stats.norm.isf(level_at(seconds, alpha)) * error
    assert by_level == pytest.approx(lower_bounds(windows, alpha, RHO2)[-1])


@pytest.mark.parametrize("seconds", [10.0, 70.0, 900.0])
def test_a_p_value_for_many_analyses_agrees_with_their_level(seconds):
    for alpha in (0.2, 0.05, 0.01, 1e-6):
        assert anytime_p(level_at(seconds, alpha), seconds) == pytest.approx(alpha, rel=1e-6)
    assert anytime_p(0.0, seconds) == 0.0
    assert anytime_p(1e-300, seconds) < 1e-100
    assert anytime_p(0.9, seconds) == 1.0
    # looking often costs something
    assert anytime_p(0.01, seconds) > 0.01


def test_a_thousand_analyses_at_a_growing_mean_alarm_no_more_often_than_promised():
    walks = np.random.default_rng(2).normal(size=(2_000, 1_000)).cumsum(axis=1)
    seconds = np.arange(1, 1_001)
    limit = np.array([stats.norm.isf(level_at(s, 0.05)) for s in seconds])
    crossed = (walks / np.sqrt(seconds) > limit).any(axis=1).mean()
    assert 0.02 < crossed < 0.05
    # one analysis' level at each of them
    assert (walks / np.sqrt(seconds) > stats.norm.isf(0.05)).any(axis=1).mean() > 0.4


def test_paired_bets_are_an_estimate_whose_interval_and_p_values_agree():
    bets = PairedBets(gained=40, lost=90, pairs=2_000)
    assert bets.value == pytest.approx(-0.025)
    low, high = bets.interval(0.05)
    assert low < bets.value < high
    assert bets.p_below(high) == pytest.approx(0.05, rel=1e-3)
    assert bets.p_above(low) == pytest.approx(0.05, rel=1e-3)
    assert bets.p_above(0.0) == 1.0
