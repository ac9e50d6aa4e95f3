"""Trials of a search for capacity, against a server whose capacity is known by construction."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.capacity.search import Plan, Step
from loadtest.config import Experiment
from loadtest.flows.trials import drain, run_trial
from loadtest.lab.ports import Endpoints
from loadtest.load.run import launch
from loadtest.sample import SampleSet

pytestmark = pytest.mark.integration

SERVICE = {"stable": 0.004, "candidate": 0.005}
LIMIT = 0.1


class DoubleLab:
    """A lab that is only the double: no gateway, no limits."""

    backend = "local"

    def __init__(self, url):
        self.endpoints = Endpoints(url, url, url)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def enforced_cpus(self, role):
        return None

    def launch_load(self, job):
        return launch(job, self.endpoints.gateway)

    def check(self):
        pass

    def environment(self):
        return {"backend": self.backend}


@contextmanager
def running(service):
    command = [sys.executable, str(Path(__file__).with_name("queue_double.py")), json.dumps(service)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


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
    with running(SERVICE) as url:
        lab = DoubleLab(url)
        calm, beyond = Step(100, 2), Step(400, 20)
        before = run_trial(lab, experiment, "candidate", calm, tmp_path / "1", seed=1)
        overload = run_trial(lab, experiment, "candidate", beyond, tmp_path / "2", seed=2)
        drain(lab, "m", "candidate", LIMIT)
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
