"""The jackknife against brute force, and its coverage on bursts that fool independent methods."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtest.stats.quantiles import Blocked, block_count, difference, jackknife, log_level, log_ratio


@pytest.mark.parametrize(
    ("seconds", "blocks"),
    [
        (10, 0),  # too short for twelve blocks that are nearly independent
        (29.9, 12),  # random arrivals rarely fill the last second
        (30, 12),
        (60, 12),
        (100, 20),  # blocks of 5 s
        (300, 30),  # no more than thirty: longer runs get longer blocks
        (3600, 30),
    ],
)
def test_block_count(seconds, blocks):
    assert block_count(seconds) == blocks


@given(
    st.lists(
        st.sampled_from([0.01, 0.02, 0.02, 0.05, 0.3, 1.7]) | st.floats(0.001, 2), min_size=40, max_size=90
    ),
    st.floats(0.05, 0.95),
    st.integers(0, 9),
)
def test_leave_one_out_is_the_quantile_of_the_rest(values, q, seed):
    values = np.array(values)
    times = np.random.default_rng(seed).uniform(0, 60, len(values))
    blocked = Blocked.sort(values, times, 60.0, 6)
    expected = [np.quantile(values[(times // 10).astype(int) != i], q) for i in range(6)]
    assert blocked.leave_one_out(q) == pytest.approx(expected)
    assert blocked.quantile(q) == np.quantile(values, q)


def test_leave_one_out_of_more_values_than_one_stride():
    values, times = np.random.default_rng(3).lognormal(size=9_000), np.arange(9_000.0)
    blocked = Blocked.sort(values, times, 9_000.0, 6)
    kept = [np.sort(values[times // 1500 != i]) for i in range(6)]
    # the first, those on both sides of a stride's end, the last, and past it
    for rank in (0, 3500, 4095, 4096, 5000, 7499, 7500):
        expected = [k[rank] if rank < len(k) else values.max() for k in kept]
        assert [blocked.without(i, rank) for i in range(6)] == expected
    for place in (0, 1, 4095, 4096, 4097, 8192, 9000):
        assert sum(blocked.before(i, place) for i in range(6)) == place
        assert blocked.before(2, place) == np.count_nonzero(blocked.block[:place] == 2)


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.array([3.0, 5.0, 4.0, 9.0, 2.0])
    estimate = jackknife(values.mean(), (values.sum() - values) / 4)
    expected = stats.t.interval(0.9, 4, loc=values.mean(), scale=stats.sem(values))
    assert estimate.interval(0.05) == pytest.approx(expected)
    assert estimate.p_above(3.0) == pytest.approx(
        stats.ttest_1samp(values, 3.0, alternative="greater").pvalue
    )
    assert estimate.p_below(6.0) == pytest.approx(stats.ttest_1samp(values, 6.0, alternative="less").pvalue)


def test_constant_latency_has_no_width():
    blocked = Blocked.sort(np.full(600, 2.0), np.linspace(0, 60, 600), 60.0, 12)
    estimate = log_ratio(blocked, blocked, 0.99)
    assert estimate.interval(0.05) == (0.0, 0.0)
    assert (estimate.p_above(-0.1), estimate.p_above(0.1)) == (0.0, 1.0)


def bursts(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Latencies of one version: log-normal, and in a tenth of the seconds a shared delay of its own size."""
    slow = np.where(rng.random(61) < 0.1, rng.exponential(0.05, 61), 0.0)
    return rng.lognormal(-4.6, 0.4, len(times)) + slow[times.astype(int)]


def test_false_alarms_on_bursts_stay_at_the_level_where_independence_does_not():
    rng, runs = np.random.default_rng(11), 300
    alarms = {"jackknife": 0, "independent": 0}
    for _ in range(runs):
        times = rng.uniform(0, 60, 3000)
        pair = [bursts(rng, times) for _ in range(2)]
        s, c = (Blocked.sort(values, times, 60.0, 12) for values in pair)
        alarms["jackknife"] += log_ratio(s, c, 0.95).interval(0.05)[0] > 0
        # an exact interval of each quantile by order statistics, right for independent requests only
        low, high = (int(stats.binom.ppf(p, 3000, 0.95)) for p in (0.0125, 0.9875))
        alarms["independent"] += c.values[low] > s.values[high]
    assert alarms["jackknife"] / runs <= 0.085  # 5% and three standard errors of 300 runs
    assert alarms["independent"] / runs > 0.15


def test_intervals_cover_the_truth():
    rng, runs, truth = np.random.default_rng(7), 300, float(np.exp(-4.6 + 0.4 * stats.norm.ppf(0.9)))
    covered = np.zeros(3)
    for _ in range(runs):
        times = rng.uniform(0, 60, 3000)
        s, c = (
            Blocked.sort(rng.lognormal(-4.6, 0.4, 3000) * factor, times, 60.0, 12) for factor in (1.0, 1.1)
        )
        expected = (np.log(1.1), 0.1 * truth, np.log(1.1 * truth))
        estimates = (log_ratio(s, c, 0.9), difference(s, c, 0.9), log_level(c, 0.9))
        for i, (estimate, true) in enumerate(zip(estimates, expected, strict=True)):
            low, high = estimate.interval(0.05)
            covered[i] += low <= true <= high
    assert np.all(np.abs(covered / runs - 0.9) < 0.055)  # 90% and three standard errors


def test_what_one_pause_delays_together_counts_as_little_as_one_event():
    rng = np.random.default_rng(4)
    at = np.sort(rng.uniform(0, 60, 6_000))
    latency = rng.lognormal(-4, 0.3, 6_000)
    paused = np.where((at > 30) & (at < 31), 1.0, latency)
    assert Blocked.sort(latency, at, 60.0, 12).beyond(0.99) > 25
    assert Blocked.sort(paused, at, 60.0, 12).beyond(0.99) < 5
    # the rarer side, and ties
    assert Blocked.sort(latency, at, 60.0, 12).beyond(0.1) > 200
    assert Blocked.sort(np.full(6_000, 2.0), at, 60.0, 12).beyond(0.5) == 6_000
