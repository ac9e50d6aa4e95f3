"""The main job: start both versions, put the load on them, judge, and write the run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import EXPERIMENT, RunFolder
from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.judge.gate_checks import check_gates
from loadtest.judge.verdict import Verdict
from loadtest.lab.interface import Lab, Version
from loadtest.workflows.deployment import measure
from loadtest.workflows.load_follower import Progress
from loadtest.workflows.resolve_versions import check_input
from loadtest.workflows.restarts import measure_restarts
from loadtest.workflows.stored_run import judge_run


class Outcome(NamedTuple):
    """A finished run: its verdict and the folder that holds everything."""

    verdict: Verdict
    folder: Path


def check(experiment: Experiment) -> None:
    """Refuse what can be refused before a lab is looked for.

    Raises:
        UsageError: a version, the evaluation set or a gate cannot be used.
    """
    dataset = check_input(experiment)
    if dataset is not None:
        check_gates(experiment, dataset)


def compare(
    experiment: Experiment,
    open_lab: Callable[[tuple[Version, Version]], Lab],
    versions: tuple[Version, Version],
    results: Path,
    progress: Progress,
) -> Outcome:
    """Run one experiment on a lab of its own and judge it.

    Raises:
        UsageError: the evaluation set, a gate or the results folder cannot be used; nothing was started.
        LabError: the lab did not start or broke; samples measured until then are kept.
    """
    if experiment.load.traffic in ROLES:
        raise ExperimentError(
            f"{experiment.load.traffic} traffic loads one version, there is nothing to compare; "
            "use loadproof capacity"
        )
    if experiment.load.traffic == "shadow":
        raise ExperimentError(
            "shadow traffic has no answers of the candidate to compare; use loadproof canary"
        )
    if experiment.load.restarts > 1 and experiment.load.until_decided:
        raise ExperimentError("restarts are judged when all are done: give --restarts or --until-decided")
    dataset = Dataset.read(experiment.data)
    check_gates(experiment, dataset)
    for note in dataset.notes:
        progress.step(f"{dataset.path.name}: {note}")
    with RunFolder(results, experiment.name) as folder:
        resolved = experiment.with_absolute_data()
        folder.write(EXPERIMENT, resolved.to_toml())
        if experiment.load.restarts == 1:
            measure(resolved, open_lab, versions, folder.path, dataset, progress)
        else:
            measure_restarts(resolved, open_lab, versions, folder.path, dataset, progress)
        progress.step("judging")
        verdict = judge_run(folder.path, write=True)
        return Outcome(verdict, folder.publish())
