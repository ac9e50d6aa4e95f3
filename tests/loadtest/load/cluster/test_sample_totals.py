import numpy as np
import pytest

from loadtest.load.cluster.sample_totals import SampleTotals
from loadtest.load.live.counts import LiveCounts
from tests.loadtest.made_samples import Sample, sample_set

BASE = Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)


def pieces_of(lags, size):
    samples = [
        BASE._replace(row=n, scheduled_at=n / 2, sent_at=n / 2 + lag, done_at=n / 2 + 1)
        for n, lag in enumerate(lags)
    ]
    return [sample_set(samples[at : at + size]) for at in range(0, len(samples), size)]


def counted(pieces):
    counts = LiveCounts(0.25)
    for piece in pieces:
        counts.add(piece)
    return counts


@pytest.mark.parametrize(
    ("lags", "size"),
    [
        ([0.001], 1),
        # the quantile lies between two values, far apart and near
        ([0.001, 0.9], 1),
        (np.linspace(0.001, 0.002, 100), 7),
        # all alike, all in one bucket, over many magnitudes, and before time by what floats may differ
        (np.full(250, 0.0005), 50),
        (np.random.default_rng(1).lognormal(-8, 1, 5000), 400),
        (np.random.default_rng(2).lognormal(-3, 4, 999).clip(0, 0.9), 100),
        ([-1e-7, 0.0, 0.0], 2),
    ],
)
def test_the_quantile_of_pieces_is_that_of_the_whole_to_the_last_digit(lags, size):
    pieces = pieces_of(lags, size)
    totals = SampleTotals(counted(pieces))
    whole = np.concatenate([piece.sent_at - piece.scheduled_at for piece in pieces])
    exact = np.quantile(whole, 0.99)
    assert totals.lag_p99 == pytest.approx(exact, rel=0.6 if len(lags) < 100 else 0.02, abs=1e-4)
    assert [len(piece) for piece in totals.read(pieces)] == [len(piece) for piece in pieces]
    assert totals.lag_p99 == exact


def test_what_is_counted_and_what_is_read():
    failed = BASE._replace(
        role="candidate", status=503, error="http 503", prediction=None, correct=False, worker=1, sent_at=0.05
    )
    pieces = [sample_set([BASE, failed]), sample_set([]), sample_set([failed._replace(row=1)])]
    totals = SampleTotals(counted(pieces), (1,))
    assert (totals.requests("stable"), totals.requests("candidate"), len(totals)) == (1, 2, 3)
    assert (totals.errors, totals.last_sent) == ({}, 0.0)
    assert sum(map(len, totals.read(pieces))) == 3
    assert (totals.errors, totals.last_sent) == ({"http 503": 2}, 0.05)
    # two samples of one moment
    assert (totals.arrivals(1), totals.arrivals(0)) == (1, 0)


def test_nothing_at_all():
    totals = SampleTotals(LiveCounts(0.25))
    assert list(totals.read([])) == []
    assert totals.lag_p99 is None


def test_a_request_of_several_rows_is_one_request():
    rows = [
        BASE._replace(
            row=n, place=n, request_rows=3, error="timeout", prediction=None, status=0, correct=n > 0
        )
        for n in range(3)
    ]
    totals = SampleTotals(counts := counted([sample_set([*rows, BASE._replace(row=9)])]))
    list(totals.read([sample_set([*rows, BASE._replace(row=9)])]))
    assert (totals.requests("stable"), totals.errors) == (2, {"timeout": 1})
    assert (counts.roles["stable"].errors, counts.roles["stable"].labelled) == (1, 4)
