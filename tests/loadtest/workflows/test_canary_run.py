"""A whole canary, as far as it goes without a lab: what is refused before anything starts."""

import pytest

from loadtest.errors import GateError, LabError, UsageError
from loadtest.experiment.experiment import Experiment
from loadtest.lab.interface import Endpoints
from loadtest.workflows.canary_run import run_canary


def refuse(versions):
    raise AssertionError("nothing may start")


@pytest.mark.parametrize(
    ("overrides", "gates", "error", "says"),
    [
        ({"load": {"traffic": "duet"}}, (), UsageError, "traffic"),
        ({}, ["f1 >= stable - 1pp"], GateError, "f1 cannot be followed live"),
        ({"data": {"path": "nowhere.parquet"}}, (), UsageError, "nowhere.parquet"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_starts(tmp_path, overrides, gates, error, says):
    experiment = Experiment.load_file("canary", overrides, gates=gates)
    with pytest.raises(error, match=says):
        run_canary(experiment, refuse, (), tmp_path, [], print)
    assert list(tmp_path.iterdir()) == []


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
    with pytest.raises(LabError, match="the load did not start"):
        run_canary(experiment, lambda versions: lab, (), tmp_path / "results", [], print)
    assert lab.stopped
