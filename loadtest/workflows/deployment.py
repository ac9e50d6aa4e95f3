"""One deployment of both versions, measured: from a job folder to its samples and facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.categories import CATEGORIES_PATH
from loadtest.data.dataset import Dataset
from loadtest.data.exposition import MEMORY, read_exposition
from loadtest.data.run_environment import describe
from loadtest.data.run_folder import ENVIRONMENT, write_file
from loadtest.data.unknown_categories import unknown_categories
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.fetch import page
from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.interface import Lab
from loadtest.workflows.load_follower import Progress, run_load
from loadtest.workflows.prepare import Ready

_MOST, _LONGEST = 9, 500
"""Notes of a version, and characters of one: an image's own server may say anything."""


def measure(ready: Ready, job: Path, progress: Progress) -> None:
    """Start a lab, put the load on it, stop it; the job folder then holds the files of a measurement.

    Raises:
        LabError: the lab did not start or broke.
    """
    with opened(ready, progress) as lab:
        measure_on(lab, ready.experiment, job, ready.dataset, progress)


@contextmanager
def opened(ready: Ready, progress: Progress) -> Iterator[Lab]:
    """A lab, started in the order of ``ready.versions``, that says so and is stopped in the end."""
    with ready.open_lab(ready.versions) as lab:
        if ready.experiment.target is not None:
            named = ", ".join(f"{role} {lab.endpoints.of(role)}" for role in ready.experiment.roles)
            progress.step(f"{len(ready.experiment.roles)} servers: {named}")
            if ready.experiment.target.is_one_server:
                progress.step("stable and candidate have one address: the server is compared with itself")
        else:
            progress.step(f"lab is up ({lab.backend}): gateway {lab.endpoints.gateway}")
            for role in ROLES:
                url = lab.endpoints.of(role)
                notes = notes_of(page(f"{url}/v2/models/{ready.experiment.model.name}"))
                for note in (*notes, *_unknown(page(f"{url}{CATEGORIES_PATH}"), ready.dataset)):
                    progress.step(f"{role}: {note}")
        yield lab
        progress.step("stopping the lab")


def notes_of(metadata: str | None) -> list[str]:
    """What a version's server has to say of its model, such as that another library saved it.

    Args:
        metadata: the body of the model's metadata; None, or anything else than ours: it says nothing.
    """
    try:
        notes = json.loads(metadata or "{}")["parameters"]["notes"]
    except (ValueError, KeyError, TypeError):
        return []
    return (
        [" ".join(str(note).split())[:_LONGEST] for note in notes[:_MOST]] if isinstance(notes, list) else []
    )


def _unknown(document: str | None, dataset: Dataset) -> list[str]:
    try:
        said = json.loads(document or "null")
        names = said["columns"] or dataset.names
    except (ValueError, KeyError, TypeError):
        # null, or of an image's own server
        return []
    return unknown_categories(said, names, dataset)


def measure_on(
    lab: Lab, experiment: Experiment, job: Path, dataset: Dataset, progress: Progress
) -> str | None:
    """Put the load on a lab that runs; the job folder then holds the files of a measurement.

    Returns:
        How the candidate died under load while stable was well; None: it did not.

    Raises:
        LabError: the lab or the load generator broke.
    """
    roles = experiment.roles
    before = {role: lab.cpu_usage(role) for role in roles}
    # of a version that dies they could not be read afterwards
    limits, environment = {role: lab.enforced_cpus(role) for role in roles}, lab.environment()
    died = run_load(lab, job, experiment, dataset, progress)
    run_facts: dict[str, dict[str, object]] = {
        role: {
            "cpus": lab.enforced_cpus(role),
            "cpu_throttled_ratio": _throttled(before[role], lab.cpu_usage(role)),
            "memory_bytes": _memory(lab.endpoints.of(role)),
        }
        for role in roles
        if not (died and role == Role.CANDIDATE)
    }
    if died:
        run_facts[Role.CANDIDATE] = {
            "cpus": limits[Role.CANDIDATE],
            "cpu_throttled_ratio": None,
            "memory_bytes": None,
            "died": died,
        }
    write_file(job, ENVIRONMENT, describe(environment) | {"server_facts": run_facts})
    return died


def _memory(url: str) -> int | None:
    """The resident memory of a serving process in bytes; None where it does not say."""
    value = read_exposition(page(f"{url}/metrics")).get(MEMORY)
    return None if value is None else int(value)


def _throttled(before: CpuUsage | None, after: CpuUsage | None) -> float | None:
    """Share of the enforcement periods in between in which the version was stopped; None where unknown."""
    if before is None or after is None or after.periods <= before.periods:
        return None
    return (after.throttled_periods - before.throttled_periods) / (after.periods - before.periods)
