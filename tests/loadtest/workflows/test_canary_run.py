"""A whole canary, as far as it goes without a lab."""

import pytest

from loadtest.data.dataset import Dataset
from loadtest.errors import LabError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import Endpoints
from loadtest.workflows.canary_run import run_canary
from loadtest.workflows.prepare import Ready


class Lab:
    """Runs, and its load ends at once."""

    backend = "local"
    endpoints = Endpoints("http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopped = True

    def launch_load(self, job):
        return Load()


class Load:
    def lines(self):
        return iter(["a line that is no progress", '{"elapsed": -3.0}'])

    def stop(self):
        pass

    def wait(self):
        return 0


def test_a_load_that_does_not_start_is_an_error_of_the_lab_and_everything_is_stopped(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("a,label\n1,0\n2,1\n")
    experiment = Experiment.load_file(
        "canary", {"data": {"path": str(data), "label": "label", "value": "a", "features": ["a"]}}
    )
    lab = Lab()
    ready = Ready(experiment, Dataset.read(experiment.data), (), lambda versions: lab)
    with pytest.raises(LabError, match="the load did not start"):
        run_canary(ready, tmp_path / "results", [], print)
    assert lab.stopped
