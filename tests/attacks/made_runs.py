"""Runs made of samples, in which versions lie: what the judge must not be fooled by, without any load."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loadtest.data.dataset import Dataset
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.judge.run import LoadFacts, Run, RunFacts
from tests.loadtest.made_samples import Sample, sample_set

ARRIVALS, SECONDS, TIMEOUT = 1500, 60.0, 2.0
_RNG = np.random.default_rng(4)
AT = np.sort(_RNG.uniform(0, SECONDS, ARRIVALS))
DRAW = _RNG.random(ARRIVALS)
"""A number from 0 to 1 per arrival: shares are of what lies below."""
HALF = np.arange(ARRIVALS) % 2 == 0


class Answers:
    """What one version did with each arrival; lies change it in place.

    Args:
        rows: of each arrival, shape (arrivals,).
        labels: of each row.
        regression: the answers are numbers, off by a tenth at most.
    """

    def __init__(self, rows: np.ndarray, labels: np.ndarray, *, regression: bool) -> None:
        self.rows, self.labels = rows, labels
        self.latency = 0.010 + 0.001 * DRAW
        self.error = np.full(ARRIVALS, None, dtype=object)
        right = labels[rows]
        if regression:
            self.said = np.array([str(v) for v in right + 0.1 * np.sin(7.0 * rows)], dtype=object)
        else:
            others = dict(zip(np.unique(labels), np.roll(np.unique(labels), 1), strict=True))
            wrong = np.array([others[label] for label in right], dtype=object)
            self.said = np.where(rows % 10 == 0, wrong, right).astype(object)
        self.matches = np.full(ARRIVALS, True, dtype=object)
        self.asked = np.full(ARRIVALS, None, dtype=object)

    def fail(self, which: np.ndarray, phrase: str, took: float) -> None:
        """These requests have no usable answer."""
        self.error[which], self.latency[which] = phrase, took
        self.said[which] = self.matches[which] = None


Lie = Callable[[Answers], None]


def fails(
    share: float,
    *,
    phrase: str = "http 503",
    took: float = 0.001,
    since: float = 0.0,
    until: float = SECONDS,
) -> Lie:
    """A share of the requests fails, after ``took`` seconds, from ``since`` to ``until``."""
    return lambda a: a.fail((share > DRAW) & (since <= AT) & (until > AT), phrase, took)


def times_out(share: float, *, since: float = 0.0) -> Lie:
    """A share of the requests gets no answer in time."""
    return fails(share, phrase="timeout", took=TIMEOUT, since=since)


def says(text: str | Callable[[str], str], *, share: float = 1.0, matches: bool = True) -> Lie:
    """It answers this instead, or what the function makes of its answer."""

    def lie(a: Answers) -> None:
        which = np.flatnonzero((share > DRAW) & (a.error == None))  # noqa: E711 - elementwise
        a.said[which] = [text if isinstance(text, str) else text(a.said[place]) for place in which]
        a.matches[which] = matches

    return lie


def slowed(by: float = 0.0, times: float = 1.0, *, since: float = 0.0, until: float = SECONDS) -> Lie:
    """From ``since`` to ``until`` it takes ``times`` as long, and ``by`` seconds more."""

    def lie(a: Answers) -> None:
        which = (since <= AT) & (until > AT)
        a.latency[which] = times * a.latency[which] + by

    return lie


def of_another_row() -> Lie:
    """Each request gets the answer to the one before it."""

    def lie(a: Answers) -> None:
        a.said = np.roll(a.said, 1)

    return lie


def uncompared(share: float) -> Lie:
    """A share of its answers has no baseline answer."""

    def lie(a: Answers) -> None:
        a.matches[share > DRAW] = None

    return lie


def caches(hit: float, miss: float, of: Callable[[np.ndarray], np.ndarray] | None = None) -> Lie:
    """It answers what it was asked before in ``hit`` seconds, else in ``miss``; ``of``: these rows alone."""

    def lie(a: Answers) -> None:
        known = a.asked.astype(bool)
        known[np.setdiff1d(np.arange(ARRIVALS), np.unique(a.rows, return_index=True)[1])] = True
        took = np.where(known, hit, miss) * (0.9 + 0.2 * DRAW)
        a.latency = took if of is None else np.where(of(a.rows), took, hit * (0.9 + 0.2 * DRAW))

    return lie


def wrong_on(rows: Callable[[np.ndarray], np.ndarray]) -> Lie:
    """It is wrong on these rows, and on no other that stable gets right."""

    def lie(a: Answers) -> None:
        which = rows(a.rows)
        a.said[which] = np.where(a.labels[a.rows[which]] == "0", "1", "0")

    return lie


def queues(rate: float, *, since: float = 0.0) -> Lie:
    """From ``since`` on it serves so many requests a second, one after the other."""

    def lie(a: Answers) -> None:
        work = -np.log(1 - 0.999 * np.random.default_rng(9).random(ARRIVALS)) / rate
        free = 0.0
        for place, at in enumerate(AT.tolist()):
            begun = max(free, at)
            if begun - at < TIMEOUT:
                free = begun + (work[place] if at >= since else 0.01)
            a.latency[place] = min(free - at if begun - at < TIMEOUT else TIMEOUT, TIMEOUT)
        a.fail(a.latency >= TIMEOUT, "timeout", TIMEOUT)

    return lie


def run_of(
    gates: list[str],
    candidate: tuple[Lie, ...] = (),
    stable: tuple[Lie, ...] = (),
    *,
    task: str = "classification",
    labels: np.ndarray | None = None,
    rows: np.ndarray | None = None,
    features: np.ndarray | None = None,
    asked_before: bool = False,
    columns: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
    versions: dict[str, Any] | None = None,
) -> Run:
    """A run of a minute, 25 arrivals a second; everybody is honest but for the lies.

    Args:
        gates: to be met.
        candidate, stable: what each does beside answering.
        task: of the evaluation set.
        labels: of its rows; None: as many rows as arrivals, of two classes or numbers from 1 to 3.
        rows: of each arrival, shape (arrivals,); None: each once.
        features: what is sent of each row; None: its number.
        asked_before: baseline answers were asked for every second row before the load.
        columns: of the evaluation set, beside the features.
        facts: of load.json.
        versions: what the lab saw of each.
    """
    regression = task == "regression"
    if labels is None:
        labels = np.arange(ARRIVALS) % 3 + 1.0 if regression else (np.arange(ARRIVALS) % 2).astype(str)
    rows = np.arange(ARRIVALS) if rows is None else rows
    own = np.arange(float(len(labels))) if features is None else features.astype(float)
    samples = []
    for role, lies in zip(ROLES, (stable, candidate), strict=True):
        arm = Answers(rows, labels, regression=regression)
        arm.asked[:] = [bool(row % 2) if asked_before else None for row in rows]
        for lie in lies:
            lie(arm)
        for place in range(ARRIVALS):
            error, said, row = arm.error[place], arm.said[place], int(rows[place])
            correct = None if regression else bool(error is None and said == labels[row])
            samples.append(
                Sample(
                    *(row, role, AT[place], AT[place], AT[place] + arm.latency[place]),
                    *(200 if error is None else 0, error, None if error else str(said), correct),
                    *(arm.matches[place], 0, None, None, arm.asked[place]),
                )
            )
    experiment = Experiment.parse(
        {
            "name": "faces",
            "model": {"name": "m", "folder": "none"},
            "data": {"path": "none.csv", "task": task},
            "load": {"timeout": TIMEOUT},
            "gates": gates,
        },
        "test",
    )
    table = pa.table({"x": own, **(columns or {})})
    dataset = Dataset(Path("none"), own[:, None], ("x",), labels, None, table)
    load_facts = {"offered_rps": 25, "achieved_rps": 25, "duration_s": SECONDS} | (facts or {})
    run_facts = RunFacts(backend="local", load=LoadFacts(**load_facts), versions=versions or {})
    return Run.gather(experiment, dataset, sample_set(samples), run_facts)
