"""One infer request from its WSGI environment to its answer, without Flask.

Flask's route and the short way in front of it both come here, so that a request gets the same
answer whichever way it took.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from contract.headers import JSON_LENGTH, REQUEST_ID, SHADOW, in_wsgi
from services.model_server.canary.arms import Arms, user_of
from services.model_server.canary.faults import Faults
from services.model_server.canary.feedback import RecentPredictions, Trial
from services.model_server.canary.shadow import Answers
from services.model_server.columns import Rows
from services.model_server.errors import DeadlinePassed, RequestError
from services.model_server.http.batching import Batcher, Inline
from services.model_server.http.body_room import BodyRoom
from services.model_server.http.gateway_queue import GatewayQueue
from services.model_server.http.protocol import (
    check_finite,
    json_length_of,
    parse,
    patience_of,
    render,
    request_id_of,
)
from services.model_server.http.slow_requests import Readers
from services.model_server.metrics import Metrics
from services.model_server.runtime import Results, Run
from services.model_server.tensors import is_finite
from services.model_server.version import LoadedVersion

log = logging.getLogger(__name__)

_CHUNK = 2**16
_PREDICT = frozenset(["predict"])
_JSON = ("content-type", "application/json")
_BINARY = ("content-type", "application/octet-stream")
_SHADOW = in_wsgi(SHADOW)


@dataclass(frozen=True)
class Settings:
    """The bounds of a server: ``Settings(max_body=2**20)``.

    Args:
        max_body: the largest body in bytes; a larger one gets 413.
        batching: whether requests that wait go through the model together.
        max_queue: the most requests that wait for the model; one more gets 503.
        max_rows: the most rows that requests are put together to for one run of the model.
        timeout: seconds that a request may take where the gateway does not say how long it waits.
        recent: predicted rows that are kept for feedback.
        feedback_token: what feedback must bring; empty: nobody may send any; None: anybody may.
    """

    max_body: int = 4 * 2**20
    batching: bool = True
    max_queue: int = 48
    max_rows: int = 256
    timeout: float = 10.0
    recent: int = 10_000
    feedback_token: str | None = None


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def error_answer(status: int, message: str) -> Answer:
    """An error as the protocol shows it; whoever is refused for now learns when to come back."""
    kept = [_JSON, ("retry-after", "1")] if status == 503 else [_JSON]
    return Answer(status, kept, orjson.dumps({"error": message}))


class Inference:
    """Answers infer requests of one version, and counts each once, whatever its answer is.

    ``recent`` remembers the predictions for feedback, ``answers`` what was answered to mirrored requests;
    ``queue`` says what requests have waited before they came here; ``faults`` are injected where a sick
    version would be sick; ``arms`` notes who came by which arm of the canary's split.
    """

    def __init__(
        self,
        version: LoadedVersion,
        metrics: Metrics,
        recent: RecentPredictions,
        settings: Settings,
        answers: Answers,
        queue: GatewayQueue,
        faults: Faults | None = None,
        arms: Arms | None = None,
    ) -> None:
        self._arms = arms or Arms()
        self._answers = answers
        self._queue = queue
        self._faults = faults
        self._version = version
        self._metrics = metrics
        self._recent = recent
        self._settings = settings
        self.readers = Readers()
        self._room = BodyRoom(settings.max_body)
        run = self._timed(version.run)
        self._batcher = (
            Batcher(run, max_rows=settings.max_rows, max_queue=settings.max_queue)
            if settings.batching
            else Inline(run)
        )

    @property
    def depth(self) -> int:
        """Requests that wait for the model now."""
        return self._batcher.depth

    def __call__(self, environ: Mapping[str, Any], check: Callable[[], None] | None = None) -> Answer:
        """Answer one request; ``check`` raises a ``RequestError`` where its address is not this version's."""
        started = time.monotonic()
        waited = self._queue.begin(environ)
        self._metrics.begin()
        self._arms.came(environ)
        request_id = answer_id = request_id_of(environ)
        labels: list[Any] = []
        results: Results = {}
        try:
            if check:
                check()
            answer, results, labels, answer_id = self._answer(environ, request_id, started, waited)
        except RequestError as error:
            answer = error_answer(error.status, str(error))
        except Exception as error:
            log.error("request %s failed", request_id, exc_info=error)
            answer = error_answer(500, "the server failed on this request; its log says why")
        answer.headers.append((REQUEST_ID, request_id))
        seconds = time.monotonic() - started
        self._queue.end()
        self._metrics.finish(answer.status, seconds, labels)
        if mark := environ.get(_SHADOW):
            user = user_of(environ)
            self._answers.answered(request_id, answer_id, mark, answer.status, seconds, labels, user, results)
        return answer

    def _answer(
        self, environ: Mapping[str, Any], request_id: str, started: float, waited: float
    ) -> tuple[Answer, Results, list[Any], str]:
        deadline = started + patience_of(environ, self._settings.timeout) - waited
        # whoever cannot be answered costs as little as can be: the others need what is left
        if deadline < started:
            raise DeadlinePassed
        self._batcher.check()
        json_length = json_length_of(environ)
        with self._room.of(room_for(environ, self._settings.max_body), deadline):
            try:
                return self._answer_body(environ, json_length, request_id, deadline)
            except RequestError as error:
                # what is raised holds all that was parsed, until somebody else has the room
                error.__context__ = None
                raise error.with_traceback(None)  # noqa: B904 - it is the same error

    def _answer_body(
        self, environ: Mapping[str, Any], json_length: int | None, request_id: str, deadline: float
    ) -> tuple[Answer, Results, list[Any], str]:
        version = self._version
        wanted = parse(self.read_body(environ), json_length, version.input, version.outputs)
        # predict always runs: it is what is counted, and what feedback is compared with
        names = _PREDICT.union(wanted.outputs)
        if self._faults:
            self._faults.before()
        results = self._run(wanted.rows, names, self._answers.wanted(environ.get(_SHADOW)), deadline)
        if self._faults:
            results = self._faults.after(results)
        for name in names:
            check_finite(name, results[name])
        answer_id = wanted.id or request_id
        labels = results["predict"].tolist()
        self._recent.remember(answer_id, labels, Trial.of(environ))
        body, length = render(version, wanted, answer_id, results)
        if length is None:
            return Answer(200, [_JSON], body), results, labels, answer_id
        kept = [_BINARY, (JSON_LENGTH, str(length))]
        return Answer(200, kept, body), results, labels, answer_id

    def _run(self, rows: Rows, names: frozenset[str], along: frozenset[str], deadline: float) -> Results:
        """What the client asked for; and what a reader of the shadow did, unless the model fails at that."""
        try:
            results = self._batcher.submit(rows, names | along, deadline)
        except RequestError:
            raise
        except Exception as error:
            if along <= names:
                raise
            log.warning("%s is not told of a mirrored request", ", ".join(along - names), exc_info=error)
            return self._batcher.submit(rows, names, deadline)
        return {name: array for name, array in results.items() if name in names or is_finite(array)}

    def read_body(self, environ: Mapping[str, Any]) -> bytes:
        """The whole body of a request; a client that sends it too slowly is cut (see ``slow_requests``).

        Raises:
            RequestError: 413, it is larger than ``settings.max_body``.
        """
        with self.readers:
            return read_body(environ, self._settings.max_body)

    def _timed(self, run: Run) -> Run:
        observe = self._metrics.batch

        def timed(rows: Rows, outputs: frozenset[str]) -> Results:
            started = time.monotonic()
            results = run(rows, outputs)
            observe(time.monotonic() - started, len(rows))
            return results

        return timed


def room_for(environ: Mapping[str, Any], limit: int) -> int:
    """The bytes of a body that will be kept: as announced, or the most; of one that is too large none."""
    length = _length(environ)
    return limit if length is None else length if length <= limit else 0


def _length(environ: Mapping[str, Any]) -> int | None:
    given = environ.get("CONTENT_LENGTH", "")
    return int(given) if given.isascii() and given.isdigit() else None


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """A request's body, whether it announces its length or comes in chunks.

    Raises:
        RequestError: 413, it is larger than ``limit`` bytes.
    """
    # granian's stream knows no read(-1)
    read = environ["wsgi.input"].read
    length = _length(environ)
    if length is None or length <= limit:
        body: bytes = read(limit + 1 if length is None else length)
        if len(body) <= limit:
            return body
    # a client that is still sending would see a broken connection instead of the answer: read on for a while
    for _ in range(0, 16 * limit, _CHUNK):
        if not read(_CHUNK):
            break
    raise RequestError(413, f"the body is larger than {limit} bytes; send fewer rows at a time")
