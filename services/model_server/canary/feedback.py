"""Feedback: what truly happened, joined to recent predictions by request id; and what of it is evidence.

A canary's evidence counts users, as its split does: answers of one user go wrong together. So a user is
one trial per step, by the first row of the first answer that becomes known; a request that names no user
is a trial of its own. What the gateway did not mark with a step (a pinned request, one that came past it)
is none.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contract.arms import ARMS
from contract.feedback_token import VARIABLE
from contract.headers import CANARY_ARM, FEEDBACK_TOKEN, in_wsgi
from contract.label_text import label_text
from services.model_server.canary.arms import hash_of, step_of, user_of
from services.model_server.errors import RequestError

_ARM, _TOKEN = map(in_wsgi, (CANARY_ARM, FEEDBACK_TOKEN))


class Trial(NamedTuple):
    """Whose evidence an answer is, of which step, and of which arm; no user is nobody in particular.

    The user is a hash: many are kept, and a name is as long as a stranger likes.
    """

    step: int
    user: int | None
    arm: str

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> Trial | None:
        """The trial that a request belongs to, by its WSGI environment; None: it is no evidence."""
        step, arm = step_of(environ), environ.get(_ARM)
        if step is None or arm not in ARMS:
            return None
        user = user_of(environ)
        return cls(step, hash_of(user) if user else None, arm)


class Trials:
    """Which trials have counted, in bounded memory; thread-safe.

    Args:
        capacity: users kept; the one who counted first is forgotten first, and may then count again.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._counted: OrderedDict[Trial, None] = OrderedDict()

    def first(self, trial: Trial) -> bool:
        """Whether this is the first outcome of a user in a step; the next one is not."""
        if trial.user is None:
            return True
        with self._lock:
            if trial in self._counted:
                return False
            self._counted[trial] = None
            if len(self._counted) > self._capacity:
                self._counted.popitem(last=False)
        return True


class Remembered(NamedTuple):
    """The predictions of one request, one per row, and the trial that they are, if any."""

    predictions: Sequence[object]
    trial: Trial | None


class RecentPredictions:
    """The latest predictions by request id, in bounded memory; thread-safe.

    Args:
        capacity: predicted rows kept; the oldest requests are forgotten first.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows = 0
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, Remembered] = OrderedDict()

    def remember(self, request_id: str, predictions: Sequence[object], trial: Trial | None = None) -> None:
        """Keep the predictions of one request, one per row; a request larger than the memory is not kept."""
        if len(predictions) > self._capacity:
            return
        with self._lock:
            before = self._recent.pop(request_id, None)
            self._rows += len(predictions) - (len(before.predictions) if before else 0)
            answer = Remembered(predictions, trial)
            # another answer of the same id: feedback cannot say which one it means, so it is no evidence
            if before and before != answer:
                answer = Remembered(predictions, None)
            self._recent[request_id] = answer
            while self._rows > self._capacity:
                _, oldest = self._recent.popitem(last=False)
                self._rows -= len(oldest.predictions)

    def look_up(self, request_id: str) -> Sequence[object] | None:
        """The predictions of a request; None where it is not known any more."""
        with self._lock:
            found = self._recent.get(request_id)
            return found.predictions if found else None

    def take(self, request_id: str) -> Remembered | None:
        """The same, and forget them: feedback counts once."""
        with self._lock:
            found = self._recent.pop(request_id, None)
            self._rows -= len(found.predictions) if found else 0
            return found


def check_token(token: str, environ: Mapping[str, Any]) -> None:
    """Let only the lab's owner say what truly happened: whoever says it decides about a promotion.

    Raises:
        RequestError: 401, no token came; 403, another one, or there is none to have.
    """
    if not token:
        raise RequestError(403, f"this server takes no feedback; start it with {VARIABLE}")
    given = environ.get(_TOKEN)
    if given is None:
        raise RequestError(401, f"feedback needs the header {FEEDBACK_TOKEN}, with the lab's {VARIABLE}")
    if not hmac.compare_digest(given.encode(errors="replace"), token.encode()):
        raise RequestError(403, f"{FEEDBACK_TOKEN} is not this lab's {VARIABLE}")


def outcome(task: str, predicted: object, truth: object) -> tuple[str, float | None]:
    """What became of one predicted row.

    Labels are compared by ``contract.label_text``.

    Returns:
        The word, and the absolute error of a regression (else None).

    Raises:
        RequestError: 400, ``truth`` is no label of this task.
    """
    try:
        told = label_text(truth)
    except ValueError:
        raise RequestError(400, "label must be text, a number, true or false") from None
    if task == "classification":
        return ("correct" if label_text(predicted) == told else "incorrect"), None
    if isinstance(truth, bool) or not isinstance(truth, int | float) or not isinstance(predicted, float):
        raise RequestError(400, "label must be a number: this version is a regression")
    return "received", abs(predicted - truth)
