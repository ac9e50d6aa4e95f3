"""Scrapes: what the live counters gained between two moments. Everything the controller decides upon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from loadtest.canary.shadow_records import Scores
from loadtest.canary.user_spread import Users
from loadtest.experiment.role import ROLES, Role

Lists = Sequence[Sequence[str]]
"""A list of items per row."""


class Counts(NamedTuple):
    """What one version did since the last scrape.

    Args:
        requests: unpinned requests that were answered.
        errors: those that only a second try answered (in the shadow: that failed).
        judged: users (in the shadow: rows) of whom a true outcome became known; a user counts once per step.
        wrong: those of whom it was wrong.
        timed: requests whose latency is known.
        slower: how many of those took longer than each of ``Scrape.edges``.
        groups: the same per group of users and class of body sizes: those timed, and those slower than each
            edge; empty: not told.
    """

    requests: float = 0
    errors: float = 0
    judged: float = 0
    wrong: float = 0
    timed: float = 0
    slower: Sequence[float] = ()
    groups: Sequence[Sequence[Sequence[float]]] = ()


class Pair(NamedTuple):
    """What both versions answered to one trial's request.

    Args:
        stable: a label per row.
        candidate: likewise; None: it did not answer.
        scores: of stable and the candidate, shape (rows, classes) each, the same classes in the same columns;
            None: it told none.
        rankings: likewise, a list of items per row.
        named: the request names its user.
    """

    stable: Sequence[object]
    candidate: Sequence[object] | None
    scores: tuple[Scores | None, Scores | None] = (None, None)
    rankings: tuple[Lists | None, Lists | None] = (None, None)
    named: bool = False


class Scrape(NamedTuple):
    """One scrape of a running lab.

    Args:
        at: seconds on the controller's clock.
        counts: per role what it did since the last scrape.
        edges: the latencies in seconds that requests were compared with, ascending.
        ready: per role whether it said to be ready.
        ejected: the gateway itself took the candidate out after failures in a row.
        missing: what gave no metrics this time: ``gateway``, ``stable``, ``candidate``.
        users: how the step's requests spread over users, per arm; empty where no server tells.
        failed: of the candidate's arm, those whom stable answered instead.
        pairs: in the shadow, what both versions answered to its trials.
    """

    at: float
    counts: Mapping[Role, Counts] = dict.fromkeys(ROLES, Counts())
    edges: Sequence[float] = ()
    ready: Mapping[Role, bool] = dict.fromkeys(ROLES, True)
    ejected: bool = False
    missing: frozenset[str] = frozenset()
    users: Mapping[Role, Users] = {}
    failed: Users = Users()
    pairs: Sequence[Pair] = ()
