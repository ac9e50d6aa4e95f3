"""The server's Prometheus metrics, on a registry that the caller owns."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Sequence

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, Summary

from services.model_server.cgroups import CpuLimitCollector
from services.model_server.version import LoadedVersion

LATENCY_BUCKETS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
"""Seconds. Dense between 50 and 500 ms, where a CPU limit's 100 ms periods show."""

MAX_CLASSES = 50
"""With more classes than this, predictions are counted without their class."""


class Metrics:
    """Every metric of one server, with its version's name bound.

    Args:
        registry: where they are registered; a fresh one per server.
        version: the version that is served.
        queue_depth: asked at scrape time.
    """

    def __init__(
        self, registry: CollectorRegistry, version: LoadedVersion, queue_depth: Callable[[], float]
    ) -> None:
        name = version.version
        self._by_class = version.classes is not None and len(version.classes) <= MAX_CLASSES
        self._requests = Counter(
            "loadproof_requests_total", "Infer requests answered.", ["version", "code"], registry=registry
        )
        self._predictions = Counter(
            "loadproof_predictions_total",
            "Rows predicted; by class where there are few.",
            ["version", "class"],
            registry=registry,
        )
        self._feedback = Counter(
            "loadproof_feedback_total",
            "Rows of feedback, by what became of the prediction: correct, incorrect, received (a regression) "
            "or unknown.",
            ["version", "outcome"],
            registry=registry,
        )
        self._version = name
        self.latency = Histogram(
            "loadproof_request_duration_seconds",
            "Time from an infer request's arrival in the server to its answer.",
            ["version"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        ).labels(name)
        self.inference = Histogram(
            "loadproof_inference_duration_seconds",
            "Time that the model took for one batch.",
            ["version"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        ).labels(name)
        self.batch_rows = Histogram(
            "loadproof_batch_rows",
            "Rows in one batch.",
            ["version"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=registry,
        ).labels(name)
        self.in_flight = Gauge(
            "loadproof_requests_in_flight",
            "Infer requests in the server now.",
            ["version"],
            registry=registry,
        ).labels(name)
        depth = Gauge(
            "loadproof_queue_depth", "Requests that wait for the model now.", ["version"], registry=registry
        )
        depth.labels(name).set_function(queue_depth)
        self.absolute_error = None
        if version.task == "regression":
            self.absolute_error = Summary(
                "loadproof_feedback_absolute_error",
                "Distance between prediction and truth, per row of feedback.",
                ["version"],
                registry=registry,
            ).labels(name)
        info = Gauge(
            "loadproof_model_info",
            "The version that is served.",
            ["model", "version", "platform", "task"],
            registry=registry,
        )
        info.labels(version.name, name, version.platform, version.task).set(1)
        # zeros from the start: a rate over the first error sees it
        for outcome in ("correct", "incorrect") if version.task == "classification" else ("received",):
            self._feedback.labels(name, outcome)
        self._feedback.labels(name, "unknown")
        for label in version.classes or () if self._by_class else ("",):
            self._predictions.labels(name, str(label))
        registry.register(CpuLimitCollector())
        ProcessCollector(registry=registry)
        self._registry = registry

    def request(self, code: int) -> None:
        """Count one answered infer request."""
        self._requests.labels(self._version, str(code)).inc()

    def predictions(self, labels: Sequence[object]) -> None:
        """Count predicted rows."""
        if not self._by_class:
            self._predictions.labels(self._version, "").inc(len(labels))
            return
        for label, rows in Counts(labels).items():
            self._predictions.labels(self._version, str(label)).inc(rows)

    def feedback(self, outcome: str, rows: int = 1) -> None:
        """Count rows of feedback."""
        self._feedback.labels(self._version, outcome).inc(rows)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)
