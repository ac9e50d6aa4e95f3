"""The shadow: both versions' answers to the same requests, joined by request id.

In shadow mode each user's request goes to stable, and a copy of it to the candidate, whose answers nobody
sees. Both servers keep what they answered for a while (``GET /answers``); here the two are put together.
Pure::

    join = Join(since=state.since.timestamp())
    join.add(records, now)      # of either server, as often as they are read
    join.take(edges)            # what was gained since the last scrape, in the gates' own terms
    join.summary()              # everything so far, for people
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from contract.label_text import label_text
from contract.shadow import COPY, ORIGINAL
from loadtest.canary.counts import Counts
from loadtest.experiment.role import ROLES, Role
from loadtest.stats.proportions import Share

PATIENCE = 12.0
"""Seconds after stable's answer in which the candidate's must be there; the gateway gives it ten."""

KEPT = 20_000
"""Requests that are remembered, for feedback that is still to come, and of which latencies are shown."""

QUANTILES = (0.5, 0.95, 0.99)
_CLOSE = 1e-3
_ALPHA = 0.025
_MARKS = {ORIGINAL: Role.STABLE, COPY: Role.CANDIDATE}


class Shadow(NamedTuple):
    """What is known from the shadow.

    Args:
        pairs: requests of which both answers are known.
        failed: copies that the candidate answered with an error, where stable did not.
        unanswered: copies that the candidate never answered.
        agreement: share of rows that both versions predict alike, None before the first: texts and whole
            numbers are alike when they are equal, fractions when they differ by at most 0.1%.
        interval: the ends of its 95% interval (Clopper and Pearson 1934).
        judged: rows whose true outcome is known; classification only.
        accuracy: per role the share of them that it predicted; empty before the first.
        latency: per role the quantiles ``QUANTILES`` in seconds, in the server, over the same requests; empty
            before the first.
    """

    pairs: int
    failed: int
    unanswered: int
    agreement: float | None
    interval: tuple[float, float]
    judged: int
    accuracy: Mapping[Role, float]
    latency: Mapping[Role, tuple[float, ...]]

    def to_json(self) -> dict[str, Any]:
        """For machines; seconds."""
        return self._asdict() | {
            "latency": {
                role: {f"p{q * 100:g}": round(value, 6) for q, value in zip(QUANTILES, values, strict=True)}
                for role, values in self.latency.items()
            }
        }


class _Answer(NamedTuple):
    status: int
    seconds: float
    labels: Sequence[object]


@dataclass
class _Request:
    """One request: what is known of it so far."""

    answers: dict[Role, _Answer] = field(default_factory=dict)
    truth: Sequence[object] | None = None
    at: float = 0.0
    counted: bool = False
    judged: bool = False


class Join:
    """Joins records of both servers; knows no clock but the records' own.

    Args:
        since: seconds since 1970; what was answered before belongs to another shadow.
    """

    def __init__(self, since: float = 0.0) -> None:
        self._since = since
        self._now = 0.0
        self._requests: dict[str, _Request] = {}
        self._waiting: dict[str, None] = {}
        self._pairs = self._failed = self._unanswered = 0
        self._rows = self._alike = 0
        self._judged = 0
        self._right = dict.fromkeys(ROLES, 0)
        self._seconds: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._gained = {role: _Gain() for role in ROLES}

    def skip(self, before: float) -> None:
        """Records of one server up to this moment are lost: of older requests nothing can be said."""
        self._since = max(self._since, before)
        for name in [n for n in self._waiting if self._requests[n].at < self._since]:
            self._forget(name)

    def add(self, records: Iterable[Mapping[str, Any]], now: float) -> None:
        """Take in records of one server, oldest first.

        Args:
            records: see ``services/model_server/shadow.py``.
            now: seconds since 1970, on the servers' clock.
        """
        for record in records:
            if record["at"] >= self._since:
                self._take_in(record)
        self._now = max(self._now, now)

    def take(self, edges: Sequence[float]) -> dict[Role, Counts]:
        """What each role gained since this was asked last, over requests whose end is known.

        Args:
            edges: seconds, ascending, for ``Counts.slower``.
        """
        self._give_up()
        gained, self._gained = self._gained, {role: _Gain() for role in ROLES}
        return {role: gain.counts(edges) for role, gain in gained.items()}

    def summary(self) -> Shadow:
        """Everything so far."""
        self._give_up()
        share = Share(self._alike, self._rows) if self._rows else None
        pairs = np.array(self._seconds)
        return Shadow(
            pairs=self._pairs,
            failed=self._failed,
            unanswered=self._unanswered,
            agreement=share.value if share else None,
            interval=share.interval(_ALPHA) if share else (0.0, 1.0),
            judged=self._judged,
            accuracy={r: n / self._judged for r, n in self._right.items()} if self._judged else {},
            latency={
                role: tuple(float(value) for value in np.quantile(pairs[:, place], QUANTILES))
                for place, role in enumerate(ROLES)
            }
            if len(pairs)
            else {},
        )

    def _take_in(self, record: Mapping[str, Any]) -> None:
        name = record["id"]
        request = self._requests.get(name)
        if request is None:
            request = self._requests[name] = _Request(at=record["at"])
            self._waiting[name] = None
            if len(self._requests) > KEPT:
                self._forget(next(iter(self._requests)))
        if "truth" in record:
            request.truth = record["truth"]
        else:
            answer = _Answer(record["status"], record["seconds"], record["labels"])
            request.answers.setdefault(_MARKS[record["mark"]], answer)
        if len(request.answers) == len(ROLES):
            self._count(name, request)
            self._judge(request)

    def _count(self, name: str, request: _Request) -> None:
        if request.counted:
            return
        request.counted = True
        self._waiting.pop(name, None)
        stable, candidate = (request.answers[role] for role in ROLES)
        self._pairs += 1
        self._failed += candidate.status >= 400 > stable.status
        for role, answer in request.answers.items():
            self._gained[role].ended(answer.seconds, failed=answer.status >= 400)
        if stable.status < 400 and candidate.status < 400:
            self._seconds.append((stable.seconds, candidate.seconds))
            pairs = list(zip(stable.labels, candidate.labels, strict=False))
            self._rows += len(pairs)
            self._alike += sum(_alike(*pair) for pair in pairs)

    def _judge(self, request: _Request) -> None:
        if request.judged or request.truth is None or any(a.status >= 400 for a in request.answers.values()):
            return
        request.judged = True
        answers = [request.answers[role].labels for role in ROLES]
        for truth, *labels in zip(request.truth, *answers, strict=False):
            # an error of a regression has a size; it is not right or wrong
            if any(isinstance(label, float) for label in labels):
                continue
            self._judged += 1
            for role, label in zip(ROLES, labels, strict=True):
                right = label_text(label) == label_text(truth)
                self._right[role] += right
                self._gained[role].judged += 1
                self._gained[role].wrong += not right

    def _give_up(self) -> None:
        # not before somebody asks: until then the other server may not have been read yet
        for name in list(self._waiting):
            request = self._requests[name]
            if self._now - request.at < PATIENCE:
                continue
            if stable := request.answers.get(Role.STABLE):
                self._unanswered += 1
                self._gained[Role.STABLE].ended(stable.seconds, failed=stable.status >= 400)
                self._gained[Role.CANDIDATE].ended(math.inf, failed=True)
            # a copy alone: its user went away, or stable's answer was not kept any more
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._requests.pop(name, None)
        self._waiting.pop(name, None)


@dataclass
class _Gain:
    """What one role gained since the last scrape."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    judged: int = 0
    wrong: int = 0

    def ended(self, seconds: float, *, failed: bool) -> None:
        self.seconds.append(seconds)
        self.errors += failed

    def counts(self, edges: Sequence[float]) -> Counts:
        ordered = sorted(self.seconds)
        timed = len(ordered)
        slower = [float(timed - bisect_right(ordered, edge)) for edge in edges]
        return Counts(timed, self.errors, self.judged, self.wrong, timed, slower)


def _alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_CLOSE)
    return label_text(one) == label_text(other)
