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
from loadtest.workflows.capacity_trials import drain, run_trial

pytestmark = pytest.mark.integration

SERVICE = {"stable": 0.004, "candidate": 0.005}
LIMIT = 0.1


def test_an_overload_is_ended_early_and_drained(tmp_path):
    """A trial below the capacity, one far beyond it, and the first again: as if nothing had been."""
    data = tmp_path / "evaluation.parquet"
    index = np.arange(2000, dtype=float)
    pq.write_table(pa.table({"row": index, "zero": index * 0, "label": ["1"] * 2000}), data)
    experiment = Experiment.model_validate(
        {
            "name": "known",
            "model": {"name": "m", "folder": "m"},
            "data": {"path": data},
            "load": {"max_lag": 0.5},
            "capacity": {"latency": LIMIT},
        }
    )
    with running(SERVICE) as lab:
        calm, beyond = Step(100, 2), Step(400, 20)
        before = run_trial(lab, experiment, "candidate", calm, tmp_path / "1", seed=1)
        overload = run_trial(lab, experiment, "candidate", beyond, tmp_path / "2", seed=2)
        drain(lab, experiment, Role.CANDIDATE)
        after = run_trial(lab, experiment, "candidate", calm, tmp_path / "3", seed=1)
    assert before.problem is after.problem is overload.problem is None
    assert overload.trial.overloaded
    assert overload.trial.requests < 400 * 10
    for calm_trial in (before.trial, after.trial):
        assert calm_trial.meets(Plan())
        assert calm_trial.requests == before.trial.requests
    # the other version had no part in it
    for folder in ("1", "2", "3"):
        assert not len(SampleSet.read(tmp_path / folder / "samples.parquet").of("stable"))
