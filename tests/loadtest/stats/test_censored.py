"""Quantiles behind a time-out: what can be claimed of them, and how often a claim is wrong."""

import math

import numpy as np
import pytest

from loadtest.stats.censored import CensoredQuantile, reaches_censored
from loadtest.stats.quantiles import Blocked

LIMIT, BLOCKS, EACH = 2.0, 12, 250
TIMES = np.arange(BLOCKS * EACH) / EACH


def blocked(latency):
    return Blocked.sort(np.minimum(latency, LIMIT), TIMES, BLOCKS, BLOCKS)


def fast(rng, censored):
    """Log-normal latencies around 10 ms, of which a share is censored at the limit."""
    latency = rng.lognormal(math.log(0.01), 0.5, len(TIMES))
    latency[rng.random(len(TIMES)) < censored] = LIMIT
    return latency


def against(stable, candidate, q, scale="difference", known=True):
    s = blocked(stable)
    reference = np.append(s.quantile(q), s.leave_one_out(q))
    return CensoredQuantile(blocked(candidate), q, LIMIT, scale, reference, known)


def level(candidate, q):
    return CensoredQuantile(blocked(candidate), q, LIMIT, "ratio", np.ones(BLOCKS + 1), True)


@pytest.mark.parametrize(
    ("share", "where", "reaches"),
    [
        (0.05, "anywhere", True),
        (0.001, "anywhere", False),
        # one block holds all: with it the quantile is hidden, without it not
        (0.02, "one block", True),
        # less than the quantile leaves beyond, but without a healthy block it is more
        (0.0098, "one block", True),
    ],
)
def test_a_quantile_is_hidden_where_any_of_its_estimates_is(share, where, reaches):
    latency = np.full(len(TIMES), 0.01)
    count = round(share * len(TIMES))
    places = np.arange(count) if where == "one block" else np.linspace(0, len(TIMES) - 1, count).astype(int)
    latency[places] = LIMIT
    assert reaches_censored(blocked(latency), 0.99, LIMIT) is reaches


def test_nothing_answered_is_above_every_bound_that_can_be_seen_and_below_none():
    dead = level(np.full(len(TIMES), LIMIT), 0.99)
    assert dead.p_above(math.log(1.9)) == 0
    assert dead.p_below(math.log(1.9)) == 1
    low, high = dead.interval(0.05)
    assert math.exp(low) == pytest.approx(LIMIT)
    assert high == math.inf
    assert math.isnan(dead.value)


def test_a_threshold_beyond_the_limit_can_be_met_and_never_missed():
    rng = np.random.default_rng(1)
    stable = fast(rng, 0.0)
    dead = against(stable, np.full(len(TIMES), LIMIT), 0.99)
    assert (dead.p_above(2.0), dead.p_below(2.0)) == (1.0, 1.0)
    # the median is far below the limit, whatever a third of the requests would have taken
    median = against(stable, fast(rng, 0.3), 0.5)
    assert median.p_below(2.0) < 0.001
    assert median.p_above(2.0) == 1.0


def test_a_reference_that_is_hidden_proves_no_harm():
    rng = np.random.default_rng(2)
    both = against(fast(rng, 0.05), fast(rng, 0.33), 0.99, known=False)
    assert both.p_above(0.0) == 1.0
    assert both.p_below(0.0) > 0.5
    assert both.interval(0.05) == (-math.inf, math.inf)
    # a candidate that answers is better than a reference of at least the limit
    assert against(fast(rng, 0.05), fast(rng, 0.0), 0.99, known=False).p_below(0.0) < 0.001


@pytest.mark.parametrize("scale", ["ratio", "difference"])
def test_the_interval_and_the_p_values_agree(scale):
    rng = np.random.default_rng(3)
    estimate = against(fast(rng, 0.0), fast(rng, 0.012), 0.98, scale)
    low, high = estimate.interval(0.05)
    step = 1e-6
    assert estimate.p_above(low - step) < 0.05 <= estimate.p_above(low + step)
    assert estimate.p_below(high + step) < 0.05 <= estimate.p_below(high - step)
    assert low < estimate.value < high


def test_a_candidate_at_the_bound_is_called_neither_too_often():
    """1% of the requests are never answered, so p99 is just at every bound between the rest and the limit."""
    rng, runs, alpha = np.random.default_rng(4), 600, 0.05
    estimates = [level(fast(rng, 0.01), 0.99) for _ in range(runs)]
    for rate in (
        np.mean([e.p_above(math.log(1.0)) < alpha for e in estimates]),
        np.mean([e.p_below(math.log(1.0)) < alpha for e in estimates]),
    ):
        assert rate < alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)
