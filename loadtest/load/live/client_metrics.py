"""The client's side of a run as Prometheus metrics, merged over workers: one series per run and version.

Only the run in progress, or else the last one, is exported; Prometheus keeps the earlier ones.
The table of all metrics is ``docs/metrics.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.latency_buckets import LATENCY_BUCKETS
from loadtest.colours import VERDICT_COLOURS
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES

LAG_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Seconds."""

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


class _Histogram:
    """Counts per bucket, and the sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = np.array(bounds)
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0.0

    def add(self, seconds: NDArray[np.float64]) -> None:
        buckets = self._bounds.searchsorted(seconds)  # a value on a bound belongs below it
        self._counts += np.bincount(buckets, minlength=len(self._counts))
        self._sum += float(seconds.sum())

    def exposed(self) -> tuple[list[tuple[str, float]], float]:
        """The cumulative buckets and the sum, as prometheus-client takes them."""
        bounds = [*map(str, self._bounds.tolist()), "+Inf"]
        return list(zip(bounds, np.cumsum(self._counts).astype(float), strict=True)), self._sum


class _Run:
    """What is counted of one run."""

    def __init__(self, name: str, experiment: Experiment) -> None:
        self.name = name
        self.experiment = experiment
        self.counts = {role: dict.fromkeys(_COUNTERS, 0) for role in ROLES}
        self.latency = {role: _Histogram(LATENCY_BUCKETS) for role in ROLES}
        self.lag = _Histogram(LAG_BUCKETS)
        self.seconds, self.offered, self.sent = 0.0, 0, 0
        self.verdict: Mapping[str, Any] | None = None


class LoadMetrics(Collector):
    """The metrics of one load generator: ``registry.register(LoadMetrics(workers=lambda: 1))``.

    Args:
        workers: asked at scrape time how many workers are connected.
        pages: base URL of Locust's web UI as a browser reaches it; empty: none.
    """

    def __init__(self, workers: Callable[[], int], pages: str = "") -> None:
        self._workers = workers
        self._pages = pages
        self._run: _Run | None = None

    def begin(self, run: str, experiment: Experiment) -> None:
        """A run begins; what was counted of the last one is no longer exported."""
        self._run = _Run(run, experiment)

    def add(self, samples: SampleSet) -> None:
        """Take in samples of the run."""
        run = self._run
        if run is None:
            return
        run.lag.add(samples.sent_at - samples.scheduled_at)
        objective = run.experiment.objective.latency
        labelled = np.asarray(samples.table["correct"].is_valid())
        compared = np.asarray(samples.table["matches"].is_valid())
        within = ~samples.failed & (samples.latency <= objective)
        # a regression has no right and wrong: there, every usable answer in time is good
        good = within & (samples.correct | ~labelled)
        for role in ROLES:
            mine = samples.is_role(role)
            run.latency[role].add(samples.latency[mine])
            counts = run.counts[role]
            for name, mask in (
                ("requests", mine),
                ("errors", samples.failed),
                ("labelled", labelled),
                ("correct", samples.correct),
                ("compared", compared),
                ("mismatches", samples.mismatch),
                ("within_objective", within),
                ("good", good),
            ):
                counts[name] += int((mask & mine).sum())

    def progress(self, seconds: float, offered: int, sent: int) -> None:
        """How long the run has measured, the arrivals whose time has come, and those that were sent."""
        if self._run is not None:
            self._run.seconds, self._run.offered, self._run.sent = seconds, offered, sent

    def judged(self, run: str, verdict: Mapping[str, Any]) -> None:
        """Take over the content of a run's ``verdict.json``; ignored once another run has begun."""
        if self._run is not None and self._run.name == run:
            self._run.verdict = verdict

    def collect(self) -> Iterator[Metric]:
        """Every metric at this instant."""
        info = GaugeMetricFamily("loadproof_load_info", "Where Locust's web UI is.", labels=["pages"])
        info.add_metric([self._pages], 1)
        yield info
        yield GaugeMetricFamily("loadproof_load_workers", "Connected workers.", value=self._workers())
        if self._run is not None:
            yield from _described(self._run)
            yield from _counted(self._run)
            yield from _judged(self._run)


def _described(run: _Run) -> Iterator[Metric]:
    experiment = run.experiment
    facts = {
        "run": run.name,
        "experiment": experiment.name,
        "traffic": experiment.load.traffic,
        "stable": experiment.versions.stable,
        "candidate": experiment.versions.candidate,
    }
    info = GaugeMetricFamily("loadproof_run_info", "The run and what it compares.", labels=list(facts))
    info.add_metric(list(facts.values()), 1)
    yield info
    for name, text, value in (
        ("seconds", "How long the run has measured.", run.seconds),
        ("objective_seconds", "The latency objective.", experiment.objective.latency),
        ("max_lag_seconds", "Lag at the 99th percentile that makes it INVALID.", experiment.load.max_lag),
    ):
        family = GaugeMetricFamily(f"loadproof_run_{name}", text, labels=["run"])
        family.add_metric([run.name], value)
        yield family


def _counted(run: _Run) -> Iterator[Metric]:
    for name, text in _COUNTERS.items():
        counter = CounterMetricFamily(f"loadproof_client_{name}", text, labels=["run", "role"])
        for role in ROLES:
            counter.add_metric([run.name, role], run.counts[role][name])
        yield counter
    latency = HistogramMetricFamily(
        "loadproof_client_latency_seconds",
        "Time from the intended send to the end of the answer.",
        labels=["run", "role"],
    )
    for role in ROLES:
        latency.add_metric([run.name, role], *run.latency[role].exposed())
    yield latency
    lag = HistogramMetricFamily(
        "loadproof_load_schedule_lag_seconds", "How late requests were sent.", labels=["run"]
    )
    lag.add_metric([run.name], *run.lag.exposed())
    yield lag
    for name, text, value in (
        ("offered", "Arrivals that are due.", run.offered),
        ("sent", "Arrivals sent.", run.sent),
    ):
        counter = CounterMetricFamily(f"loadproof_load_{name}", text, labels=["run"])
        counter.add_metric([run.name], value)
        yield counter


def _judged(run: _Run) -> Iterator[Metric]:
    if run.verdict is None:
        return
    verdict = GaugeMetricFamily(
        "loadproof_verdict", "The run's verdict: 1 for its word.", labels=["run", "verdict"]
    )
    for word in VERDICT_COLOURS:
        verdict.add_metric([run.name, word], run.verdict["verdict"] == word)
    yield verdict
    words = GaugeMetricFamily("loadproof_gate_verdict", "A gate's word.", labels=["run", "gate", "verdict"])
    values = GaugeMetricFamily(
        "loadproof_gate_value",
        "A gate's estimate, the ends of its interval and its margin, in its unit.",
        labels=["run", "gate", "unit", "value"],
    )
    for gate in run.verdict["gates"]:
        words.add_metric([run.name, gate["name"], gate["verdict"]], 1)
        low, high = gate["interval"]
        for name, value in (
            ("estimate", gate["estimate"]),
            ("low", low),
            ("high", high),
            ("margin", gate["margin"]),
        ):
            if value is not None:
                values.add_metric([run.name, gate["name"], gate["unit"], name], value)
    yield words
    yield values
