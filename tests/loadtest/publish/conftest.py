"""A run folder that holds a verdict, as a run leaves it."""

import pytest

from loadtest.experiment.experiment import Experiment
from loadtest.judge.rate_sweep import AtRate, RatesVerdict
from loadtest.judge.verdict import GateResult, LatencySummary, LoadSummary, Verdict, VersionSummary, Word

GATES = ("p95 <= stable + 10%", "accuracy[plan=a/b] >= stable - 1pp", "p95 <= 250ms")


def made_verdict(word=Word.PASS, reason="all 3 gates are met"):
    gates = tuple(
        GateResult(
            name=name, verdict=word, stable=10.0, candidate=12.0, estimate=estimate, interval=interval,
            margin=10.0, unit="%", confidence=0.95, reason="why",
        )
        for name, estimate, interval in zip(
            GATES, (2.0, -0.5, None), ((1.0, 3.0), (-0.9, None), (None, None)), strict=True
        )
    )  # fmt: skip
    latency = LatencySummary(p50=4.2, p90=9.0, p95=12.5, p99=80.0, p999=None, max=1500.0)
    version = VersionSummary(
        requests=3000, errors=2, throughput_rps=50.0, goodput_rps=30.5, accuracy=0.612, value_per_1000=None,
        mismatches=1, mismatch_ids=("user-7-request",), foreign_answers=1, foreign_examples=("rosebud",),
        latency_ms=latency, cpus=0.25, cpu_throttled_ratio=0.041,
    )  # fmt: skip
    return Verdict(
        verdict=word, reason=reason, experiment="compare", backend="local", gates=gates,
        versions={"stable": version, "candidate": version},
        load=LoadSummary(offered_rps=50.0, achieved_rps=49.7, schedule_lag_ms_p99=1.2, duration_s=60.0),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """Stores a verdict in a run folder, and returns the folder."""

    def write(name="20260101T000000Z-compare", verdict=None, rates=(), **overrides):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        verdict = verdict or made_verdict()
        experiment = Experiment.load_file("compare", overrides)
        (folder / "experiment.toml").write_text(experiment.to_toml())
        (folder / "report.html").write_text("<p>report</p>")
        if rates:
            parts = tuple(AtRate(rate=rate, verdict=verdict, changes=None) for rate in rates)
            verdict = RatesVerdict(
                verdict=verdict.verdict, reason=verdict.reason, experiment="compare", backend="local",
                rates=parts,
            )  # fmt: skip
        (folder / ("rates.json" if rates else "verdict.json")).write_text(verdict.model_dump_json())
        return folder

    return write
