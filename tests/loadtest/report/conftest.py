"""A verdict with every kind of gate, for the formats."""

import pytest

from loadtest.judge.verdict import GateResult, LatencySummary, LoadSummary, Verdict, VersionSummary, Word


def gate(
    name: str, word: Word, estimate: float | None, interval: tuple[float | None, float | None], unit: str
) -> GateResult:
    return GateResult(
        name=name, verdict=word, stable=10.0, candidate=12.0, estimate=estimate, interval=interval,
        margin=10.0, unit=unit, confidence=0.95, reason=f"because of {name} | <b>",
    )  # fmt: skip


def version(**changes: object) -> VersionSummary:
    latency = LatencySummary(p50=4.2, p90=9.0, p95=12.5, p99=80.0, p999=120.0, max=1500.0)
    fields = {
        "requests": 3000, "errors": 2, "throughput_rps": 50.0, "goodput_rps": 30.5,
        "accuracy": 0.612, "value_per_1000": 1234.5, "mismatches": None,
        "latency_ms": latency, "cpus": 0.25, "cpu_throttled_ratio": 0.041,
    }  # fmt: skip
    return VersionSummary.model_validate(fields | changes)


@pytest.fixture
def verdict() -> Verdict:
    return Verdict(
        verdict=Word.FAIL,
        reason="accuracy is worse",
        experiment="compare",
        backend="local",
        gates=(
            gate("p50 <= stable + 25ms", Word.PASS, 2.0, (1.0, 3.0), "ms"),
            gate("accuracy >= stable - 1pp", Word.FAIL, -5.0, (-6.0, -4.0), "pp"),
            gate("p99 <= 250ms", Word.INCONCLUSIVE, None, (None, None), "ms"),
        ),
        versions={
            "stable": version(),
            "candidate": version(cpus=None, cpu_throttled_ratio=None, accuracy=None),
        },
        load=LoadSummary(offered_rps=50.0, achieved_rps=49.7, schedule_lag_ms_p99=1.2, duration_s=60.0),
    )
