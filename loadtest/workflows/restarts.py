"""Several deployments of both versions, one after the other, in one run folder.

The folder of such a run has the files of any other. ``samples.parquet`` holds the samples of all restarts,
each moved in time to behind the one before, so that whatever reads a run reads this one; ``load.json`` says
under ``restarts`` when each began, which is all that the judge needs to tell them apart.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.data.cut_off_run import is_cut_off
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, LOAD, SAMPLES, holds_samples, write_file
from loadtest.data.samples import SampleSet
from loadtest.experiment.role import ROLES_WITH_CONTROL, Role
from loadtest.workflows.deployment import measure
from loadtest.workflows.load_follower import Progress
from loadtest.workflows.prepare import Ready

Facts = dict[str, Any]


def measure_restarts(ready: Ready, folder: Path, progress: Progress) -> None:
    """Measure every restart; ``folder`` is complete after each, whatever happens to the next.

    The versions take turns at being started first, and each restart has arrivals and rows of its own.

    Raises:
        LabError: a lab did not start or broke.
    """
    experiment, versions = ready.experiment, ready.versions
    for index in range(experiment.load.restarts):
        progress.step(f"restart {index + 1} of {experiment.load.restarts}")
        load = experiment.load.model_copy(update={"restarts": 1, "seed": experiment.load.seed + index})
        part = experiment.model_copy(update={"load": load})
        job = folder / f"restart-{index + 1}"
        job.mkdir()
        write_file(job, EXPERIMENT, part.to_toml())
        first = index % len(versions)
        order = versions[first:] + versions[:first]
        try:
            measure(ready._replace(experiment=part, versions=order), job, progress)
        finally:
            # a part that broke off is no restart to compare, and its samples are not thrown away either
            if (job / ENVIRONMENT).exists() and not is_cut_off(job):
                _add(folder, job)
                shutil.rmtree(job)
            elif not holds_samples(job):
                shutil.rmtree(job)


def _add(folder: Path, job: Path) -> None:
    """Join one restart to those before it."""
    samples, load, environment = SampleSet.read(job / SAMPLES), _read(job / LOAD), _read(job / ENVIRONMENT)
    if (folder / SAMPLES).exists():
        before = SampleSet.read(folder / SAMPLES)
        whole_load, whole_environment = _read(folder / LOAD), _read(folder / ENVIRONMENT)
        begins = float(whole_load["duration_s"])
        shift = begins + _first(before) - _first(samples)
        samples = SampleSet.concat([before, samples.later(shift)])
    else:
        begins, shift, whole_load, whole_environment = 0.0, 0.0, {}, environment
    restarts = [*whole_load.get("restarts", []), {"begins_s": begins, "moved_s": shift, **load}]
    run_facts = [*whole_environment.get("restarts", []), environment["server_facts"]]
    samples.write(folder / SAMPLES)
    roles = [role for role in ROLES_WITH_CONTROL if role in environment["server_facts"]]
    write_file(folder, LOAD, _joined_load(restarts, roles))
    versions = {role: _joined_facts([one[role] for one in run_facts]) for role in roles}
    write_file(folder, ENVIRONMENT, whole_environment | {"server_facts": versions, "restarts": run_facts})


def _first(samples: SampleSet) -> float:
    return float(samples.scheduled_at.min()) if len(samples) else 0.0


def _joined_load(restarts: list[Facts], roles: list[Role]) -> Facts:
    """load.json of the whole: rates over all restarts, the worst lag, invalid when any is."""
    bad = next((number for number, one in enumerate(restarts) if not one["valid"]), None)
    lags = [one["schedule_lag_ms_p99"] for one in restarts if one["schedule_lag_ms_p99"] is not None]
    seconds = np.array([one["duration_s"] for one in restarts])
    weight = seconds / seconds.sum() if seconds.sum() else np.full(len(seconds), 1 / len(seconds))
    return {
        "offered_rps": float(np.dot([one["offered_rps"] for one in restarts], weight)),
        "achieved_rps": float(np.dot([one["achieved_rps"] for one in restarts], weight)),
        "schedule_lag_ms_p99": max(lags, default=None),
        "duration_s": float(seconds.sum()),
        **{
            key: {role: sum(one.get(key, {}).get(role, 0) for one in restarts) for role in roles}
            for key in ("warmup_errors", "resent")
        },
        "not_answers": {role: _texts(restarts, role) for role in roles},
        "valid": bad is None,
        "reason": None if bad is None else f"restart {bad + 1}: {restarts[bad]['reason']}",
        "restarts": restarts,
        "evaluation_sha256": restarts[0].get("evaluation_sha256"),
    }


def _texts(restarts: list[Facts], role: str) -> dict[str, int]:
    """What was no answer of one version, over all restarts, the most frequent first."""
    texts: Counter[str] = Counter()
    for one in restarts:
        texts.update(one.get("not_answers", {}).get(role, {}))
    return dict(texts.most_common())


def _joined_facts(each: list[Facts]) -> Facts:
    """What was seen of one version: the limit if it was always the same, mean throttling, most memory."""
    limits = {one["cpus"] for one in each}
    throttled = [one["cpu_throttled_ratio"] for one in each]
    memory = [one["memory_bytes"] for one in each]
    return {
        "cpus": limits.pop() if len(limits) == 1 else None,
        "cpu_throttled_ratio": None if None in throttled else float(np.mean(throttled)),
        "memory_bytes": None if None in memory else max(memory),
        "died": next((one["died"] for one in each if one.get("died")), None),
    }


def _read(path: Path) -> Facts:
    content: Facts = json.loads(path.read_text(encoding="utf-8"))
    return content
