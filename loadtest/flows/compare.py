"""The main job: start both versions, put the load on them, judge, and write the run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from loadtest.config import Experiment
from loadtest.dataset import Dataset
from loadtest.errors import ExperimentError
from loadtest.flows.environment import describe
from loadtest.flows.following import Progress, run_load
from loadtest.flows.judging import judge_run
from loadtest.judge.preflight import check_gates
from loadtest.judge.verdict import Verdict
from loadtest.lab.ports import CpuUsage, Lab, Version
from loadtest.lab.server_metrics import memory_bytes
from loadtest.run_folder import ENVIRONMENT, EXPERIMENT, RunFolder
from loadtest.sample import VERSIONS


class Outcome(NamedTuple):
    """A finished run: its verdict and the folder that holds everything."""

    verdict: Verdict
    folder: Path


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
    if experiment.load.traffic == "shadow":
        raise ExperimentError(
            "shadow traffic has no answers of the candidate to compare; use loadproof canary"
        )
    dataset = Dataset.read(experiment.data)
    check_gates(experiment, dataset)
    with RunFolder(results, experiment.name) as folder:
        data = experiment.data.model_copy(update={"path": experiment.data.path.absolute()})
        folder.write(EXPERIMENT, experiment.model_copy(update={"data": data}).to_toml())
        with open_lab(versions) as lab:
            progress.step(f"lab is up ({lab.backend}): gateway {lab.endpoints.gateway}")
            before = {role: lab.cpu_usage(role) for role in VERSIONS}
            run_load(lab, folder.path, experiment, dataset, progress)
            observed = {
                role: {
                    "cpus": lab.enforced_cpus(role),
                    "cpu_throttled_ratio": _throttled(before[role], lab.cpu_usage(role)),
                    "memory_bytes": memory_bytes(getattr(lab.endpoints, role)),
                }
                for role in VERSIONS
            }
            folder.write(ENVIRONMENT, describe(lab.environment()) | {"observed": observed})
            progress.step("stopping the lab")
        progress.step("judging")
        verdict = judge_run(folder.path, write=True)
        return Outcome(verdict, folder.publish())


def _throttled(before: CpuUsage | None, after: CpuUsage | None) -> float | None:
    """Share of the enforcement periods in between in which the version was stopped; None where unknown."""
    if before is None or after is None or after.periods <= before.periods:
        return None
    return (after.throttled_periods - before.throttled_periods) / (after.periods - before.periods)
