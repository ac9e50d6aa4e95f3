"""Answers to requests that the gateway mirrors: kept for a while, so that both versions' can be joined.

In shadow mode the gateway marks each user's request as the ``original`` and what it sends to the candidate as
the ``copy``; both carry the same request id. Each server keeps what it answered to marked requests, and what
truly happened where feedback tells, in a bounded ring that is read page by page. No input is kept, and of
who asked a hash. A classification's labels are told as ``contract.label_text`` writes them, a regression's
values as numbers.

::

    ring = Answers("classification", capacity=10_000)
    ring.answered("r1", "r1", "copy", 200, 0.012, ["yes"], user="ann")
    ring.learned("r1", ["no"])
    ring.page(after=0)["records"]
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.label_text import label_text
from contract.model_toml import Task
from contract.shadow import ALONG, ASKED_FOR, MARKS, MOST_ALONG, MOST_ITEMS
from services.model_server.canary.arms import hash_of

PAGE = 2000
"""The most records of one page."""


class _Record(NamedTuple):
    """An answer, or (without a mark) what feedback told of one."""

    at: float
    request_id: str
    answer_id: str
    mark: str
    status: int
    seconds: float
    labels: Sequence[object]
    user: int | None = None
    along: Mapping[str, NDArray[Any]] = MappingProxyType({})

    @property
    def size(self) -> int:
        """Rows, at least one; ten scores or items take as much memory as a row."""
        return max(len(self.labels), 1) + sum(_size(array) for array in self.along.values()) // 10


class Answers:
    """The latest answers to marked requests, oldest first, in bounded memory; thread-safe.

    Args:
        task: what the version does.
        capacity: rows kept; a record without rows counts as one, and so do ten scores or items.
        clock: seconds since 1970.
        classes: the labels in the order of the scores; None where they are not known.
        offers: the names of the outputs that the version has.
    """

    def __init__(
        self,
        task: Task,
        capacity: int,
        clock: Callable[[], float] = time.time,
        classes: Sequence[Any] | None = None,
        offers: Iterable[str] = (),
    ) -> None:
        self._classes = [label_text(each) for each in classes or ()]
        self._offers = frozenset(offers)
        self._asked = dict.fromkeys(ALONG, -math.inf)
        self._as_text = task == "classification"
        self._capacity = capacity
        self._clock = clock
        self._name = os.urandom(8).hex()
        self._lock = threading.Lock()
        self._records: deque[_Record] = deque()
        self._rows = 0
        self._next = 0
        self._known: dict[str, str] = {}

    def answered(
        self,
        request_id: str,
        answer_id: str,
        mark: str,
        status: int,
        seconds: float,
        labels: Sequence[object],
        user: str = "",
        results: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    ) -> None:
        """Keep an answer, if its request has one of the ``MARKS``; an empty ``user`` is nobody in particular.

        Of the ``results`` it keeps the scores and lists that were asked for lately, if they are not too many.
        Both versions know the request by ``request_id``, feedback will know the answer by ``answer_id``. The
        seconds run from the request's arrival in this server; there is a label per row, or none.
        """
        if mark in MARKS and len(labels) <= self._capacity:
            told = hash_of(user) if user else None
            wanted = self.wanted(mark)
            all_along = {
                what: _firsts(results[name]) if what == "ranking" else results[name]
                for what, name in ALONG.items()
                if name in wanted and name in results
            }
            along = {what: array for what, array in all_along.items() if _size(array) <= MOST_ALONG}
            record = _Record(self._clock(), request_id, answer_id, mark, status, seconds, labels, told, along)
            with self._lock:
                self._known[answer_id] = request_id
                self._keep(record)

    def wanted(self, mark: str | None) -> frozenset[str]:
        """The outputs of the model that a reader asked for lately, of a request with this mark."""
        if mark not in MARKS:
            return frozenset()
        since = self._clock() - ASKED_FOR
        return frozenset(ALONG[what] for what, at in self._asked.items() if at >= since) & self._offers

    def learned(self, answer_id: str, truth: Sequence[object]) -> None:
        """Keep what truly happened, one label per row, if the answer is still here."""
        # looked up without the lock: outside shadow mode nothing is known, and feedback waits for nobody
        if answer_id in self._known:
            with self._lock:
                request_id = self._known.get(answer_id)
                if request_id is not None:
                    self._keep(_Record(self._clock(), request_id, answer_id, "", 0, 0.0, truth))

    def page(self, after: int, along: Iterable[str] = ()) -> dict[str, Any]:
        """The next records, oldest first, as JSON can carry them.

        Args:
            after: records that the reader has had: ``next`` of its last page, or 0.
            along: what is to be told of later answers beside the labels: some of ``contract.shadow.ALONG``.

        Returns:
            ``ring`` changes when the server starts again, and numbers begin anew; ``first`` is the number of
            the oldest record that is left, ``next`` what to ask for next time, ``more`` whether to ask at
            once, ``now`` the server's clock, ``classes`` the labels in the order of the scores, and ``lacks``
            what of ``along`` the version does not have.
        """
        asked = [what for what in along if what in self._asked]
        self._asked.update(dict.fromkeys(asked, self._clock()))
        with self._lock:
            first = self._next - len(self._records)
            begin = min(max(after, first), self._next)
            found = list(islice(self._records, begin - first, begin - first + PAGE))
            end, last = begin + len(found), self._next
        told = {"lacks": [what for what in asked if ALONG[what] not in self._offers]} if asked else {}
        if "scores" in asked and self._classes:
            told["classes"] = self._classes
        return told | {
            "ring": self._name,
            "now": self._clock(),
            "first": first,
            "next": end,
            "more": end < last,
            "records": [self._to_json(record) for record in found],
        }

    def _keep(self, record: _Record) -> None:
        self._records.append(record)
        self._next += 1
        self._rows += record.size
        while self._rows > self._capacity and len(self._records) > 1:
            oldest = self._records.popleft()
            self._rows -= oldest.size
            if oldest.mark:
                self._known.pop(oldest.answer_id, None)

    def _to_json(self, record: _Record) -> dict[str, Any]:
        labels = [label_text(label) for label in record.labels] if self._as_text else list(record.labels)
        told = {"at": record.at, "id": record.request_id}
        if not record.mark:
            return told | {"truth": labels}
        return told | {
            "mark": record.mark, "status": record.status, "seconds": record.seconds, "labels": labels,
            "user": record.user,
        } | {what: _told(what, array, len(labels)) for what, array in record.along.items()}  # fmt: skip


def _firsts(lists: NDArray[Any]) -> NDArray[Any]:
    """The first ``MOST_ITEMS`` of each list, shape (rows,)."""
    found = np.empty(len(lists), dtype=object)
    found[:] = [list(each)[:MOST_ITEMS] for each in lists]
    return found


def _told(what: str, array: NDArray[Any], rows: int) -> list[Any]:
    if what == "scores":
        return np.asarray(array, np.float32).astype(np.float64).round(7).reshape(rows, -1).tolist()
    return list(array)


def _size(array: NDArray[Any]) -> int:
    """Numbers, or items of lists."""
    return sum(map(len, array)) if array.dtype == object else int(array.size)
