"""Capacity: the highest rate at which each version meets the objective, CPU limit by CPU limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from loadtest.capacity import gates as capacity_gates
from loadtest.capacity.report import CapacityReport, Objective, Point, cheapest, point
from loadtest.capacity.search import Plan, Search
from loadtest.data.baseline import Comparison
from loadtest.data.dataset import Dataset
from loadtest.data.run_environment import describe
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, RunFolder
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.verdict import Word
from loadtest.lab.interface import Lab
from loadtest.report.capacity import to_html
from loadtest.workflows.capacity_trials import drain, run_trial
from loadtest.workflows.deployment import opened
from loadtest.workflows.load_follower import Progress
from loadtest.workflows.prepare import Ready

Recover = Callable[[Lab, Experiment, Role], None]

CAPACITY = "capacity.json"
ROWS = "rows.parquet"
_TRIES = 3


class Questions(NamedTuple):
    """What is asked beside the capacity under the experiment's own limit.

    Args:
        cpus: CPU limits to sweep, in cores; empty: the experiment's own.
        price: of a vCPU-hour, for the cost of a million predictions.
        at_rate: requests per second that must be sustained, for the cheapest limit.
    """

    cpus: tuple[float, ...] = ()
    price: float | None = None
    at_rate: float | None = None


class Outcome(NamedTuple):
    """A finished search and the folder that holds everything."""

    report: CapacityReport
    folder: Path


class _Invalid(Exception):  # noqa: N818 - it names what happened
    """The load generator could not do a trial."""


def capacity(
    ready: Ready, results: Path, progress: Progress, questions: Questions, recover: Recover = drain
) -> Outcome:
    """Search on its own lab, both versions in turns, and judge what was found.

    ``recover`` waits after an overload until the version answers at once again; see ``drain``.

    Raises:
        UsageError: the results folder cannot be used; nothing was started.
        LabError: the lab did not start or broke; what was measured until then is kept.
    """
    experiment = ready.experiment
    with RunFolder(results, f"{experiment.name}-capacity") as folder:
        folder.write(EXPERIMENT, experiment.to_toml())
        data = experiment.data.model_copy(update={"path": folder.path / ROWS})
        _write_rows(ready.dataset, experiment, data.path)
        experiment = experiment.model_copy(update={"data": data})
        with opened(ready, progress) as lab:
            searches = _Searches(lab, experiment, folder.path, progress, questions, recover)
            problem = None
            try:
                for cpus in questions.cpus or (None,):
                    searches.under(cpus)
            except _Invalid as invalid:
                problem = str(invalid)
            folder.write(ENVIRONMENT, describe(lab.environment()))
            report = _report(searches, problem)
        content = json.loads(report.model_dump_json(by_alias=True)) | {"trials": searches.log}
        folder.write(CAPACITY, content)
        folder.write("capacity.html", to_html(report, experiment))
        return Outcome(report, folder.publish(progress.step))


def _write_rows(dataset: Dataset, experiment: Experiment, path: Path) -> None:
    """Write the rows that trials send: as many as the first covers, so that each has a baseline answer."""
    count = min(len(dataset), experiment.capacity.requests)
    chosen = np.random.default_rng(experiment.load.seed).choice(len(dataset), count, replace=False)
    pq.write_table(dataset.columns.take(np.sort(chosen)), path)
    # containers read it as a user of their own
    path.chmod(0o644)


@dataclass
class _Searches:
    """Runs searches on a lab and keeps a line for each trial."""

    lab: Lab
    experiment: Experiment
    folder: Path
    progress: Progress
    questions: Questions
    recover: Recover

    def __post_init__(self) -> None:
        experiment = self.experiment
        self._dataset = Dataset.read(experiment.data)
        self._baseline: dict[str, Comparison] = {}
        self.log: list[dict[str, Any]] = []
        self.points: dict[str, list[Point]] = {role: [] for role in ROLES}
        self.wide: dict[str, list[Point]] = {role: [] for role in ROLES}
        """The same with intervals at the confidence at which one of all gates and limits must fail."""
        asked = experiment.capacity
        self._corrected = capacity_gates.corrected(
            experiment.confidence, len(asked.gates) * max(len(self.questions.cpus), 1)
        )
        self._plan = Plan(
            start=asked.start,
            late=1 - asked.quantile,
            failed=asked.error_rate,
            seconds=asked.trial,
            requests=asked.requests,
            precision=asked.precision,
            most_trials=asked.trials,
            confidence=experiment.confidence,
        )

    def under(self, cpus: float | None) -> None:
        """Search both versions under one CPU limit (None: the one in force), a trial of each in turn."""
        if cpus is not None:
            for role in ROLES:
                self.lab.set_cpus(role, cpus)
        enforced = {role: self.lab.enforced_cpus(role) for role in ROLES}
        each = {role: Search(self._plan) for role in ROLES}
        going = list(ROLES)
        try:
            while going:
                for role in list(going):
                    if not self._advance(each[role], role, enforced[role]):
                        going.remove(role)
        finally:  # what is known by now is shown, also of a search that a bad trial ends
            for role, search in each.items():
                self.points[role].append(point(search.answer(), enforced[role], self.questions.price))
                self.wide[role].append(
                    point(search.answer(self._corrected), enforced[role], self.questions.price)
                )

    def _advance(self, search: Search, role: Role, cpus: float | None) -> bool:
        step = search.next()
        if step is None:
            return False
        name = role if cpus is None else f"{role} on {cpus:g} CPUs"
        for tried in range(1, _TRIES + 1):
            number = len(self.log) + 1
            folder = self.folder / "trials" / f"{number:03}-{role}"
            seed, known = self.experiment.load.seed + number, self._baseline.get(role)
            done = run_trial(self.lab, self.experiment, role, step, folder, seed, known)
            trial = done.trial
            self._baseline.setdefault(role, Comparison(self._dataset, done.baseline))
            self.log.append(
                {
                    "role": role,
                    "cpus": cpus,
                    **trial.__dict__,
                    "mismatches": done.mismatches,
                    "p99_ms": None if done.p99 is None else round(1000 * done.p99, 3),
                    "problem": done.problem,
                }
            )
            if trial.overloaded or done.problem:
                self.recover(self.lab, self.experiment, role)
            if done.problem is None:
                break
            again = ", so this trial is measured again" if tried < _TRIES else ""
            self.progress.step(f"{name}: {trial.rate:,.4g}/s is no evidence: {done.problem}{again}")
        else:
            raise _Invalid(f"{role} at {step.rate:g} requests/s: {done.problem}")
        search.add(trial)
        word = "overloaded" if trial.overloaded else "met" if trial.meets(self._plan) else "missed"
        share = 100 * trial.late / max(trial.requests, 1)
        mixed = f", {done.mismatches} of them mismatches" if done.mismatches else ""
        self.progress.step(
            f"{name}: {trial.rate:,.4g}/s {word}, {share:.1f}% late, {trial.failed} failed{mixed}"
        )
        return True


def _report(searches: _Searches, problem: str | None) -> CapacityReport:
    experiment, asked = searches.experiment, searches.experiment.capacity
    at = searches.questions.at_rate
    stable, candidate = (tuple(searches.points[role]) for role in ROLES)
    results, wide = (
        [
            capacity_gates.judge(gate, s, c, experiment.confidence)
            for s, c in zip(points["stable"], points["candidate"], strict=True)
            for gate in asked.gates
        ]
        for points in (searches.points, searches.wide)
    )
    proven = [result.verdict is Word.FAIL for result in wide]
    word, reason = capacity_gates.together(results, (*stable, *candidate), proven)
    if problem is not None:
        word, reason = Word.INVALID, f"the load generator: {problem}"
    by_role = {"stable": stable, "candidate": candidate}
    return CapacityReport.model_validate(
        {
            "schema": 1,
            "verdict": word,
            "reason": reason,
            "experiment": experiment.name,
            "backend": searches.lab.backend,
            "objective": Objective(
                latency_ms=1000 * asked.latency, quantile=asked.quantile, error_rate=asked.error_rate
            ),
            "confidence": experiment.confidence,
            "gates": tuple(results),
            "versions": by_role,
            "price": searches.questions.price,
            "at_rate": at,
            "cheapest": None if at is None else {r: cheapest(p, at) for r, p in by_role.items()},
        }
    )
