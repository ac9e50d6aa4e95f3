"""The Flask application: routes, statuses and headers of the Open Inference Protocol v2.

Every infer request that gets an answer is counted once, whatever the answer is. ``x-request-id`` is kept,
made where missing, and returned; it is also the answer's ``id`` where the request's body has none.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Flask, Response, request
from numpy.typing import NDArray
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry
from werkzeug.exceptions import HTTPException

from services.model_server import headers
from services.model_server.batching import Batcher, Results, Run
from services.model_server.errors import RequestError
from services.model_server.faults import Faults
from services.model_server.feedback import RecentPredictions, outcome
from services.model_server.metrics import Metrics
from services.model_server.protocol import check_finite, parse, render
from services.model_server.version import LoadedVersion

log = logging.getLogger(__name__)

SERVER_NAME = "loadproof-model-server"
SERVER_VERSION = "0.1.0"
_CHUNK = 2**16


@dataclass(frozen=True)
class Settings:
    """The bounds of a server: ``Settings(max_body=2**20)``.

    Args:
        max_body: the largest body in bytes; a larger one gets 413.
        max_queue: the most requests that wait for the model; one more gets 503.
        max_rows: the most rows that requests are put together to for one run of the model.
        timeout: seconds that a request may take where the gateway does not say how long it waits.
        recent: predicted rows that are kept for feedback.
    """

    max_body: int = 4 * 2**20
    max_queue: int = 48
    max_rows: int = 256
    timeout: float = 10.0
    recent: int = 10_000


def create_app(
    version: LoadedVersion,
    registry: CollectorRegistry,
    settings: Settings | None = None,
    *,
    is_ready: Callable[[], bool] = lambda: True,
    faults: Faults | None = None,
) -> Flask:
    """The WSGI application that serves one version.

    Args:
        version: what is served.
        registry: where the metrics are registered; a fresh one per application.
        settings: the server's bounds.
        is_ready: asked by the readiness routes; false while the server stops.
        faults: may be injected into this server; None: it has no such route.
    """
    settings = settings or Settings()
    app = Flask("loadproof", static_folder=None)
    app.url_map.strict_slashes = False
    routes = _Routes(version, registry, settings, is_ready, faults)
    for rule, view, method in (
        ("/v2", routes.server, "GET"),
        ("/v2/health/live", routes.live, "GET"),
        ("/v2/health/ready", routes.ready, "GET"),
        ("/metrics", routes.metrics_page, "GET"),
        ("", routes.model, "GET"),
        ("/ready", routes.model_ready, "GET"),
        ("/infer", routes.infer, "POST"),
        ("/feedback", routes.feedback, "POST"),
    ):
        if rule.startswith(("/v2", "/metrics")):
            app.add_url_rule(rule, view_func=view, methods=[method])
        else:
            for prefix in ("/v2/models/<name>", "/v2/models/<name>/versions/<number>"):
                app.add_url_rule(prefix + rule, view_func=view, methods=[method])
    if faults is not None:
        app.add_url_rule("/faults", view_func=routes.inject, methods=["PUT"])
    app.register_error_handler(Exception, _error)
    return app


class _Routes:
    """The views, and what they share."""

    def __init__(
        self,
        version: LoadedVersion,
        registry: CollectorRegistry,
        settings: Settings,
        is_ready: Callable[[], bool],
        faults: Faults | None,
    ) -> None:
        self._version = version
        self._faults = faults
        self._settings = settings
        self._is_ready = is_ready
        self._batcher = Batcher(
            self._observed(version.run), max_rows=settings.max_rows, max_queue=settings.max_queue
        )
        self._metrics = Metrics(registry, version, lambda: self._batcher.depth)
        self._recent = RecentPredictions(settings.recent)

    def _observed(self, run: Run) -> Run:
        def observed(rows: NDArray[Any], outputs: frozenset[str]) -> Results:
            started = time.monotonic()
            results = run(rows, outputs)
            self._metrics.inference.observe(time.monotonic() - started)
            self._metrics.batch_rows.observe(len(rows))
            return results

        return observed

    def server(self) -> Response:
        """``GET /v2``."""
        return _json({"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": ["binary_tensor_data"]})

    def live(self) -> Response:
        """``GET /v2/health/live``."""
        return _json({"live": True})

    def ready(self) -> Response:
        """``GET /v2/health/ready``: 503 while the server stops."""
        ready = self._is_ready()
        return _json({"ready": ready}, 200 if ready else 503)

    def metrics_page(self) -> Response:
        """``GET /metrics``."""
        return Response(self._metrics.render(), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def model(self, name: str, number: str | None = None) -> Response:
        """``GET /v2/models/{m}``."""
        self._check_name(name, number)
        return _json(self._version.metadata())

    def model_ready(self, name: str, number: str | None = None) -> Response:
        """``GET /v2/models/{m}/ready``."""
        self._check_name(name, number)
        ready = self._is_ready()
        return _json({"name": name, "ready": ready}, 200 if ready else 503)

    def _check_name(self, name: str, number: str | None) -> None:
        version = self._version
        if name != version.name:
            raise RequestError(404, f"unknown model {name!r}; this server has {version.name!r}")
        if number not in (None, version.version):
            raise RequestError(
                404, f"unknown version {number!r} of {name!r}; this server has {version.version!r}"
            )

    def infer(self, name: str, number: str | None = None) -> Response:
        """``POST /v2/models/{m}/infer``: answers and counts, whatever happens."""
        started = time.monotonic()
        metrics = self._metrics
        metrics.in_flight.inc()
        request_id = headers.request_id(request.headers)
        try:
            response = self._answer(name, number, request_id, started)
        except Exception as error:
            response = _error(error)
        response.headers["x-request-id"] = request_id
        metrics.in_flight.dec()
        metrics.request(response.status_code)
        metrics.latency.observe(time.monotonic() - started)
        return response

    def _answer(self, name: str, number: str | None, request_id: str, started: float) -> Response:
        self._check_name(name, number)
        version = self._version
        json_length = headers.json_length(request.headers)
        wanted = parse(_body(self._settings.max_body), json_length, version.input, version.outputs)
        deadline = started + headers.patience(request.headers, self._settings.timeout)
        # predict always runs: it is what is counted, and what feedback is compared with
        names = frozenset(("predict", *wanted.outputs))
        if self._faults:
            self._faults.before()
        results = self._batcher.submit(wanted.rows, names, deadline)
        if self._faults:
            results = self._faults.after(results)
        check_finite(results)
        labels = results["predict"].tolist()
        answer_id = wanted.id or request_id
        self._metrics.predictions(labels)
        self._recent.remember(answer_id, labels)
        body, length = render(version, wanted, answer_id, results)
        if length is None:
            return Response(body, content_type="application/json")
        return Response(
            body,
            content_type="application/octet-stream",
            headers={"Inference-Header-Content-Length": str(length)},
        )

    def feedback(self, name: str, number: str | None = None) -> Response:
        """``POST /v2/models/{m}/feedback``: ``{"id": ..., "label": ...}``; a list where there were rows."""
        self._check_name(name, number)
        document = _load_json(_body(self._settings.max_body))
        if not isinstance(document, dict):
            raise RequestError(400, "the body must be a JSON object")
        if set(document) != {"id", "label"} or not isinstance(document["id"], str):
            raise RequestError(400, 'feedback must be {"id": the id of an answer, "label": what happened}')
        request_id, label = document["id"], document["label"]
        truth = label if isinstance(label, list) else [label]
        predicted = self._recent.look_up(request_id)
        if predicted is None:
            self._metrics.feedback("unknown", len(truth))
            raise RequestError(404, f"no recent prediction with id {request_id!r}")
        if len(truth) != len(predicted):
            raise RequestError(400, f"{len(truth)} labels for the {len(predicted)} rows of {request_id!r}")
        outcomes = [outcome(self._version.task, *pair) for pair in zip(predicted, truth, strict=True)]
        # a second report of the same id may have come in between; one of the two counts
        if self._recent.take(request_id) is None:
            self._metrics.feedback("unknown", len(truth))
            raise RequestError(404, f"no recent prediction with id {request_id!r}")
        for word, error in outcomes:
            self._metrics.feedback(word)
            if error is not None and self._metrics.absolute_error:
                self._metrics.absolute_error.observe(error)
        return _json({"id": request_id, "outcomes": [word for word, _ in outcomes]})

    def inject(self) -> Response:
        """``PUT /faults``: see ``faults``; only where the server was started with them."""
        assert self._faults is not None  # noqa: S101 - the route exists only then
        return _json(self._faults.replace(_load_json(_body(self._settings.max_body))))


def _json(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type="application/json")


def _error(error: Exception) -> Response:
    if isinstance(error, RequestError):
        response = _json({"error": str(error)}, error.status)
        if error.status == 503:
            response.headers["Retry-After"] = "1"
        return response
    if isinstance(error, HTTPException):
        response = _json({"error": error.description or error.name}, error.code or 500)
        response.headers.extend(
            (key, value) for key, value in error.get_headers() if key in ("Allow", "Location")
        )
        return response
    log.error("request %s failed", request.headers.get("x-request-id", "-"), exc_info=error)
    return _json({"error": "the server failed on this request; its log says why"}, 500)


def _body(limit: int) -> bytes:
    """The request's body, whether it announces its length or comes in chunks.

    Raises:
        RequestError: 413, it is larger than ``limit`` bytes.
    """
    # not request.get_data(): granian's stream knows no read(-1), which that needs for a body in chunks
    read = request.environ["wsgi.input"].read
    length = request.content_length
    if length is None or length <= limit:
        body: bytes = read(limit + 1 if length is None else length)
        if len(body) <= limit:
            return body
    # a client that is still sending would see a broken connection instead of the answer: read on for a while
    for _ in range(0, 16 * limit, _CHUNK):
        if not read(_CHUNK):
            break
    raise RequestError(413, f"the body is larger than {limit} bytes; send fewer rows at a time")


def _load_json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
