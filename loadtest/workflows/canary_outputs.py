"""Where the canary's events go beside the state's history: Prometheus, Grafana, and lines for machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import requests
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, start_http_server

from loadtest.canary.decision import Verb
from loadtest.canary.event import Event
from loadtest.canary.shadow_summary import QUANTILES, Shadow
from loadtest.errors import UsageError

LOOPBACK = "127.0.0.1"
_THIS_MACHINE = (LOOPBACK, "localhost", "::1")
GRAFANA_URL, GRAFANA_TOKEN = "GRAFANA_URL", "GRAFANA_TOKEN"
_PATIENCE = 2.0
_GAUGES = {
    "split_percent": ("The candidate's share as decided.",),
    "alarm_evidence": ("Evidence of harm by a rollback gate, as a share of what an alarm needs.", "gate"),
    "interval": ("How much worse the candidate is than stable by a gate: both ends.", "gate", "end"),
    "margin": ("How much worse a gate lets the candidate be, as a share of 1.", "gate"),
    "shown": ("Evidence by a promotion gate, as a share of what a step to everybody needs.", "gate"),
    "shadow_requests": ("Requests of the shadow: joined, of those failed, or unanswered.", "outcome"),
    "shadow_agreement": ("Share of rows that both versions predict alike, and its 95% interval.", "value"),
    "shadow_accuracy": ("Share of the shadow's rows with feedback that a version predicted.", "role"),
    "shadow_latency_seconds": ("Quantiles of both servers' time for the same requests.", "role", "value"),
}
"""The gauges: what each says, and its labels."""


class Lines:
    """One JSON object a line for every event."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def show(self, event: Event) -> None:
        """Write one line."""
        self._write(json.dumps(event.to_json(), allow_nan=False))


class Metrics:
    """The controller's own metrics, in a registry of theirs: ``loadproof_canary_*``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(f"loadproof_canary_{name}", text, labels, registry=self.registry)
            for name, (text, *labels) in _GAUGES.items()
        }
        self._decisions = Counter(
            "loadproof_canary_decisions_total",
            "Decisions of the controller.",
            ["decision"],
            registry=self.registry,
        )
        # zeros from the start: a rate over the first decision sees it
        for verb in get_args(Verb):
            self._decisions.labels(verb)

    def serve(self, port: int, folder: Path | None = None, address: str = LOOPBACK) -> Callable[[], None]:
        """Serve ``/metrics``; returns what ends it.

        ``port`` 0: any that is free. ``folder`` is the canary's state on a lab of local processes, whose
        Prometheus looks there for us.

        Raises:
            UsageError: the port is in use.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]
        try:
            server, thread = start_http_server(port, address, self.registry)
        except OSError as error:
            raise UsageError(
                f"port {port} for the controller's metrics: {error.strerror}; name another --metrics-port"
            ) from None
        told = folder / "canary.json" if folder is not None else None
        if told is not None:
            told.write_text(json.dumps([{"targets": [f"{LOOPBACK}:{server.server_port}"]}]), encoding="utf-8")

        def close() -> None:
            if told is not None:
                told.unlink(missing_ok=True)
            server.shutdown()
            server.server_close()
            thread.join()

        return close

    def show(self, event: Event) -> None:
        """Take over one event."""
        evidence = event.evidence
        self._decisions.labels(event.decision.verb).inc()
        self._gauges["split_percent"].set(event.decision.split)
        for alarm in evidence.alarms:
            if alarm.evidence is not None:
                self._set("alarm_evidence", alarm.evidence, alarm.gate)
        for proof in evidence.proofs:
            self._set("shown", proof.shown[-1], proof.gate)
        for interval in evidence.intervals:
            self._set("interval", interval.low, interval.gate, "low")
            self._set("interval", interval.high, interval.gate, "high")
            self._set("margin", interval.margin, interval.gate)
        if evidence.shadow:
            self._show_shadow(evidence.shadow)

    def _show_shadow(self, shadow: Shadow) -> None:
        counts = {"joined": shadow.pairs, "failed": shadow.failed, "unanswered": shadow.unanswered}
        for outcome, count in counts.items():
            self._set("shadow_requests", count, outcome)
        if shadow.agreement is not None:
            ends = sorted([*shadow.interval, shadow.agreement])
            for end, share in zip(("low", "estimate", "high"), ends, strict=True):
                self._set("shadow_agreement", share, end)
        for role, share in shadow.accuracy.items():
            self._set("shadow_accuracy", share, role)
        for role, seconds in shadow.latency.items():
            for quantile, value in zip(QUANTILES, seconds, strict=True):
                self._set("shadow_latency_seconds", value, role, f"p{quantile * 100:g}")

    def _set(self, gauge: str, value: float, *labels: str) -> None:
        self._gauges[gauge].labels(*labels).set(value)


class Annotations:
    """Marks decisions in Grafana's time series through its HTTP API, where the environment names one.

    Args:
        environment: ``GRAFANA_URL``, such as http://127.0.0.1:3000, and ``GRAFANA_TOKEN`` of a service
            account that may write annotations.
        say: takes one line, once: that there is no Grafana, or why it refuses.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = environment.get(GRAFANA_URL, "").rstrip("/")
        self._token = environment.get(GRAFANA_TOKEN, "")
        self._say, self._clock = say, clock
        self._told = False
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._session = requests.Session()
        if not self._url:
            self._tell(f"decisions are not marked in Grafana: {GRAFANA_URL} and {GRAFANA_TOKEN} name none")

    def show(self, event: Event) -> None:
        """Post one annotation for every decision but holding; the loop does not wait for it."""
        if self._url and event.decision.verb != "hold":
            decision = event.decision
            body = {
                "time": round(self._clock() * 1000),
                "tags": ["loadproof", "canary", decision.verb],
                "text": f"{decision.verb}: the candidate gets {decision.split:g}%. {decision.why}",
            }
            self._pool.submit(self._post, body)

    def close(self) -> None:
        """Wait for what was posted last."""
        self._pool.shutdown()
        self._session.close()

    def _post(self, body: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            # the environment's proxy leads to other machines
            self._session.trust_env = urlsplit(self._url).hostname not in _THIS_MACHINE
            answer = self._session.post(
                f"{self._url}/api/annotations", json=body, headers=headers, timeout=_PATIENCE
            )
        except (requests.RequestException, ValueError) as error:
            self._tell(f"Grafana at {self._url} takes no annotation ({type(error).__name__})")
            return
        if answer.status_code != 200:
            self._tell(f"Grafana at {self._url} takes no annotation (HTTP {answer.status_code})")

    def _tell(self, line: str) -> None:
        if not self._told:
            self._told = True
            self._say(line)
