import numpy as np
import pytest

from loadtest.load.live.counts import LiveCounts
from loadtest.load.live.progress import Progress
from tests.loadtest.made_samples import Sample, sample_set


def sample(role, latency, correct=True, error=None):
    return Sample(0, role, 1.0, 1.002, 1.0 + latency, 200, error, "1", correct, None, 0)


def test_nothing_yet():
    event = Progress(LiveCounts(0.25)).event(-3.04, 0)
    assert (event["elapsed"], event["done"], event["lag_ms_p99"]) == (-3.0, 0, None)
    assert event["versions"]["stable"] == {
        "done": 0,
        "errors": 0,
        "accuracy": None,
        "p50": None,
        "p95": None,
        "p99": None,
        "recent": None,
    }


def test_quantiles_are_within_a_percent():
    latency = np.random.default_rng(1).lognormal(-4, 1, 20_000)
    counts = LiveCounts(0.25)
    progress = Progress(counts)
    for part in np.array_split(latency, 5):
        counts.add(sample_set([sample("candidate", x) for x in part]))
    seen = progress.event(60.0, 20_000)["versions"]["candidate"]
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert seen[name] == pytest.approx(np.quantile(latency, share) * 1000, rel=0.012)


def test_versions_are_counted_apart():
    counts = LiveCounts(0.25)
    progress = Progress(counts)
    counts.add(
        sample_set(
            [
                sample("stable", 0.01),
                sample("stable", 0.01, correct=False),
                sample("candidate", 2.0, correct=False, error="timeout"),
                sample("candidate", 0.0),  # below the smallest bucket
                sample("candidate", 1e9),  # above the largest
            ]
        )
    )
    event = progress.event(1.0, 3)
    assert (event["done"], event["errors"], event["sent"]) == (5, 1, 3)
    assert event["lag_ms_p99"] == pytest.approx(2, rel=0.01)
    assert event["versions"]["stable"]["accuracy"] == 0.5
    assert event["versions"]["candidate"]["errors"] == 1


def test_a_regression_has_no_accuracy():
    counts = LiveCounts(0.25)
    progress = Progress(counts)
    counts.add(sample_set([sample("stable", 0.01, correct=None)]))
    assert progress.event(1.0, 1)["versions"]["stable"]["accuracy"] is None


def test_recent_quantiles_forget():
    counts = LiveCounts(0.25)
    progress = Progress(counts)

    def add(seconds):
        counts.add(
            sample_set(
                Sample(0, "stable", 0.0, 0.0, seconds, 200, None, "a", True, None, 0) for _ in range(10)
            )
        )

    add(1.0)
    assert progress.event(1.0, 10)["versions"]["stable"]["recent"]["p50"] == pytest.approx(1000, rel=0.01)
    for second in range(2, 8):
        add(0.01)
        recent = progress.event(float(second), 10)["versions"]["stable"]["recent"]
    # the slow second is out of sight, though it still counts for the run
    assert recent["p99"] == pytest.approx(10, rel=0.01)
    assert progress.event(8.0, 10)["versions"]["stable"]["p99"] == pytest.approx(1000, rel=0.01)
