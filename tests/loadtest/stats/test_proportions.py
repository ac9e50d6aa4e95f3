"""Intervals of shares against published figures and against independent computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtest.stats.proportions import IndependentDifference, PairedDifference, Share, design_effect


@pytest.mark.parametrize(
    ("gained", "lost", "pairs", "low", "high"),
    [
        # Fagerland, Lydersen and Laake 2014, BMC Medical Research Methodology 14: airway reactivity
        (1, 7, 21, -0.517, -0.026),
        # same paper: complete response before and after consolidation therapy
        (6, 16, 161, -0.124, -0.00543),
        # no discordant pair at all: z^2 / (n + z^2)
        (0, 0, 54, -(1.959964**2) / (54 + 1.959964**2), 1.959964**2 / (54 + 1.959964**2)),
        (54, 0, 54, 0.8672, 1.0),  # every pair discordant
    ],
)
def test_tango_matches_published_intervals(gained, lost, pairs, low, high):
    assert PairedDifference(gained, lost, pairs).interval(0.025) == pytest.approx((low, high), abs=6e-4)


def quartic(b: int, c: int, n: int, z: float) -> tuple[float, float]:
    """Tango's ends without iteration: Yang, Sun and Hardin 2012, Statistics in Medicine 32."""
    g, d = z * z, b - c
    roots = np.roots([
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * ((b + c) / g + 1),
        n * d * (2 * (b + c) / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - (b + c)) / g,
    ])  # fmt: skip
    real = np.sort(roots[np.abs(roots.imag) < 1e-6].real)
    return float(real[0]), float(real[-1])


@pytest.mark.parametrize(
    ("b", "c", "n"), [(40, 20, 160), (12, 2, 50), (3, 30, 3000), (9, 16, 173), (1, 9, 40)]
)
def test_tango_matches_the_closed_form(b, c, n):
    assert PairedDifference(b, c, n).interval(0.05) == pytest.approx(quartic(b, c, n, 1.6448536), abs=1e-6)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200), st.sampled_from([0.01, 0.05, 0.2]))
def test_tango_interval_and_test_agree_and_mirror(gained, lost, same, alpha):
    estimate = PairedDifference(gained, lost, gained + lost + same + 1)
    low, high = estimate.interval(alpha)
    assert -1 <= low <= estimate.value <= high <= 1
    for end, p_value in ((low, estimate.p_above), (high, estimate.p_below)):
        if -1 < end < 1 and end != estimate.value:
            assert p_value(end) == pytest.approx(alpha, abs=1e-4)
    mirrored = PairedDifference(lost, gained, estimate.pairs).interval(alpha)
    assert mirrored == pytest.approx((-high, -low), abs=1e-7)


@pytest.mark.parametrize(
    ("candidate", "stable", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17: Table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_matches_its_table(candidate, stable, low, high):
    estimate = IndependentDifference(*candidate, *stable)
    assert estimate.interval(0.025) == pytest.approx((low, high), abs=1e-4)


def test_newcombe_p_value_is_the_level_at_which_the_interval_touches():
    estimate = IndependentDifference(56, 70, 48, 80)
    low, high = estimate.interval(0.03)
    assert estimate.p_above(low) == pytest.approx(0.03, rel=1e-3)
    assert estimate.p_below(high) == pytest.approx(0.03, rel=1e-3)


@pytest.mark.parametrize(("hits", "trials"), [(0, 300), (1, 300), (150, 300), (299, 300), (300, 300)])
def test_share_is_clopper_pearson(hits, trials):
    share = Share(hits, trials)
    exact = stats.binomtest(hits, trials).proportion_ci(0.90, method="exact")
    assert share.interval(0.05) == pytest.approx((exact.low, exact.high))
    margin = 0.4
    assert share.p_above(margin) == pytest.approx(stats.binomtest(hits, trials, margin, "greater").pvalue)
    assert share.p_below(margin) == pytest.approx(stats.binomtest(hits, trials, margin, "less").pvalue)


@pytest.mark.parametrize(
    ("same_second", "low", "high"),
    [
        (1, 0.999, 1.3),  # independent outcomes count in full
        (40, 20, 60),  # outcomes that come forty at a time count for about one in forty
    ],
)
def test_design_effect_sees_bursts(same_second, low, high):
    rng = np.random.default_rng(5)
    outcomes = np.repeat(rng.random(24_000 // same_second) < 0.1, same_second).astype(float)
    blocks = 120
    block = np.arange(len(outcomes)) * blocks // len(outcomes)
    assert low <= design_effect(outcomes, block, blocks) <= high


def test_design_effect_of_constant_outcomes_is_one():
    assert design_effect(np.zeros(100), np.arange(100) % 10, 10) == 1.0
