"""The shadow: both versions' answers to the same requests, joined by request id.

In shadow mode each user's request goes to stable, and a copy of it to the candidate, whose answers nobody
sees. Both servers keep what they answered for a while (``GET /answers``); here the two are put together.
Pure::

    join = Join(since=state.since.timestamp())
    join.add(records, now, Role.STABLE)     # of either server, as often as they are read
    join.take(edges)                        # what was gained since the last scrape, in the gates' own terms
    join.take_pairs()                       # the answers themselves, for gates on the agreement
    join.summary()                          # everything so far, for people

Stable's server says which requests there were, when, whose, what stable answered and what truly happened. The
candidate's says only what the candidate answered to them, and what it leaves out is an answer that did not
come: it can choose neither which requests count nor what they are compared with.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract.label_text import label_text
from contract.shadow import COPY, ORIGINAL
from loadtest.canary.agreement_tests import Agreement
from loadtest.canary.counts import Counts, Pair
from loadtest.canary.shadow_records import Answer, answer_of, both_scores, is_sound
from loadtest.canary.shadow_summary import QUANTILES, Shadow
from loadtest.experiment.role import ROLES, Role

PATIENCE = 12.0
"""Seconds after stable's answer in which the candidate's must be there; the gateway gives it ten."""

KEPT = 20_000
"""Requests that are remembered, for feedback that is still to come, and of which latencies are shown."""

USERS = 100_000
"""Users that are remembered as counted; the one who counted first is forgotten first."""

_ALPHA = 0.025
_COPIES_ALONG = 1_000
"""Copies without a request whose scores and lists are kept."""


@dataclass
class _Request:
    """One request that stable answered: what is known of it so far."""

    at: float
    stable: Answer
    trial: bool
    named: bool
    candidate: Answer | None = None
    truth: Sequence[object] | None = None
    judged: bool = False


class Join:
    """Joins records of both servers; knows no clock but that of stable's.

    Args:
        since: seconds since 1970; what was answered before belongs to another shadow.
    """

    def __init__(self, since: float = 0.0) -> None:
        self._since = since
        self._now = 0.0
        self._lost_until = 0.0
        self._requests: dict[str, _Request] = {}
        self._waiting: dict[str, None] = {}
        self._copies: dict[str, Answer] = {}
        self._users: dict[object, None] = {}
        self._pairs = self._failed = self._unanswered = self._dropped = 0
        self._agreement = Agreement()
        self._trials: list[Pair] = []
        self._compared = 0
        self._judged = 0
        self._right = dict.fromkeys(ROLES, 0)
        self._seconds: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._gained = {role: _Gain() for role in ROLES}

    def skip(self, before: float, role: Role) -> None:
        """Records of one server up to this moment are lost: of older requests nothing can be said.

        What the candidate's server lost did not come, unless stable's lost as much: they keep equally many.
        """
        if role is Role.STABLE:
            self._lost_until = max(self._lost_until, before)
        elif before > self._lost_until + PATIENCE:
            return
        self._since = max(self._since, before)
        for name in [n for n in self._waiting if self._requests[n].at < self._since]:
            self._forget(name)

    def add(self, records: Iterable[Mapping[str, Any]], now: float, role: Role) -> None:
        """Take in records of one server, oldest first; what it may not say, or says badly, is left out.

        Records are as ``services/model_server/canary/shadow.py`` has them; ``now`` is in seconds since 1970,
        on that server's clock.
        """
        for record in records:
            if not is_sound(record) or record["at"] < self._since:
                continue
            if role is Role.CANDIDATE:
                if record.get("mark") == COPY and "truth" not in record:
                    self._add_copy(record["id"], answer_of(record))
            elif "truth" in record:
                if request := self._requests.get(record["id"]):
                    request.truth = record["truth"]
                    self._judge(request)
            elif record.get("mark") == ORIGINAL:
                self._add_original(record)
        if role is Role.STABLE:
            self._now = max(self._now, now)

    def take(self, edges: Sequence[float]) -> dict[Role, Counts]:
        """What each role gained since this was asked last, over requests whose end is known.

        Args:
            edges: seconds, ascending, for ``Counts.slower``.
        """
        self._give_up()
        gained, self._gained = self._gained, {role: _Gain() for role in ROLES}
        return {role: gain.counts(edges) for role, gain in gained.items()}

    def take_pairs(self) -> list[Pair]:
        """What both versions answered to the trials whose end became known since this was asked last."""
        self._compare()
        taken, self._trials, self._compared = self._trials, [], 0
        return taken

    def summary(self) -> Shadow:
        """Everything so far."""
        self._compare()
        bets = self._agreement.bets
        pairs = np.array(self._seconds)
        return Shadow(
            pairs=self._pairs,
            failed=self._failed,
            unanswered=self._unanswered,
            agreement=bets.value if bets else None,
            interval=bets.interval(_ALPHA) if bets else (0.0, 1.0),
            judged=self._judged,
            accuracy={r: n / self._judged for r, n in self._right.items()} if self._judged else {},
            latency={
                role: tuple(float(value) for value in np.quantile(pairs[:, place], QUANTILES))
                for place, role in enumerate(ROLES)
            }
            if len(pairs)
            else {},
            users=self._agreement.trials,
            dropped=self._dropped,
        )

    def _add_original(self, record: Mapping[str, Any]) -> None:
        name, user = record["id"], record.get("user")
        if name in self._requests:
            # two requests of one id: nobody can say which of them a copy belongs to
            self._waiting.pop(name, None)
            return
        answer = answer_of(record)
        # claimed now: whatever the candidate answers first, it is this request that counts
        trial = not answer.failed and bool(answer.labels) and self._is_first(user)
        self._requests[name] = _Request(record["at"], answer, trial, user is not None)
        self._waiting[name] = None
        if copy := self._copies.pop(name, None):
            self._pair(name, copy)
        if len(self._requests) > KEPT:
            oldest = next(iter(self._requests))
            # the candidate still has time: nobody knows whether it answers
            self._dropped += oldest in self._waiting
            self._forget(oldest)

    def _is_first(self, user: object) -> bool:
        if user is None:
            return True
        if user in self._users:
            return False
        self._users[user] = None
        if len(self._users) > USERS:
            self._users.pop(next(iter(self._users)))
        return True

    def _add_copy(self, name: str, answer: Answer) -> None:
        if name in self._waiting:
            self._pair(name, answer)
        elif name not in self._requests:
            # whoever tells of requests that nobody made may fill no memory with their scores
            room = len(self._copies) < _COPIES_ALONG
            self._copies.setdefault(name, answer if room else answer.alone)
            if len(self._copies) > KEPT:
                self._copies.pop(next(iter(self._copies)))

    def _pair(self, name: str, candidate: Answer) -> None:
        request = self._requests[name]
        request.candidate, stable = candidate, request.stable
        self._waiting.pop(name)
        self._pairs += 1
        self._failed += candidate.failed and not stable.failed
        for role, answer in ((Role.STABLE, stable), (Role.CANDIDATE, candidate)):
            self._gained[role].ended(answer.seconds, failed=answer.failed)
        if not stable.failed and not candidate.failed:
            self._seconds.append((stable.seconds, candidate.seconds))
        if request.trial:
            self._trials.append(_trial(request, None if candidate.failed else candidate))
        request.stable, request.candidate = stable.alone, candidate.alone
        self._judge(request)

    def _judge(self, request: _Request) -> None:
        stable, candidate = request.stable, request.candidate
        if request.judged or request.truth is None or candidate is None or stable.failed or candidate.failed:
            return
        request.judged = True
        for truth, *labels in zip(request.truth, stable.labels, candidate.labels, strict=False):
            # an error of a regression has a size; it is not right or wrong
            if any(isinstance(label, float) for label in labels):
                continue
            self._judged += 1
            for role, label in zip(ROLES, labels, strict=True):
                right = label_text(label) == label_text(truth)
                self._right[role] += right
                self._gained[role].judged += 1
                self._gained[role].wrong += not right

    def _compare(self) -> None:
        self._give_up()
        # all at once, as one scrape's: what is missing comes in bursts
        if came := self._trials[self._compared :]:
            self._agreement.add(came)
            self._compared = len(self._trials)

    def _give_up(self) -> None:
        # not before somebody asks: until then the other server may not have been read yet
        for name in list(self._waiting):
            if self._now - self._requests[name].at >= PATIENCE:
                self._miss(name)
                self._forget(name)

    def _miss(self, name: str) -> None:
        """The candidate's answer did not come."""
        request = self._requests[name]
        self._unanswered += 1
        self._gained[Role.STABLE].ended(request.stable.seconds, failed=request.stable.failed)
        self._gained[Role.CANDIDATE].ended(math.inf, failed=True)
        if request.trial:
            self._trials.append(_trial(request, None))

    def _forget(self, name: str) -> None:
        self._requests.pop(name, None)
        self._waiting.pop(name, None)


def _trial(request: _Request, candidate: Answer | None) -> Pair:
    stable, named = request.stable, request.named
    if candidate is None:
        return Pair(stable.labels, None, (stable.scores, None), (stable.ranking, None), named)
    both = both_scores(stable, candidate)
    return Pair(stable.labels, candidate.labels, both, (stable.ranking, candidate.ranking), named)


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
