"""The Flask application: routes, statuses and headers of the Open Inference Protocol v2.

Every infer request that gets an answer is counted once, whatever the answer is. ``x-request-id`` is kept,
made where missing, and returned; it is also the answer's ``id`` where the request's body has none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry
from werkzeug.exceptions import HTTPException

from contract.arms import ARMS_PATH
from contract.categories import CATEGORIES_PATH
from contract.faults import FAULTS_PATH
from contract.headers import REQUEST_ID
from contract.shadow import ALONG, ANSWERS_PATH
from services.model_server.canary.arms import Arms
from services.model_server.canary.faults import Faults
from services.model_server.canary.feedback import RecentPredictions, Trials, check_token, outcome
from services.model_server.canary.shadow import Answers
from services.model_server.errors import RequestError
from services.model_server.http.gateway_queue import GatewayQueue
from services.model_server.http.inference import Inference, Settings, error_answer
from services.model_server.metrics import Metrics
from services.model_server.version import LoadedVersion

log = logging.getLogger(__name__)

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
"""How WSGI says a status."""

SERVER_NAME = "loadproof-model-server"
SERVER_VERSION = "0.1.0"


def create_app(
    version: LoadedVersion,
    registry: CollectorRegistry,
    settings: Settings | None = None,
    *,
    is_ready: Callable[[], bool] = lambda: True,
    faults: Faults | None = None,
    queue: GatewayQueue | None = None,
) -> Flask:
    """The Flask application that serves one version; ``app.extensions["inference"]`` answers infer requests.

    The registry must be a fresh one. ``is_ready`` is false while the server stops. Without ``faults`` there
    is no route to inject any. ``queue`` reads the gateway's clock and this one; None: as they are.
    """
    settings, queue = settings or Settings(), queue or GatewayQueue()
    metrics = Metrics(registry, version, lambda: inference.depth, lambda: queue.offset)
    recent, trials = RecentPredictions(settings.recent), Trials()
    answers, arms = (
        Answers(version.task, settings.recent, classes=version.classes, offers=version.outputs),
        Arms(),
    )
    inference = Inference(version, metrics, recent, settings, answers, queue, faults, arms)
    app = Flask("loadproof", static_folder=None)
    app.url_map.strict_slashes = False
    app.extensions["inference"] = inference
    app.register_error_handler(Exception, _error)

    def check_name(name: str, number: str | None) -> None:
        if name != version.name:
            raise RequestError(404, f"unknown model {name!r}; this server has {version.name!r}")
        if number not in (None, version.version):
            raise RequestError(
                404, f"unknown version {number!r} of {name!r}; this server has {version.version!r}"
            )

    def server() -> Response:
        return _json({"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": ["binary_tensor_data"]})

    def ready() -> Response:
        now = is_ready()
        return _json({"ready": now}, 200 if now else 503)

    def page_of(pages: Callable[[int], dict[str, Any]]) -> Response:
        after = request.args.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 19):
            raise RequestError(400, f"after must be a number of records, got {after!r}")
        return _json(pages(int(after)))

    def asked_along() -> list[str]:
        asked = [what for what in request.args.get("along", "").split(",") if what]
        if unknown := sorted(set(asked) - set(ALONG)):
            raise RequestError(400, f"along must be some of {', '.join(ALONG)}, got {unknown[0]!r}")
        return asked

    def inject() -> Response:
        assert faults is not None  # noqa: S101 - the route exists only then
        return _json(faults.replace(_load_json(inference.read_body(request.environ))))

    def model(name: str, number: str | None = None) -> Response:
        check_name(name, number)
        return _json(version.metadata())

    def model_ready(name: str, number: str | None = None) -> Response:
        check_name(name, number)
        now = is_ready()
        return _json({"name": name, "ready": now}, 200 if now else 503)

    def infer(name: str, number: str | None = None) -> Response:
        # an address that is not ours is counted and answered like any other infer request
        status, kept, body = inference(request.environ, lambda: check_name(name, number))
        return Response(body, status, kept)

    def feedback(name: str, number: str | None = None) -> Response:
        check_name(name, number)
        if settings.feedback_token is not None:
            check_token(settings.feedback_token, request.environ)
        document = _load_json(inference.read_body(request.environ))
        if not isinstance(document, dict):
            raise RequestError(400, "the body must be a JSON object")
        if set(document) != {"id", "label"} or not isinstance(document["id"], str):
            raise RequestError(400, 'feedback must be {"id": the id of an answer, "label": what happened}')
        answer_id, label = document["id"], document["label"]
        truth = label if isinstance(label, list) else [label]
        predicted = recent.look_up(answer_id)
        if predicted is not None and len(truth) != len(predicted):
            raise RequestError(400, f"{len(truth)} labels for the {len(predicted)} rows of {answer_id!r}")
        outcomes = [outcome(version.task, *pair) for pair in zip(predicted or (), truth, strict=False)]
        # a second report of the same id may have come in between; one of the two counts
        taken = recent.take(answer_id)
        if taken is None:
            metrics.feedback("unknown", len(truth))
            raise RequestError(404, f"no recent prediction with id {answer_id!r}")
        answers.learned(answer_id, truth)
        if outcomes and taken.trial and trials.first(taken.trial):
            metrics.user_outcome(outcomes[0][0], taken.trial.arm)
        for word, error in outcomes:
            metrics.feedback(word)
            if error is not None and metrics.absolute_error:
                metrics.absolute_error.observe(error)
        return _json({"id": answer_id, "outcomes": [word for word, _ in outcomes]})

    known = version.categories and {"columns": version.columns, **version.categories.document()}
    of_the_model: list[tuple[str, Callable[..., Response], str]] = [
        ("", model, "GET"),
        ("/ready", model_ready, "GET"),
        ("/infer", infer, "POST"),
        ("/feedback", feedback, "POST"),
    ]
    routes: list[tuple[str, Callable[..., Response], str]] = [
        ("/v2", server, "GET"),
        ("/v2/health/live", lambda: _json({"live": True}), "GET"),
        ("/v2/health/ready", ready, "GET"),
        ("/metrics", lambda: Response(metrics.render(), content_type=CONTENT_TYPE_PLAIN_0_0_4), "GET"),
        # the gateway forwards none of these
        (ANSWERS_PATH, lambda: page_of(lambda after: answers.page(after, asked_along())), "GET"),
        (CATEGORIES_PATH, lambda: _json(known), "GET"),
        (ARMS_PATH, lambda: page_of(arms.page), "GET"),
        *([(FAULTS_PATH, inject, "PUT")] if faults is not None else []),
    ]
    for prefix in ("/v2/models/<name>", "/v2/models/<name>/versions/<number>"):
        routes += [(prefix + rule, view, method) for rule, view, method in of_the_model]
    for rule, view, method in routes:
        app.add_url_rule(rule, endpoint=rule, view_func=view, methods=[method])
    return app


def in_front_of(
    app: Flask, inference: Inference, version: LoadedVersion
) -> Callable[[dict[str, Any], Any], list[bytes]]:
    """The WSGI application that the server runs: the short way of an infer request past Flask.

    Most of what a small model's request costs is Flask's: routing, a request context, response objects. The
    two addresses of infer requests are compared as strings; whatever else comes, method or spelling, goes to
    ``app``, whose own route ends in the same ``inference``.
    """
    model = f"/v2/models/{version.name}"
    paths = frozenset([f"{model}/infer", f"{model}/versions/{version.version}/infer"])

    def serve(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] in paths and environ["REQUEST_METHOD"] == "POST":
            status, headers, body = inference(environ)
            start_response(_LINES[status], [*headers, ("content-length", str(len(body)))])
            return [body]
        return _in_one_piece(app(environ, start_response))

    return serve


def _in_one_piece(parts: Iterable[bytes]) -> list[bytes]:
    """A body as a list: granian sends that whole instead of streaming it."""
    try:
        return list(parts)
    finally:
        getattr(parts, "close", lambda: None)()


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
