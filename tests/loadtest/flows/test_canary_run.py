"""A whole canary, as far as it goes without a lab: what is refused before anything starts."""

import pytest

from loadtest.config import Experiment
from loadtest.errors import GateError, UsageError
from loadtest.flows.canary_run import run_canary


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
