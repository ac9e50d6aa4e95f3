"""The check of the split on simulated users: how soon a broken one is found, how often a true one is blamed.

Each second the check gets what both servers would tell: the users, or requests that name none, who are new in
the step. Users are unequally active (log-normal, sigma 1.5), and each has a place on the gateway's line.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from loadtest.canary.split_check import ArmsPage, SplitCheck, Unit
from loadtest.experiment.role import ROLES, Role

RATE, LIMIT, ACTIVITY = 100, 3600, 1.5
"""Requests per second, seconds, and sigma of the logarithm of a user's activity."""
TRUE_STEPS = (1.0, 5.0, 10.0, 25.0, 50.0)
"""Splits of a canary that goes up, each for a fifth of the hour; those of a broken one stay at 10%."""

Fault = Literal["none", "12% instead of 10%", "a tenth of the users in both arms"]


class Case(NamedTuple):
    """A kind of gateway and of users; 0 users: requests that name none."""

    users: int
    fault: Fault


CASES = [Case(users, "none") for users in (300, 1_000, 10_000, 0)] + [
    Case(10_000, "12% instead of 10%"),
    Case(100_000, "12% instead of 10%"),
    Case(0, "12% instead of 10%"),
    Case(300, "a tenth of the users in both arms"),
    Case(10_000, "a tenth of the users in both arms"),
]


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """An hour of every case, ``runs`` times."""
    rows = []
    for number, case in enumerate(CASES):
        found = np.sort(
            [_seconds_to_find(case, np.random.default_rng([seed, number, run])) for run in range(runs)]
        )
        median = found[len(found) // 2]
        rows.append(
            {
                "fault": case.fault,
                "users": case.users,
                "runs": runs,
                "found": float(np.mean(np.isfinite(found))),
                "median": float(median) if np.isfinite(median) else None,
            }
        )
    return rows


def _seconds_to_find(case: Case, rng: np.random.Generator) -> float:
    check = SplitCheck()
    places = rng.random(case.users)
    activity = rng.lognormal(sigma=ACTIVITY, size=case.users)
    shares = np.cumsum(activity / activity.sum())
    astray = np.flatnonzero(rng.random(case.users) < 0.1)
    steps = TRUE_STEPS if case.fault == "none" else (10.0,)
    requests, seen, last = 0, np.zeros((2, case.users), dtype=bool), -1
    for second in range(LIMIT):
        step = second * len(steps) // LIMIT
        if step != last:
            last, seen = step, np.zeros_like(seen)
            check.enter(step, steps[step])
        chance = 0.12 if case.fault.startswith("12%") else steps[step] / 100
        number = int(rng.poisson(RATE))
        if case.users:
            users = np.minimum(np.searchsorted(shares, rng.random(number)), case.users - 1)
            at_candidate = places[users] < chance
            if case.fault.startswith("a tenth"):
                lost = np.isin(users, astray)
                at_candidate = np.where(lost, rng.random(number) < chance, at_candidate)
            new = ~seen[at_candidate.astype(int), users]
            seen[at_candidate.astype(int), users] = True
            units = [
                Unit(int(user), ROLES[arm], "users")
                for user, arm in {*zip(users[new], at_candidate[new].astype(int), strict=True)}
            ]
        else:
            units = [
                Unit(requests + place, ROLES[arm], "requests")
                for place, arm in enumerate((rng.random(number) < chance).astype(int))
            ]
            requests += number
        check.add({role: _page(step, role, units) for role in ROLES})
        if check.summary().problem:
            return second + 1.0
    return np.inf


def _page(step: int, role: Role, units: list[Unit]) -> ArmsPage:
    return ArmsPage(step, tuple(unit for unit in units if unit.arm == role), dict.fromkeys(ROLES, 0))
