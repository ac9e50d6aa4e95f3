"""The client's side of a run as Prometheus metrics, merged over workers: one series per run and version.

Only the run in progress, or else the last one, is exported; Prometheus keeps the earlier ones.
The table of all metrics is ``docs/metrics.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.latency_buckets import LATENCY_BUCKETS
from loadtest.colours import VERDICT_COLOURS
from loadtest.experiment.experiment import Experiment
from loadtest.load.live.counts import LAG_BUCKETS, LiveCounts

_COUNTERS = {
    "requests": "Requests answered, failed or timed out.",
    "errors": "Requests without a usable answer.",
    "labelled": "Answers that are right or wrong; errors count as wrong.",
    "correct": "Answers that equal the label.",
    "compared": "Answers to rows that have a baseline answer.",
    "mismatches": "Answers that differ from the baseline answer to the row.",
    "within_objective": "Usable answers within the latency objective.",
    "good": "Answers that are correct and within the latency objective (goodput).",
}


class LoadMetrics(Collector):
    """The metrics of one load generator: ``registry.register(LoadMetrics(workers=lambda: 1))``.

    Args:
        workers: asked at scrape time how many workers are connected.
        pages: base URL of Locust's web UI as a browser reaches it; empty: none.
    """

    def __init__(self, workers: Callable[[], int], pages: str = "") -> None:
        self._workers = workers
        self._pages = pages
        self._run: tuple[str, Experiment, LiveCounts] | None = None
        self._verdict: Mapping[str, Any] | None = None
        self._seconds, self._offered, self._sent = 0.0, 0, 0

    def begin(self, run: str, experiment: Experiment, counts: LiveCounts) -> None:
        """A run begins, whose ``counts`` are exported; those of the last one no longer."""
        self._run, self._verdict = (run, experiment, counts), None
        self.progress(0.0, 0, 0)

    def progress(self, seconds: float, offered: int, sent: int) -> None:
        """How long the run has measured, the arrivals whose time has come, and those that were sent."""
        self._seconds, self._offered, self._sent = seconds, offered, sent

    def judged(self, run: str, verdict: Mapping[str, Any]) -> None:
        """Take over the content of a run's ``verdict.json``; ignored once another run has begun."""
        if self._run is not None and self._run[0] == run:
            self._verdict = verdict

    def collect(self) -> Iterator[Metric]:
        """Every metric at this instant."""
        yield _gauge("load_info", "Where Locust's web UI is.", ["pages"], [(self._pages, 1)])
        yield _gauge("load_workers", "Connected workers.", [], [(self._workers(),)])
        if self._run is None:
            return
        run, experiment, counts = self._run
        versions, load = experiment.versions, experiment.load
        yield _gauge(
            "run_info",
            "The run and what it compares.",
            ["run", "experiment", "traffic", "stable", "candidate"],
            [(run, experiment.name, load.traffic, versions.stable, versions.candidate, 1)],
        )
        for name, text, value in (
            ("seconds", "How long the run has measured.", self._seconds),
            ("objective_seconds", "The latency objective.", experiment.objective.latency),
            ("max_lag_seconds", "Lag at the 99th percentile that makes it INVALID.", load.max_lag),
        ):
            yield _gauge(f"run_{name}", text, ["run"], [(run, value)])
        for name, text in _COUNTERS.items():
            values = [(run, role, getattr(counted, name)) for role, counted in counts.roles.items()]
            yield _counter(f"client_{name}", text, ["run", "role"], values)
        latency = HistogramMetricFamily(
            "loadproof_client_latency_seconds",
            "Time from the intended send to the end of the answer.",
            labels=["run", "role"],
        )
        for role, counted in counts.roles.items():
            latency.add_metric([run, role], *counted.latency.exposed(LATENCY_BUCKETS))
        yield latency
        lag = HistogramMetricFamily(
            "loadproof_load_schedule_lag_seconds", "How late requests were sent.", labels=["run"]
        )
        lag.add_metric([run], *counts.lag.exposed(LAG_BUCKETS))
        yield lag
        yield _counter("load_offered", "Arrivals that are due.", ["run"], [(run, self._offered)])
        yield _counter("load_sent", "Arrivals sent.", ["run"], [(run, self._sent)])
        if self._verdict is not None:
            yield from _judged(run, self._verdict)


def _gauge(name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Metric:
    """A gauge; a row is the labels' values and the value."""
    return _filled(GaugeMetricFamily(f"loadproof_{name}", text, labels=labels), rows)


def _counter(name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Metric:
    return _filled(CounterMetricFamily(f"loadproof_{name}", text, labels=labels), rows)


def _filled(family: Any, rows: Iterable[tuple[Any, ...]]) -> Metric:
    for *labels, value in rows:
        family.add_metric(labels, value)
    return family  # type: ignore[no-any-return]


def _judged(run: str, verdict: Mapping[str, Any]) -> Iterator[Metric]:
    words = [(run, word, verdict["verdict"] == word) for word in VERDICT_COLOURS]
    yield _gauge("verdict", "The run's verdict: 1 for its word.", ["run", "verdict"], words)
    gates = verdict["gates"]
    said = [(run, gate["name"], gate["verdict"], 1) for gate in gates]
    yield _gauge("gate_verdict", "A gate's word.", ["run", "gate", "verdict"], said)
    yield _gauge(
        "gate_value",
        "A gate's estimate, the ends of its interval and its margin, in its unit.",
        ["run", "gate", "unit", "value"],
        _values(run, gates, ("estimate", "low", "high", "margin")),
    )
    yield _gauge(
        "gate_control",
        "The same of a control against stable: the estimate and the ends of its interval.",
        ["run", "gate", "unit", "value"],
        _values(run, verdict.get("control", ()), ("estimate", "low", "high")),
    )


def _values(
    run: str, gates: Iterable[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[tuple[str, str, str, str, float]]:
    """What is known of each gate, a row per value."""
    for gate in gates:
        low, high = gate["interval"]
        known = {**gate, "low": low, "high": high}
        for name in names:
            if known[name] is not None:
                yield run, gate["name"], gate["unit"], name, known[name]
