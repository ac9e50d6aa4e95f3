"""The server's Prometheus metrics, on a registry that the caller owns.

What every request touches is counted in plain numbers under one lock and becomes Prometheus' metrics when it
is scraped: a labelled counter of the client library takes a request longer than parsing its JSON.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, Summary
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from contract.arms import ARMS
from contract.label_text import label_text
from contract.latency_buckets import LATENCY_BUCKETS
from contract.metric_names import BATCH_ROWS, FEEDBACK, PREDICTIONS, USER_OUTCOMES
from services.model_server.cgroups import CpuLimitCollector
from services.model_server.version import LoadedVersion

ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

MAX_CLASSES = 50
"""With more classes than this, predictions are counted without their class."""


class _Distribution:
    """A histogram's numbers; guarded by the lock of whoever owns it."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, text: str, version: str) -> HistogramMetricFamily:
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        family = HistogramMetricFamily(name, text, labels=["version"])
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        family.add_metric([version], buckets=buckets, sum_value=self._sum)
        return family


class _Requests(Collector):
    """What every infer request touches; without ``classes`` rows are counted whatever their label."""

    def __init__(self, version: str, classes: Sequence[object] | None) -> None:
        self._version = version
        self._by_class = classes is not None
        self._lock = threading.Lock()
        self._in_flight = 0
        self._statuses: Counts[int] = Counts()
        # zeros from the start: a rate over the first one sees it
        self._classes: Counts[object] = Counts(dict.fromkeys(classes if classes is not None else [""], 0))
        self._latency = _Distribution(LATENCY_BUCKETS)
        self._inference = _Distribution(LATENCY_BUCKETS)
        self._rows = _Distribution(ROW_BUCKETS)

    def begin(self) -> None:
        """An infer request came in."""
        with self._lock:
            self._in_flight += 1

    def finish(self, status: int, seconds: float, labels: Sequence[object]) -> None:
        """It was answered; ``labels`` are the rows' predictions."""
        with self._lock:
            self._in_flight -= 1
            self._statuses[status] += 1
            self._latency.observe(seconds)
            if self._by_class:
                for label in labels:
                    self._classes[label] += 1
            else:
                self._classes[""] += len(labels)

    def batch(self, seconds: float, rows: int) -> None:
        """The model ran once."""
        with self._lock:
            self._inference.observe(seconds)
            self._rows.observe(rows)

    def collect(self) -> Iterator[Metric]:
        """The metrics as they stand."""
        with self._lock:
            families = list(self._families())
        yield from families

    def _families(self) -> Iterator[Metric]:
        version = self._version
        answered = "Infer requests answered."
        requests = CounterMetricFamily("loadproof_requests", answered, labels=["version", "code"])
        for status, count in self._statuses.items():
            requests.add_metric([version, str(status)], count)
        predicted, text = PREDICTIONS.removesuffix("_total"), "Rows predicted; by class where there are few."
        predictions = CounterMetricFamily(predicted, text, labels=["version", "class"])
        for label, count in self._classes.items():
            predictions.add_metric([version, label_text(label)], count)
        text = "Infer requests in the server now."
        in_flight = GaugeMetricFamily("loadproof_requests_in_flight", text, labels=["version"])
        in_flight.add_metric([version], self._in_flight)
        yield from (requests, predictions, in_flight)
        text = "Time from an infer request's arrival in the server to its answer."
        yield self._latency.family("loadproof_request_duration_seconds", text, version)
        text = "Time that the model took for one batch."
        yield self._inference.family("loadproof_inference_duration_seconds", text, version)
        yield self._rows.family(BATCH_ROWS, "Rows in one batch.", version)


class Metrics:
    """Every metric of one server, on a fresh registry.

    ``queue_depth`` and ``clock_offset`` are asked at scrape time.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        version: LoadedVersion,
        queue_depth: Callable[[], float],
        clock_offset: Callable[[], float],
    ) -> None:
        name = version.version
        by_class = version.classes is not None and len(version.classes) <= MAX_CLASSES
        requests = _Requests(name, version.classes if by_class else None)
        registry.register(requests)
        self.begin, self.finish, self.batch = requests.begin, requests.finish, requests.batch

        def gauge(metric: str, text: str, **labels: str) -> Gauge:
            return Gauge(metric, text, list(labels), registry=registry).labels(**labels)

        depth = gauge("loadproof_queue_depth", "Requests that wait for the model now.", version=name)
        depth.set_function(queue_depth)
        text = "How far this clock is ahead of the gateway's, with the quickest request's way; 0: not known."
        gauge("loadproof_gateway_clock_offset_seconds", text, version=name).set_function(clock_offset)
        facts = {"model": version.name, "version": name, "platform": version.platform, "task": version.task}
        gauge("loadproof_model_info", "The version that is served.", **facts).set(1)
        text = "Whether ONNX Runtime runs a scikit-learn model: 1 or 0; what runs it, and why."
        facts = {"version": name, "runner": version.runner, "reason": version.reason}
        gauge("loadproof_model_compiled", text, **facts).set(version.compiled)
        text = (
            "Rows of feedback, by what became of the prediction: correct, incorrect, received (a regression) "
            "or unknown."
        )
        self._feedback = Counter(FEEDBACK, text, ["version", "outcome"], registry=registry)
        text = (
            "Users of a step of the canary, by what became of the first answer with feedback, and their arm."
        )
        self._users = Counter(USER_OUTCOMES, text, ["version", "outcome", "arm"], registry=registry)
        # zeros from the start: a rate over the first error sees it
        for outcome in ("correct", "incorrect") if version.task == "classification" else ("received",):
            self._feedback.labels(name, outcome)
            for arm in ARMS:
                self._users.labels(name, outcome, arm)
        self._feedback.labels(name, "unknown")
        self.absolute_error = None
        if version.task == "regression":
            metric, text = (
                "loadproof_feedback_absolute_error",
                "Distance between prediction and truth, per row of feedback.",
            )
            self.absolute_error = Summary(metric, text, ["version"], registry=registry).labels(name)
        registry.register(CpuLimitCollector())
        ProcessCollector(registry=registry)
        self._version = name
        self._registry = registry

    def feedback(self, outcome: str, rows: int = 1) -> None:
        """Count rows of feedback."""
        self._feedback.labels(self._version, outcome).inc(rows)

    def user_outcome(self, outcome: str, arm: str) -> None:
        """Count one trial of the canary; ``arm``: the split's, whichever version answered."""
        self._users.labels(self._version, outcome, arm).inc()

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)
