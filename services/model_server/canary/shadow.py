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

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from contract.label_text import label_text
from contract.model_toml import Task
from contract.shadow import MARKS
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


class Answers:
    """The latest answers to marked requests, oldest first, in bounded memory; thread-safe.

    Args:
        task: what the version does.
        capacity: rows kept; a record without rows counts as one.
        clock: seconds since 1970.
    """

    def __init__(self, task: Task, capacity: int, clock: Callable[[], float] = time.time) -> None:
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
    ) -> None:
        """Keep an answer, if its request has one of the ``MARKS``; an empty ``user`` is nobody in particular.

        Both versions know the request by ``request_id``, feedback will know the answer by ``answer_id``. The
        seconds run from the request's arrival in this server; there is a label per row, or none.
        """
        if mark in MARKS and len(labels) <= self._capacity:
            told = hash_of(user) if user else None
            record = _Record(self._clock(), request_id, answer_id, mark, status, seconds, labels, told)
            with self._lock:
                self._known[answer_id] = request_id
                self._keep(record)

    def learned(self, answer_id: str, truth: Sequence[object]) -> None:
        """Keep what truly happened, one label per row, if the answer is still here."""
        # looked up without the lock: outside shadow mode nothing is known, and feedback waits for nobody
        if answer_id in self._known:
            with self._lock:
                request_id = self._known.get(answer_id)
                if request_id is not None:
                    self._keep(_Record(self._clock(), request_id, answer_id, "", 0, 0.0, truth))

    def page(self, after: int) -> dict[str, Any]:
        """The next records, oldest first, as JSON can carry them.

        Args:
            after: records that the reader has had: ``next`` of its last page, or 0.

        Returns:
            ``ring`` changes when the server starts again, and numbers begin anew; ``first`` is the number of
            the oldest record that is left, ``next`` what to ask for next time, ``more`` whether to ask at
            once, ``now`` the server's clock.
        """
        with self._lock:
            first = self._next - len(self._records)
            begin = min(max(after, first), self._next)
            found = list(islice(self._records, begin - first, begin - first + PAGE))
            end, last = begin + len(found), self._next
        return {
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
        self._rows += max(len(record.labels), 1)
        while self._rows > self._capacity and len(self._records) > 1:
            oldest = self._records.popleft()
            self._rows -= max(len(oldest.labels), 1)
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
        }  # fmt: skip
