from pathlib import Path

import pytest

from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.settings import locate_data, named_by_environment, parse_toml, results_folder


def experiment(path="models/e.parquet"):
    return Experiment.model_validate(
        {"name": "x", "model": {"name": "m", "folder": "m"}, "data": {"path": path}}
    )


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "compare"),
        ({"EXPERIMENT": "digits"}, "digits"),  # as make and Compose call it
        ({"EXPERIMENT": "digits", "LOADPROOF_EXPERIMENT": "mine.toml"}, "mine.toml"),
        ({"LOADPROOF_EXPERIMENT": ""}, "compare"),
    ],
)
def test_which_experiment(monkeypatch, environment, name):
    for variable in ("EXPERIMENT", "LOADPROOF_EXPERIMENT"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert named_by_environment() == name


def test_where_the_data_lies(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOADPROOF_DATA", raising=False)
    assert locate_data(experiment()).data.path == tmp_path / "models/e.parquet"
    assert locate_data(experiment("/e.csv")).data.path == Path("/e.csv")
    monkeypatch.setenv("LOADPROOF_DATA", "elsewhere.csv")
    assert locate_data(experiment()).data.path == tmp_path / "elsewhere.csv"


def test_where_results_go(monkeypatch):
    monkeypatch.setenv("LOADPROOF_RESULTS", "/there")
    assert results_folder() == Path("/there")
    monkeypatch.delenv("LOADPROOF_RESULTS")
    assert results_folder() == Path("results")


def test_an_experiment_travels_as_toml():
    assert parse_toml(experiment().to_toml()) == experiment()


@pytest.mark.parametrize("text", ["= no toml", "name = 'x'"])
def test_what_is_no_experiment(text):
    with pytest.raises(ExperimentError, match="the master's experiment"):
        parse_toml(text)
