"""Feedback: what truly happened, joined to recent predictions by request id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from contract.label_text import label_text
from services.model_server.errors import RequestError


class RecentPredictions:
    """The latest predictions by request id, in bounded memory; thread-safe.

    Args:
        capacity: predicted rows kept; the oldest requests are forgotten first.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._rows = 0
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, Sequence[object]] = OrderedDict()

    def remember(self, request_id: str, predictions: Sequence[object]) -> None:
        """Keep the predictions of one request, one per row; a request larger than the memory is not kept."""
        if len(predictions) > self._capacity:
            return
        with self._lock:
            self._rows += len(predictions) - len(self._recent.pop(request_id, ()))
            self._recent[request_id] = predictions
            while self._rows > self._capacity:
                _, oldest = self._recent.popitem(last=False)
                self._rows -= len(oldest)

    def look_up(self, request_id: str) -> Sequence[object] | None:
        """The predictions of a request; None where it is not known any more."""
        with self._lock:
            return self._recent.get(request_id)

    def take(self, request_id: str) -> Sequence[object] | None:
        """The same, and forget them: feedback counts once."""
        with self._lock:
            predictions = self._recent.pop(request_id, None)
            self._rows -= len(predictions or ())
            return predictions


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
