"""Trials of a search for capacity, against a server whose capacity is known by construction."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.capacity.lab import running
from loadtest.capacity.search import Plan, Step
from loadtest.data.samples import SampleSet
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.fetch import get
from loadtest.workflows.capacity_trials import drain, run_trial

pytestmark = pytest.mark.integration

SERVICE = {"stable": 0.004, "candidate": 0.01}
"""Seconds: the candidate can answer 100 requests a second."""
CALM, BEYOND = Step(30, 2), Step(400, 60)


def within(latency, data):
    """An experiment with this objective; a trial on a busy machine may be late by a fifth of it."""
    return Experiment.model_validate(
        {
            "name": "known",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": data},
            "load": {"max_lag": 5},
            "capacity": {"latency": latency},
        }
    )


def test_an_overload_is_ended_early_and_drained(tmp_path):
    """A trial below the capacity, one far beyond it, and the first again: as if nothing had been.

    The overload is told by a short limit, and leaves a queue of seconds.
    """
    data = tmp_path / "evaluation.parquet"
    index = np.arange(2000, dtype=float)
    pq.write_table(pa.table({"row": index, "zero": index * 0, "label": ["1"] * 2000}), data)
    patient, strict = within(3.0, data), within(0.1, data)
    with running(SERVICE) as lab:
        before = run_trial(lab, patient, "candidate", CALM, tmp_path / "1", seed=1)
        overload = run_trial(lab, strict, "candidate", BEYOND, tmp_path / "2", seed=2)
        drain(lab, patient, Role.CANDIDATE)
        queue = get(f"{lab.endpoints.gateway}/v2/models/m", 60, {"x-model-version": "candidate"})
        after = run_trial(lab, patient, "candidate", CALM, tmp_path / "3", seed=1)
    assert queue.headers["x-waited"] == "0"
    assert before.problem is after.problem is overload.problem is None
    assert overload.trial.overloaded
    assert overload.trial.requests < 400 * 60 / 2
    for calm_trial in (before.trial, after.trial):
        assert calm_trial.meets(Plan())
        assert calm_trial.requests == before.trial.requests
    # the other version had no part in it
    for folder in ("1", "2", "3"):
        assert not len(SampleSet.read(tmp_path / folder / "samples.parquet").of("stable"))
