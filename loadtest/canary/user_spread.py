"""Users who differ: why a request is less than a trial of its own, and how much less.

Users stay in their arm. Where some of them fail, or wait, more often than others, two arms of the same
version differ for as long as one looks. So requests count for fewer (Rao and Scott 1992, as in
``share_tests.Bursts``): of ``m`` requests per user, weighted by requests, only one in ``1 + (m - 1) rho``.
What users truly differ by cannot be told from counters, so it is assumed: their rates vary as much as their
mean (``VARIES``), which gives ``rho = p / (1 - p)`` for an outcome of share ``p``. That is little for what
is rare, and grows with every request of the same users.

How requests spread is told by the versions' own servers, and a candidate may lie. Both arms are drawn from
the same users, so stable's spread is the candidate's too, up to chance: beyond that the candidate's own word
makes no harm count for less, and below stable's no proof count for more. Where the candidate's failures truly
are those of few users, stable's server says so: it answered them instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from loadtest.experiment.role import ROLES, Role

VARIES = 1.0
"""Standard deviation of users' rates of errors, or of slow answers, over their mean."""
SIDE = 1.645
"""Standard errors that the difference of two arms' users exceeds with a chance of 5%."""
BELIEVED, NOISE = 4.0, 10.0
"""Up to how many times stable's requests per user the candidate's own count, and are not shown as odd."""


class Users(NamedTuple):
    """How the requests of an arm spread over its users; a request that names none is a user of its own.

    Args:
        requests: of the step so far.
        squares: the sum over users of their requests, squared.
    """

    requests: float = 0
    squares: float = 0

    @property
    def per_user(self) -> float:
        """Requests of the user to whom an average request belongs; 1: every request has its own."""
        return max(self.squares / self.requests, 1.0) if self.requests else 1.0


NOBODY = Users()


def dispute(users: Mapping[Role, Users], failed: Users = NOBODY) -> str | None:
    """What to show where the candidate tells of fewer users than chance explains; None: it does not.

    ``failed`` are those of the candidate's arm whom stable's server answered instead.
    """
    own, stable = (users.get(role, Users()) for role in (Role.CANDIDATE, Role.STABLE))
    if not stable.requests or own.per_user <= NOISE * max(stable.per_user, failed.per_user):
        return None
    told = f"{own.per_user:,.0f} requests per user against {stable.per_user:,.0f}"
    counts = f"no more than {BELIEVED:g} times stable's counts"
    return f"the candidate tells another spread of users than stable: {told}; {counts}"


class Spread:
    """Follows both arms over the steps: users who were seen often stay the same users in the next step.

    What is asked for ``proof`` takes the candidate's own spread or stable's, whichever makes its requests
    count for less; what is asked for harm, whichever makes them count for more.
    """

    def __init__(self) -> None:
        self._per_user = dict.fromkeys(ROLES, 1.0)
        self._failed = 1.0
        self._effective: dict[Role, float] = {}
        self._shared = 0.0

    def add(self, users: Mapping[Role, Users], asked: Mapping[Role, float], failed: Users = NOBODY) -> None:
        """Take in what is known now.

        Args:
            users: of each arm, as its own server tells; nothing: nobody tells.
            asked: requests of the step so far, per arm, as the gateway counted them.
            failed: of the candidate's arm, those whom stable's server answered instead.
        """
        for role, found in users.items():
            self._per_user[role] = max(self._per_user[role], found.per_user)
            self._effective[role] = max(self._effective.get(role, 0.0), found.requests / found.per_user)
        self._failed = max(self._failed, failed.per_user)
        if (stable := users.get(Role.STABLE)) and asked[Role.STABLE]:
            ratio = asked[Role.CANDIDATE] / asked[Role.STABLE]
            self._shared = max(self._shared, stable.requests / stable.per_user * ratio)

    def effect(self, role: Role, share: float, *, proof: bool = False) -> float:
        """Requests that count for one, where the outcome has this share."""
        own, stable = self._per_user[role], self._per_user[Role.STABLE]
        if role == Role.CANDIDATE:
            own = max(own, stable) if proof else min(own, BELIEVED * max(stable, self._failed))
        rho = min(VARIES**2 * share / (1 - share), 1.0) if share < 1 else 1.0
        return 1 + (own - 1) * rho

    def allowance(self, share: float, *, proof: bool = False) -> float:
        """By how much the shares of two arms may differ because of their users; 0 where nobody tells."""
        if len(self._effective) < len(ROLES) or not min(self._effective.values()):
            return 0.0
        own = self._effective[Role.CANDIDATE]
        shared = self._shared or own
        own = min(own, shared) if proof else max(own, shared / BELIEVED)
        return SIDE * VARIES * share * math.sqrt(1 / own + 1 / self._effective[Role.STABLE])
