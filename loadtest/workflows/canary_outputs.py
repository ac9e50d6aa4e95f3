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
from loadtest.canary.shadow_join import QUANTILES, Shadow
from loadtest.errors import UsageError

LOOPBACK = "127.0.0.1"
_THIS_MACHINE = (LOOPBACK, "localhost", "::1")
GRAFANA_URL, GRAFANA_TOKEN = "GRAFANA_URL", "GRAFANA_TOKEN"
_PATIENCE = 2.0


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
        self._split = Gauge(
            "loadproof_canary_split_percent",
            "The candidate's share as decided.",
            registry=self.registry,
        )
        self._decisions = Counter(
            "loadproof_canary_decisions_total",
            "Decisions of the controller.",
            ["decision"],
            registry=self.registry,
        )
        # zeros from the start: a rate over the first decision sees it
        for verb in get_args(Verb):
            self._decisions.labels(verb)
        self._evidence = Gauge(
            "loadproof_canary_alarm_evidence",
            "Evidence of harm by a rollback gate, as a share of what an alarm needs.",
            ["gate"],
            registry=self.registry,
        )
        self._interval = Gauge(
            "loadproof_canary_interval",
            "How much worse the candidate is than stable by a gate, as a share of 1: both ends.",
            ["gate", "end"],
            registry=self.registry,
        )
        self._margin = Gauge(
            "loadproof_canary_margin",
            "How much worse a gate lets the candidate be, as a share of 1.",
            ["gate"],
            registry=self.registry,
        )
        self._shown = Gauge(
            "loadproof_canary_shown",
            "Evidence by a promotion gate, as a share of what a step to everybody needs.",
            ["gate"],
            registry=self.registry,
        )
        self._copies = Gauge(
            "loadproof_canary_shadow_requests",
            "Requests of the shadow: joined (both answered), of those failed (by the candidate alone), or "
            "unanswered by it.",
            ["outcome"],
            registry=self.registry,
        )
        self._agreement = Gauge(
            "loadproof_canary_shadow_agreement",
            "Share of rows that both versions predict alike in the shadow, and the ends of its 95% interval.",
            ["value"],
            registry=self.registry,
        )
        self._accuracy = Gauge(
            "loadproof_canary_shadow_accuracy",
            "Share of the shadow's rows with feedback that a version predicted.",
            ["role"],
            registry=self.registry,
        )
        self._latency = Gauge(
            "loadproof_canary_shadow_latency_seconds",
            "Quantiles of both servers' time for the same requests in the shadow.",
            ["role", "value"],
            registry=self.registry,
        )

    def serve(self, port: int, folder: Path | None = None, address: str = LOOPBACK) -> Callable[[], None]:
        """Serve ``/metrics``; returns what ends it.

        Args:
            port: of the address; 0: any that is free.
            folder: the canary's state on a lab of local processes, whose Prometheus looks there for us.
            address: to listen on.

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
        self._split.set(event.decision.split)
        self._decisions.labels(event.decision.verb).inc()
        for alarm in event.evidence.alarms:
            if alarm.evidence is not None:
                self._evidence.labels(alarm.gate).set(alarm.evidence)
        for proof in event.evidence.proofs:
            self._shown.labels(proof.gate).set(proof.shown[-1])
        for interval in event.evidence.intervals:
            self._interval.labels(interval.gate, "low").set(interval.low)
            self._interval.labels(interval.gate, "high").set(interval.high)
            self._margin.labels(interval.gate).set(interval.margin)
        if event.evidence.shadow:
            self._show_shadow(event.evidence.shadow)

    def _show_shadow(self, shadow: Shadow) -> None:
        counts = {"joined": shadow.pairs, "failed": shadow.failed, "unanswered": shadow.unanswered}
        for outcome, count in counts.items():
            self._copies.labels(outcome).set(count)
        if shadow.agreement is not None:
            ends = zip(("low", "estimate", "high"), sorted([*shadow.interval, shadow.agreement]), strict=True)
            for end, share in ends:
                self._agreement.labels(end).set(share)
        for role, share in shadow.accuracy.items():
            self._accuracy.labels(role).set(share)
        for role, seconds in shadow.latency.items():
            for quantile, value in zip(QUANTILES, seconds, strict=True):
                self._latency.labels(role, f"p{quantile * 100:g}").set(value)


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
