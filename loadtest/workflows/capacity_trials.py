"""One trial: open-loop traffic at one rate to one version, ended early when its queue only grows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.headers import MODEL_VERSION
from loadtest.capacity.search import Step, Trial
from loadtest.data.baseline import Comparison
from loadtest.data.run_folder import EXPERIMENT, LOAD, SAMPLES, write_file
from loadtest.data.samples import SampleSet
from loadtest.errors import ExitCode, LabError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.fetch import get
from loadtest.lab.interface import Lab

WARMUP = 1.0
BASELINE_TIME = 10.0
"""Seconds that asking a version for its baseline answers may take, before its first trial."""
_HOPELESS = 5.0
"""Limits' worth of requests in flight that mean overload: in a stable queue there is less than one."""
_FEW = 20
_DRAINED = 3
_DRAIN_SECONDS = 60.0
_POLL = 0.05


class TrialResult(NamedTuple):
    """What one trial showed.

    Args:
        trial: as the search takes it; a mismatch has failed.
        problem: why it cannot be used; None: it can.
        p99: in seconds; None where nothing was answered.
        mismatches: answers that were not those to the same rows without load.
        baseline: by row the answers that were, where this trial asked for baseline answers.
    """

    trial: Trial
    problem: str | None
    p99: float | None
    mismatches: int
    baseline: dict[int, str]


def run_trial(
    lab: Lab,
    experiment: Experiment,
    role: Role,
    step: Step,
    folder: Path,
    seed: int,
    baseline: Comparison | None = None,
) -> TrialResult:
    """Run one trial and leave its experiment, samples and load.json in ``folder``.

    ``baseline`` is what the version answered to the rows without load; None: this trial asks for them first.

    Raises:
        LabError: a service or the load generator broke.
    """
    asked = experiment.load
    load = asked.model_copy(
        update={
            "traffic": role,
            "rate": step.rate,
            "duration": step.seconds,
            "warmup": WARMUP,
            # asked for each trial anew, they would take longer than the trial
            "baseline": BASELINE_TIME if baseline is None and asked.baseline_time else 0.0,
            "seed": seed,
            # lateness of our own would pass for the version's
            "max_lag": min(asked.max_lag, experiment.capacity.latency / 5),
            # what is merely late must not become an error
            "timeout": max(asked.timeout, 4 * experiment.capacity.latency),
        }
    )
    folder.mkdir(parents=True)
    write_file(folder, EXPERIMENT, experiment.model_copy(update={"load": load}).to_toml())
    overloaded = _send(lab, folder, step.rate * experiment.capacity.latency * _HOPELESS + _FEW)
    samples = SampleSet.read(folder / SAMPLES)
    facts = json.loads((folder / LOAD).read_text(encoding="utf-8"))
    mismatches = samples.mismatch if baseline is None else _mismatches(samples, baseline)
    failed = samples.failed | mismatches
    late = failed | (samples.latency > experiment.capacity.latency)
    trial = Trial(step.rate, len(samples), int(late.sum()), int(failed.sum()), overloaded)
    problem = None
    if not facts["valid"] and not overloaded:
        problem = str(facts["reason"])
    p99 = float(sorted(samples.latency)[int(0.99 * (len(samples) - 1))]) if len(samples) else None
    return TrialResult(trial, problem, p99, int(mismatches.sum()), _matching(samples))


def _matching(samples: SampleSet) -> dict[int, str]:
    """By row the answers that equalled their baseline answers, which are thereby known."""
    columns = samples.table.select(["row", "prediction", "matches"]).to_pydict()
    return {
        row: prediction
        for row, prediction, matches in zip(*columns.values(), strict=True)
        if matches and prediction is not None
    }


def _mismatches(samples: SampleSet, baseline: Comparison) -> NDArray[np.bool_]:
    rows, predictions = (samples.table[name].combine_chunks() for name in ("row", "prediction"))
    return np.asarray([same is False for same in baseline.agrees(rows, predictions).to_pylist()], np.bool_)


def drain(lab: Lab, experiment: Experiment, role: Role) -> None:
    """Wait until an overloaded version answers at once again: three times in a row within the objective.

    A lab's gateway is asked for the model's metadata. Of a server elsewhere any answer will do that is no
    failure: not every protocol has a path for it.

    Raises:
        LabError: it does not recover.
    """
    target, within = experiment.target, experiment.capacity.latency
    url = lab.endpoints.gateway if target is None else target.url(role).rstrip("/")
    headers = {MODEL_VERSION: role.value} if target is None else target.headers_of(role)
    path = f"/v2/models/{experiment.model.name}"
    deadline, quick = time.monotonic() + _DRAIN_SECONDS, 0
    while quick < _DRAINED:
        began = time.monotonic()
        answer = get(url + path, 5.0, headers)
        ok = answer is not None and answer.status < (300 if target is None else 500)
        quick = quick + 1 if ok and time.monotonic() - began < within else 0
        if time.monotonic() > deadline:
            raise LabError(f"{role} did not recover within {_DRAIN_SECONDS:g} s from an overload")
        time.sleep(_POLL)


def _send(lab: Lab, job: Path, most_in_flight: float) -> bool:
    """Run the load generator; whether it was ended because too much was in flight."""
    process = lab.launch_load(job)
    overloaded = False
    try:
        for line in process.lines():
            if overloaded or not line.startswith("{"):
                continue
            event: dict[str, Any] = json.loads(line)
            if event.get("sent", 0) - event.get("done", 0) > most_in_flight:
                overloaded = True
                process.stop()
                continue
            lab.check()
    finally:
        process.stop()
        code = process.wait()
    allowed = {ExitCode.PASS, ExitCode.INVALID} | ({ExitCode.INTERRUPTED} if overloaded else set())
    if code not in allowed:
        lab.check()
        raise LabError(f"the load generator ended with code {code}")
    return overloaded
