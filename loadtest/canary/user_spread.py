"""Users who differ: why a request is less than a trial of its own, and how much less.

Users stay in their arm. Where some of them fail, or wait, more often than others, two arms of the same
version differ for as long as one looks. So requests count for fewer (Rao and Scott 1992, as in
``share_tests.Bursts``): of ``m`` requests per user, weighted by requests, only one in ``1 + (m - 1) rho``.
What users truly differ by cannot be told from counters, so it is assumed: their rates vary as much as their
mean (``VARIES``), which gives ``rho = p / (1 - p)`` for an outcome of share ``p``. That is little for what
is rare, and grows with every request of the same users.
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


class Spread:
    """Follows both arms over the steps: users who were seen often stay the same users in the next step."""

    def __init__(self) -> None:
        self._per_user = dict.fromkeys(ROLES, 1.0)
        self._effective: dict[Role, float] = {}

    def add(self, users: Mapping[Role, Users]) -> None:
        """Take in what is known now; nothing: nobody tells."""
        for role, found in users.items():
            self._per_user[role] = max(self._per_user[role], found.per_user)
            self._effective[role] = max(self._effective.get(role, 0.0), found.requests / found.per_user)

    def effect(self, role: Role, share: float) -> float:
        """Requests that count for one, where the outcome has this share."""
        rho = min(VARIES**2 * share / (1 - share), 1.0) if share < 1 else 1.0
        return 1 + (self._per_user[role] - 1) * rho

    def allowance(self, share: float) -> float:
        """By how much the shares of two arms may differ because of their users; 0 where nobody tells."""
        if len(self._effective) < len(ROLES) or not min(self._effective.values()):
            return 0.0
        return SIDE * VARIES * share * math.sqrt(sum(1 / users for users in self._effective.values()))
