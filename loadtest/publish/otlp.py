"""Spans to a collector, by OTLP over HTTP: one per sample of a run whose requests carried a trace context.

Where to, and in which of the two encodings, is said by OpenTelemetry's own variables. No SDK is needed: it
would give each span an id of its own and the present as its time::

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 loadproof publish results/latest --otlp
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from loadtest.data.run_folder import EXPERIMENT
from loadtest.errors import TargetError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.publish import otlp_messages
from loadtest.publish.destination import within
from loadtest.publish.posting import Answer, check_url, post, until_taken
from loadtest.publish.spans import BATCH, RunSpans, trace_request
from loadtest.publish.stored_verdict import StoredVerdict, hosts_only

ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
HEADERS, TRACES_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
PROTOCOL, TRACES_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
CERTIFICATE, SERVICE_NAME = "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_SERVICE_NAME"
PATIENCE = 60.0
"""Seconds for all spans of a run."""
_AGAIN = {429, 502, 503, 504}
"""After which OTLP has a client send again."""
_MOST_READ = 65536
PROTOBUF, JSON = "http/protobuf", "http/json"
_CONTENT = {PROTOBUF: "application/x-protobuf", JSON: "application/json"}


Post = Callable[[str, bytes, Mapping[str, str], float], Answer]
"""Sends one request (URL, body, headers, seconds); ``OSError`` where there is no answer."""


class Collector:
    """Takes the spans of runs: ``Collector("http://127.0.0.1:4318/v1/traces")``.

    Traces go to ``url``, of which only the host is ever printed, as ``protocol`` says: ``http/protobuf`` or
    ``http/json``. ``service`` is the spans' ``service.name``.
    """

    name, retry = "the OTLP collector", "--otlp"

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        service: str = "loadproof",
        post: Post = partial(post, most_read=_MOST_READ),  # noqa: B008 - it holds no state
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        protocol: str = PROTOBUF,
    ) -> None:
        self._url, self._service, self._protocol = url, service, protocol
        self._headers = {**(headers or {}), "content-type": _CONTENT[protocol], "user-agent": "loadproof"}
        self._post, self._clock, self._sleep = post, clock, sleep
        self.host = urlsplit(url).hostname or ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Collector | None:
        """The collector that the environment names; None where it names none.

        Raises:
            UsageError: a variable cannot be used.
        """
        variable = TRACES_ENDPOINT if environment.get(TRACES_ENDPOINT) else ENDPOINT
        url = environment.get(variable, "").strip()
        if not url:
            return None
        check_url(variable, url)
        names = TRACES_PROTOCOL if environment.get(TRACES_PROTOCOL) else PROTOCOL
        protocol = environment.get(names) or PROTOBUF
        if protocol == "grpc":
            raise UsageError(
                f"{names} is grpc, and spans are sent over HTTP: name the collector's port for it (4318) "
                f"in {TRACES_ENDPOINT}, with {TRACES_PROTOCOL}={PROTOBUF}"
            )
        if protocol not in _CONTENT:
            raise UsageError(f"{names} is neither {PROTOBUF} nor {JSON}; correct it, or unset it")
        url = url if variable == TRACES_ENDPOINT else url.rstrip("/") + "/v1/traces"
        headers = _headers(environment, HEADERS) | _headers(environment, TRACES_HEADERS)
        sends = partial(post, certificate=environment.get(CERTIFICATE), most_read=_MOST_READ)
        service = environment.get(SERVICE_NAME) or "loadproof"
        return cls(url, headers, service, sends, protocol=protocol)

    def deliver(self, stored: StoredVerdict) -> str:
        """Send the spans of a run, or of its runs at several rates; see ``Destination``.

        Raises:
            TargetError: some were not taken, and how many.
            UsageError: the run's requests carried no trace context.
        """
        parts = sorted(one.parent for one in stored.folder.glob(f"rate-*/{EXPERIMENT}")) or [stored.folder]
        runs = [_read(part, stored) for part in parts]
        delivery = _Delivery(sum(map(len, runs)))
        try:
            within(PATIENCE + 1, self.host, lambda: self._send_all(runs, stored, delivery))
        except TargetError as error:
            raise TargetError(
                f"{error}; {delivery.left:,} of {delivery.total:,} spans were not taken"
            ) from None
        return f"OTLP: {self.host} has {delivery.total:,} spans"

    def _send_all(self, runs: list[RunSpans], stored: StoredVerdict, delivery: _Delivery) -> str:
        until = self._clock() + PATIENCE
        for run in runs:
            spans = iter(run)
            while batch := list(islice(spans, BATCH)):
                request = trace_request(batch, self._service, stored.run, stored.verdict.experiment)
                as_json = self._protocol == JSON
                body = orjson.dumps(request) if as_json else otlp_messages.trace_request(request)
                rejected, why = _rejected(self._attempts(body, until))
                delivery.taken += len(batch) - min(rejected, len(batch))
                delivery.reason = delivery.reason or why
        if delivery.left:
            raise TargetError(f"{self.host} rejects some{delivery.reason}")
        return "taken"

    def _attempts(self, body: bytes, until: float) -> Answer:
        """Send one batch, again where that may help.

        Raises:
            TargetError: it was not taken.
        """
        return until_taken(
            lambda seconds: self._post(self._url, body, self._headers, seconds),
            _AGAIN.__contains__,
            self.host,
            PATIENCE,
            lambda: until - self._clock(),
            self._sleep,
        )


class _Delivery:
    """How many spans were taken of how many, and why others were not."""

    def __init__(self, total: int) -> None:
        self.total, self.taken, self.reason = total, 0, ""

    @property
    def left(self) -> int:
        return self.total - self.taken


def _read(folder: Path, stored: StoredVerdict) -> RunSpans:
    same = folder == stored.folder
    return RunSpans.read(
        folder, stored.experiment if same else Experiment.load_file(str(folder / EXPERIMENT))
    )


def _rejected(answer: Answer) -> tuple[int, str]:
    """How many spans of a batch an answer rejects, and why, as a text that begins with a colon."""
    try:
        # some answer in JSON whatever they were sent; no protobuf of this message begins so
        if answer.body.startswith(b"{"):
            partial: Any = json.loads(answer.body)["partialSuccess"]
            count, why = int(partial.get("rejectedSpans", 0)), str(partial.get("errorMessage", ""))
        else:
            count, why = otlp_messages.partial_success(answer.body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0, ""  # all were taken: most say so with an empty answer
    said = hosts_only(why)[:200]
    text = "".join(one if one.isprintable() else " " for one in said).strip()
    return max(count, 0), f": {text}" if count > 0 and text else ""


def _headers(environment: Mapping[str, str], variable: str) -> dict[str, str]:
    """The headers of ``name=value,name=value``, each value percent-encoded.

    Raises:
        UsageError: it reads otherwise; the line shows none of it.
    """
    headers = {}
    for part in filter(str.strip, environment.get(variable, "").split(",")):
        name, equals, value = part.partition("=")
        name, value = unquote(name).strip(), unquote(value).strip()
        if not (equals and name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise UsageError(f"{variable} reads name=value,name=value; correct it, or unset it")
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"{variable}: the value of {name} is no header's; correct it, or unset it")
        headers[name.lower()] = value
    return headers
