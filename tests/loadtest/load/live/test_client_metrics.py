"""The client's side as metrics: what is counted, by hand; and promtool finds nothing."""

import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from contract.latency_buckets import LATENCY_BUCKETS
from loadtest.experiment.experiment import Experiment
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.live.counts import LiveCounts
from tests.loadtest.made_samples import Sample, sample_set

RUN = "20260101T000000Z-known"
EXPERIMENT = Experiment.model_validate(
    {"name": "known", "model": {"name": "m", "folder": "m"}, "data": {"path": "d"}, "load": {"duration": 2}}
)
VERDICT = {
    "verdict": "FAIL",
    "gates": [
        {
            "name": "p99 <= 250ms",
            "verdict": "FAIL",
            "unit": "ms",
            "estimate": 300.0,
            "interval": [280.0, None],
            "margin": 250.0,
        }
    ],
}


def sample(role, latency=0.01, correct=True, error=None, matches=None):
    status = 0 if error else 200
    return Sample(0, role, 1.0, 1.002, 1.0 + latency, status, error, "1", correct, matches, 0)


def begun(metrics, run=RUN):
    """A run begins; its counts."""
    counts = LiveCounts(EXPERIMENT.objective.latency)
    metrics.begin(run, EXPERIMENT, counts)
    return counts


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    metrics = LoadMetrics(lambda: 3, "http://127.0.0.1:8089")
    registry.register(metrics)
    return metrics


@pytest.mark.parametrize(
    ("samples", "counted"),
    [
        ([sample("stable")], {"requests": 1, "labelled": 1, "correct": 1, "within_objective": 1, "good": 1}),
        # wrong, and in time
        (
            [sample("stable", correct=False)],
            {"requests": 1, "labelled": 1, "within_objective": 1},
        ),
        # right, and too late: the objective is 250 ms
        ([sample("stable", 0.3)], {"requests": 1, "labelled": 1, "correct": 1}),
        # an error is a wrong answer, and misses the objective however fast it came
        ([sample("stable", correct=False, error="refused")], {"requests": 1, "errors": 1, "labelled": 1}),
        # a regression has no right and wrong
        ([sample("stable", correct=None)], {"requests": 1, "within_objective": 1, "good": 1}),
        # another answer than alone
        (
            [sample("stable", matches=False), sample("stable", matches=True)],
            {
                "requests": 2,
                "labelled": 2,
                "correct": 2,
                "within_objective": 2,
                "good": 2,
                "compared": 2,
                "mismatches": 1,
            },
        ),
        # the other version's
        ([sample("candidate")], {}),
    ],
)
def test_counts(metrics, registry, samples, counted):
    counts = begun(metrics)
    counts.add(sample_set(samples))
    names = (
        "requests",
        "errors",
        "labelled",
        "correct",
        "compared",
        "mismatches",
        "within_objective",
        "good",
    )
    labels = {"run": RUN, "role": "stable"}
    seen = {name: registry.get_sample_value(f"loadproof_client_{name}_total", labels) for name in names}
    assert {name: count for name, count in seen.items() if count} == counted


def test_latency_counts_from_the_intended_send_in_cumulative_buckets(metrics, registry):
    counts = begun(metrics)
    for latency in (0.0005, 0.25, 0.2501, 11.0):
        counts.add(sample_set([sample("candidate", latency)]))
    labels = {"run": RUN, "role": "candidate"}

    def value(suffix, **more):
        return registry.get_sample_value(f"loadproof_client_latency_seconds_{suffix}", labels | more)

    assert [value("bucket", le=str(bound)) for bound in LATENCY_BUCKETS] == [
        # a latency on a bound belongs below it; floating point puts 1.25 - 1.0 there exactly
        *(1.0,) * LATENCY_BUCKETS.index(0.25),
        2.0,
        *(3.0,) * (len(LATENCY_BUCKETS) - LATENCY_BUCKETS.index(0.25) - 1),
    ]
    assert (value("bucket", le="+Inf"), value("count")) == (4.0, 4.0)
    assert value("sum") == pytest.approx(11.5006)
    lag = registry.get_sample_value("loadproof_load_schedule_lag_seconds_sum", {"run": RUN})
    assert lag == pytest.approx(4 * 0.002)


def test_the_load_and_the_verdict(metrics, registry):
    assert registry.get_sample_value("loadproof_load_workers") == 3
    assert registry.get_sample_value("loadproof_load_info", {"pages": "http://127.0.0.1:8089"}) == 1
    begun(metrics)
    metrics.progress(1.5, 70, 69)
    assert registry.get_sample_value("loadproof_run_seconds", {"run": RUN}) == 1.5
    assert registry.get_sample_value("loadproof_load_offered_total", {"run": RUN}) == 70
    assert registry.get_sample_value("loadproof_load_sent_total", {"run": RUN}) == 69
    assert registry.get_sample_value("loadproof_run_objective_seconds", {"run": RUN}) == 0.25
    # a verdict that comes when the next run has begun is not the next run's
    metrics.judged("20250101T000000Z-known", VERDICT)
    assert registry.get_sample_value("loadproof_verdict", {"run": RUN, "verdict": "FAIL"}) is None
    metrics.judged(RUN, VERDICT)
    words = {
        word: registry.get_sample_value("loadproof_verdict", {"run": RUN, "verdict": word})
        for word in ("PASS", "FAIL", "INCONCLUSIVE", "INVALID")
    }
    assert words == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 0, "INVALID": 0}
    gate = {"run": RUN, "gate": "p99 <= 250ms"}
    assert registry.get_sample_value("loadproof_gate_verdict", gate | {"verdict": "FAIL"}) == 1
    # an unbounded side is absent, not zero
    values = {
        value: registry.get_sample_value("loadproof_gate_value", gate | {"unit": "ms", "value": value})
        for value in ("estimate", "low", "high", "margin")
    }
    assert values == {"estimate": 300, "low": 280, "high": None, "margin": 250}
    noise = {"gate": "p99 <= 250ms", "run": RUN, "unit": "ms", "value": "high"}
    assert registry.get_sample_value("loadproof_gate_control", noise) is None


def test_the_control_stands_beside_the_candidate(metrics, registry):
    begun(metrics)
    noise = {"name": "p99 <= 250ms", "unit": "ms", "estimate": -2.0, "interval": [None, 3.0]}
    metrics.judged(RUN, VERDICT | {"control": [noise]})
    values = {
        value: registry.get_sample_value(
            "loadproof_gate_control", {"run": RUN, "gate": "p99 <= 250ms", "unit": "ms", "value": value}
        )
        for value in ("estimate", "low", "high")
    }
    assert values == {"estimate": -2.0, "low": None, "high": 3.0}


def test_the_next_run_begins_at_zero_under_its_own_name(metrics, registry):
    counts = begun(metrics)
    counts.add(sample_set([sample("stable")]))
    metrics.judged(RUN, VERDICT)
    begun(metrics, "next")
    assert (
        registry.get_sample_value("loadproof_client_requests_total", {"run": "next", "role": "stable"}) == 0
    )
    assert RUN not in generate_latest(registry).decode()


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on the PATH")
def test_promtool_finds_nothing(metrics, registry):
    counts = begun(metrics)
    counts.add(sample_set([sample("stable"), sample("candidate", matches=True)]))
    metrics.progress(2.0, 1, 1)
    metrics.judged(RUN, VERDICT)
    page = generate_latest(registry)
    check = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (check.returncode, check.stdout + check.stderr) == (0, b"")
