import numpy as np
import pytest

from loadtest.stats.regimes import regimes

SHORTEST, MOST = 5.0, 12


def poisson(*parts, seed=1):
    """Arrivals of ``(seconds, rate)`` in turn, and how long they last."""
    rng, begin, times = np.random.default_rng(seed), 0.0, []
    for seconds, rate in parts:
        times.append(begin + np.sort(rng.uniform(0, seconds, rng.poisson(seconds * rate))))
        begin += seconds
    return np.concatenate(times), begin


def found(*parts, seed=1):
    times, duration = poisson(*parts, seed=seed)
    return regimes(times, duration, SHORTEST, MOST), len(times)


def test_a_constant_rate_is_one_regime():
    # 200 records: at most 2% show a change that is none
    many = sum(len(found((60, 20), seed=seed)[0]) > 1 for seed in range(200))
    assert many <= 4


@pytest.mark.parametrize(
    ("seconds", "rate", "quiet"),
    [
        (20, 60, 20),
        # most of the record's arrivals come within six seconds
        (6, 150, 2),
        (6, 1500, 2),
        # as short as a regime can be
        (5, 50, 5),
    ],
)
def test_a_spike_is_found_where_it_is(seconds, rate, quiet):
    parts, count = found((40, quiet), (seconds, rate), (40, quiet))
    assert [part.end for part in parts] == pytest.approx([40, 40 + seconds, 80 + seconds], abs=2.6)
    assert parts[-1].end == 80 + seconds
    assert sum(part.arrivals for part in parts) == count


def test_bursts_that_come_again_are_found_each():
    parts, _ = found((30, 10), (7, 100), (30, 10), (7, 100), (30, 10))
    assert len(parts) == 5


def test_a_pause_is_one():
    parts, _ = found((30, 20), (20, 0), (30, 20))
    assert len(parts) == 3
    assert parts[1].arrivals < 20 * 2.6


def test_bursts_are_none():
    times, duration = poisson((100, 20))
    rng = np.random.default_rng(2)
    # of half a second each, twenty times the rate
    bursts = np.concatenate([at + rng.uniform(0, 0.5, 200) for at in rng.uniform(0, 99, 12)])
    assert len(regimes(np.sort(np.concatenate([times, bursts])), duration, SHORTEST, MOST)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_regimes_are_few_and_long_enough(seed):
    rates = np.random.default_rng(seed).uniform(1, 500, 60)
    parts, count = found(*((7.0, rate) for rate in rates), seed=seed)
    ends = [0.0, *(part.end for part in parts)]
    assert 2 <= len(parts) <= MOST
    assert np.diff(ends).min() >= SHORTEST - 1e-9
    assert sum(part.arrivals for part in parts) == count


@pytest.mark.parametrize("duration", [0.5, 5.0, 9.9])
def test_what_is_short_is_one(duration):
    parts = regimes(np.array([0.1, 0.2]), duration, SHORTEST, MOST)
    assert [(part.end, part.arrivals) for part in parts] == [(duration, 2)]
