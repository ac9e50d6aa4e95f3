"""One deployment of both versions, measured: from a job folder to its samples and facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loadtest.data.dataset import Dataset
from loadtest.data.exposition import MEMORY, read_exposition
from loadtest.data.run_folder import ENVIRONMENT, write_file
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.fetch import page
from loadtest.lab.interface import CpuUsage, Lab, Version
from loadtest.workflows.load_follower import Progress, run_load
from loadtest.workflows.run_environment import describe


def measure(
    experiment: Experiment,
    open_lab: Callable[[tuple[Version, Version]], Lab],
    versions: tuple[Version, Version],
    job: Path,
    dataset: Dataset,
    progress: Progress,
) -> None:
    """Start a lab, put the load on it, stop it; the job folder then holds the files of a measurement.

    Args:
        experiment: resolved, as in the job's ``experiment.toml``.
        open_lab: starts both versions, in the order given.
        versions: both versions.
        job: the folder.
        dataset: the evaluation set.
        progress: where steps and live figures go.

    Raises:
        LabError: the lab did not start or broke.
    """
    with open_lab(versions) as lab:
        if experiment.target is not None:
            progress.step(f"two servers: stable {lab.endpoints.stable}, candidate {lab.endpoints.candidate}")
        else:
            progress.step(f"lab is up ({lab.backend}): gateway {lab.endpoints.gateway}")
        measure_on(lab, experiment, job, dataset, progress)
        progress.step("stopping the lab")


def measure_on(lab: Lab, experiment: Experiment, job: Path, dataset: Dataset, progress: Progress) -> None:
    """Put the load on a lab that runs; the job folder then holds the files of a measurement.

    Raises:
        LabError: the lab or the load generator broke.
    """
    before = {role: lab.cpu_usage(role) for role in ROLES}
    run_load(lab, job, experiment, dataset, progress)
    run_facts = {
        role: {
            "cpus": lab.enforced_cpus(role),
            "cpu_throttled_ratio": _throttled(before[role], lab.cpu_usage(role)),
            "memory_bytes": _memory(lab.endpoints.of(role)),
        }
        for role in ROLES
    }
    write_file(job, ENVIRONMENT, describe(lab.environment()) | {"server_facts": run_facts})


def _memory(url: str) -> int | None:
    """The resident memory of a serving process in bytes; None where it does not say."""
    value = read_exposition(page(f"{url}/metrics")).get(MEMORY)
    return None if value is None else int(value)


def _throttled(before: CpuUsage | None, after: CpuUsage | None) -> float | None:
    """Share of the enforcement periods in between in which the version was stopped; None where unknown."""
    if before is None or after is None or after.periods <= before.periods:
        return None
    return (after.throttled_periods - before.throttled_periods) / (after.periods - before.periods)
