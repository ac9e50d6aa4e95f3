"""The canary's gates where users differ: false alarms, and how soon a worse candidate is found.

A user has an accuracy (normal, mean 0.8, standard deviation 0.2, cut at 0 and 1), an error rate (log-normal,
mean 0.5%, standard deviation as large), a factor on every latency (log-normal, sigma 0.2), and an activity
with a heavy tail (log-normal, sigma 1.5). Users stay in their arm. A candidate that lies tells that all
of its requests came from one user; stable's server answers what it failed at, and tells whose that was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.canary import EDGES
from contract.arms import BODY_CLASSES, USER_GROUPS
from loadtest.canary.counts import Counts
from loadtest.canary.latency_tests import LatencyTest
from loadtest.canary.share_tests import ShareAlarm
from loadtest.canary.user_spread import Spread, Users
from loadtest.experiment.gate import Gate
from loadtest.experiment.role import ROLES, Role

RATE, SECONDS, SPLIT, ACTIVITY, WINDOW = 100, 600, 10.0, 1.5, 10
EVERY = 5
"""Seconds between two scrapes of what is to stay quiet; what is to be found is looked for each second."""
WORSE = {"errors 5%": 0, "accuracy 5 points": 1, "p99 doubled": 3}
"""What a candidate does worse, and the place of the gate that is to find it."""
GATES = ("error_rate <= stable", "accuracy >= stable", "p99 <= stable", "p99 <= stable + 10%")
_MOST = np.log(2.0)
"""Variance of the logarithm where a log-normal's standard deviation is its mean."""


class Case(NamedTuple):
    """Users, what the candidate does worse, whether the spread is told, and whether that is a lie."""

    users: int
    worse: str = ""
    told: bool = True
    lies: bool = False


CASES = [
    *(Case(users, told=told) for told in (False, True) for users in (300, 1_000, 10_000)),
    *(Case(users, worse) for worse in WORSE for users in (1_000, 10_000)),
    *(Case(users, worse, lies=True) for worse in ("errors 5%", "p99 doubled") for users in (1_000, 10_000)),
]


def measure(runs: int, seed: int) -> list[dict[str, Any]]:
    """Ten minutes at 10% of every case, the false alarms ``runs`` times, the rest a quarter as often."""
    rows = []
    for number, case in enumerate(CASES):
        some = runs if case.told and not case.worse else max(runs // 4, 1)
        out = np.array([_alarms(case, np.random.default_rng([seed, number, run])) for run in range(some)])
        alarms = np.isfinite(out).mean(axis=0).tolist()
        row: dict[str, Any] = case._asdict() | {"runs": some, "alarms": dict(zip(GATES, alarms, strict=True))}
        if case.worse:
            found = np.sort(out[:, WORSE[case.worse]])
            row |= {"found": float(np.isfinite(found).mean()), "median": _finite(found[len(found) // 2])}
        rows.append(row)
    return rows


def _finite(seconds: float) -> float | None:
    return float(seconds) if np.isfinite(seconds) else None


def _told(by_user: NDArray[np.float64]) -> Users:
    return Users(float(by_user.sum()), float((by_user**2).sum()))


def _slower(latency: NDArray[np.float64]) -> list[float]:
    return [len(latency), *(len(latency) - np.searchsorted(np.sort(latency), EDGES, side="right")).tolist()]


def _alarms(case: Case, rng: np.random.Generator) -> NDArray[np.float64]:
    """Seconds to the first alarm or failure of each gate."""
    spread, alpha = Spread(), 0.05
    gates: list[ShareAlarm | LatencyTest] = [
        LatencyTest(gate, alpha / len(GATES), WINDOW, spread)
        if gate.quantile
        else ShareAlarm(gate, spread, alpha, alpha / len(GATES), WINDOW)
        for gate in map(Gate.parse, GATES)
    ]
    arm = (rng.random(case.users) < SPLIT / 100).astype(int)
    activity = rng.lognormal(sigma=ACTIVITY, size=case.users)
    shares = np.cumsum(activity / activity.sum())
    lost = 0.05 if case.worse.startswith("accuracy") else 0.0
    wrong = 1 - np.clip(rng.normal(0.8, 0.2, case.users) - lost * arm, 0, 1)
    mean = np.where((arm == 1) & case.worse.startswith("errors"), 0.05, 0.005)
    failing = np.minimum(mean * np.exp(rng.normal(-_MOST / 2, np.sqrt(_MOST), case.users)), 1)
    slow = np.exp(rng.normal(0, 0.2, case.users)) * np.where((arm == 1) & case.worse.startswith("p99"), 2, 1)
    judged, asked, failed = np.zeros(case.users, dtype=bool), np.zeros(case.users), np.zeros(case.users)
    found = np.full(len(GATES), np.inf)
    every = 1 if case.worse else EVERY
    for second in range(every, SECONDS + 1, every):
        who = np.minimum(np.searchsorted(shares, rng.random(rng.poisson(RATE * every))), case.users - 1)
        latency = 0.02 * rng.lognormal(sigma=0.5, size=len(who)) * slow[who]
        errors = rng.random(len(who)) < failing[who]
        np.add.at(asked, who, 1)
        np.add.at(failed, who[errors], 1)
        counts, users = {}, {}
        for number, role in enumerate(ROLES):
            mine = arm[who] == number
            new = np.unique(who[mine & ~judged[who]])
            judged[new] = True
            groups = np.zeros((USER_GROUPS, BODY_CLASSES, 1 + len(EDGES)))
            for group in range(USER_GROUPS):
                groups[group, 0] = _slower(latency[mine & (who % USER_GROUPS == group)])
            counts[role] = Counts(
                int(mine.sum()), int(errors[mine].sum()),
                len(new), int((rng.random(len(new)) < wrong[new]).sum()),
                int(mine.sum()), _slower(latency[mine])[1:], groups.tolist(),
            )  # fmt: skip
            users[role] = _told(asked[arm == number])
        if case.told:
            by_gateway = {role: told.requests for role, told in users.items()}
            if case.lies:
                requests = by_gateway[Role.CANDIDATE]
                users[Role.CANDIDATE] = Users(requests, requests**2)
            spread.add(users, by_gateway, _told(failed[arm == 1]))
        for place, gate in enumerate(gates):
            if isinstance(gate, LatencyTest):
                gate.add(float(second), counts, SPLIT, EDGES.tolist())
                loud = gate.failed if second % WINDOW == 0 else False
            else:
                gate.add(float(second), counts, SPLIT)
                loud = gate.alarmed or gate.failed
            if loud:
                found[place] = min(found[place], second)
        if case.worse and np.isfinite(found[WORSE[case.worse]]):
            break
    return found
