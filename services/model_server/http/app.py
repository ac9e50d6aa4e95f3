"""The Flask application: routes, statuses and headers of the Open Inference Protocol v2.

Every infer request that gets an answer is counted once, whatever the answer is. ``x-request-id`` is kept,
made where missing, and returned; it is also the answer's ``id`` where the request's body has none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import orjson
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry
from werkzeug.exceptions import HTTPException

from contract.faults import FAULTS_PATH
from contract.headers import REQUEST_ID
from contract.shadow import ANSWERS_PATH
from services.model_server.canary.faults import Faults
from services.model_server.canary.feedback import RecentPredictions, outcome
from services.model_server.canary.shadow import Answers
from services.model_server.errors import RequestError
from services.model_server.http.inference import Inference, Settings, error_answer, read_body
from services.model_server.metrics import Metrics
from services.model_server.version import LoadedVersion

log = logging.getLogger(__name__)

SERVER_NAME = "loadproof-model-server"
SERVER_VERSION = "0.1.0"


def create_app(
    version: LoadedVersion,
    registry: CollectorRegistry,
    settings: Settings | None = None,
    *,
    is_ready: Callable[[], bool] = lambda: True,
    faults: Faults | None = None,
) -> Flask:
    """The Flask application that serves one version; ``app.extensions["inference"]`` answers infer requests.

    Args:
        version: what is served.
        registry: where the metrics are registered; a fresh one per application.
        settings: the server's bounds.
        is_ready: asked by the readiness routes; false while the server stops.
        faults: may be injected into this server; None: it has no such route.
    """
    app = Flask("loadproof", static_folder=None)
    app.url_map.strict_slashes = False
    routes = _Routes(version, registry, settings or Settings(), is_ready, faults)
    app.extensions["inference"] = routes.inference
    for rule, view, method in (
        ("/v2", routes.server, "GET"),
        ("/v2/health/live", routes.live, "GET"),
        ("/v2/health/ready", routes.ready, "GET"),
        ("/metrics", routes.metrics_page, "GET"),
        (ANSWERS_PATH, routes.answers_page, "GET"),
        ("", routes.model, "GET"),
        ("/ready", routes.model_ready, "GET"),
        ("/infer", routes.infer, "POST"),
        ("/feedback", routes.feedback, "POST"),
    ):
        if rule.startswith(("/v2", "/metrics", ANSWERS_PATH)):
            app.add_url_rule(rule, view_func=view, methods=[method])
        else:
            for prefix in ("/v2/models/<name>", "/v2/models/<name>/versions/<number>"):
                app.add_url_rule(prefix + rule, view_func=view, methods=[method])
    if faults is not None:
        app.add_url_rule(FAULTS_PATH, view_func=routes.inject, methods=["PUT"])
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
        self._metrics = Metrics(registry, version, lambda: self.inference.depth)
        self._recent = RecentPredictions(settings.recent)
        self._answers = Answers(version.task, settings.recent)
        self.inference = Inference(version, self._metrics, self._recent, settings, self._answers, faults)

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

    def answers_page(self) -> Response:
        """``GET /answers?after=N``: see ``shadow``; the gateway forwards no such path."""
        after = request.args.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 19):
            raise RequestError(400, f"after must be a number of records, got {after!r}")
        return _json(self._answers.page(int(after)))

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
        """``POST /v2/models/{m}/infer``."""
        # an address that is not ours is counted and answered like any other infer request
        status, kept, body = self.inference(request.environ, lambda: self._check_name(name, number))
        return Response(body, status, kept)

    def feedback(self, name: str, number: str | None = None) -> Response:
        """``POST /v2/models/{m}/feedback``: ``{"id": ..., "label": ...}``; a list where there were rows."""
        self._check_name(name, number)
        document = _load_json(read_body(request.environ, self._settings.max_body))
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
        self._answers.learned(request_id, truth)
        for word, error in outcomes:
            self._metrics.feedback(word)
            if error is not None and self._metrics.absolute_error:
                self._metrics.absolute_error.observe(error)
        return _json({"id": request_id, "outcomes": [word for word, _ in outcomes]})

    def inject(self) -> Response:
        """``PUT /faults``: see ``faults``; only where the server was started with them."""
        assert self._faults is not None  # noqa: S101 - the route exists only then
        return _json(self._faults.replace(_load_json(read_body(request.environ, self._settings.max_body))))


def _json(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type="application/json")


def _error(error: Exception) -> Response:
    if isinstance(error, RequestError):
        status, kept, body = error_answer(error.status, str(error))
        return Response(body, status, kept)
    if isinstance(error, HTTPException):
        response = _json({"error": error.description or error.name}, error.code or 500)
        response.headers.extend(
            (key, value) for key, value in error.get_headers() if key in ("Allow", "Location")
        )
        return response
    log.error("request %s failed", request.headers.get(REQUEST_ID, "-"), exc_info=error)
    return _json({"error": "the server failed on this request; its log says why"}, 500)


def _load_json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
