import hashlib
import os
import sys
from pathlib import Path

import pytest

from loadtest.errors import DatasetError, ExperimentError, LabError
from loadtest.experiment.experiment import Data, Experiment
from loadtest.load.cluster.run_inputs import RunInputs
from loadtest.load.settings import Settings

ROWS = b"x,label\n1,0\n2,1\n"


def experiment(path="models/e.parquet"):
    return Experiment.model_validate(
        {"name": "x", "model": {"name": "m", "folder": "m"}, "data": {"path": path}}
    )


@pytest.fixture
def inputs():
    return RunInputs(Settings())


@pytest.fixture
def data(tmp_path):
    (tmp_path / "e.csv").write_bytes(ROWS)
    return Data(path=tmp_path / "e.csv")


@pytest.mark.parametrize(
    ("said", "named", "path"),
    [
        (None, "models/e.parquet", Path("models/e.parquet").absolute()),
        (None, "/e.csv", Path("/e.csv")),
        # this machine has it elsewhere
        (Path("elsewhere.csv"), "/e.csv", Path("elsewhere.csv").absolute()),
    ],
)
def test_where_the_data_lies(said, named, path):
    assert RunInputs(Settings(data=said)).locate(experiment(named)).data.path == path


def test_the_file_is_read_once_until_it_changes(inputs, data):
    opened = []
    counting = [True]

    def hook(event, arguments):
        if event == "open" and counting and str(arguments[0]) == str(data.path):
            opened.append(arguments)

    sys.addaudithook(hook)  # cannot be taken back
    dataset, digest = inputs.dataset(data)
    assert inputs.dataset(data)[0] is dataset
    # as the worker of the same process asks
    assert inputs.dataset_with(data, digest) is dataset
    assert (len(opened), digest) == (1, hashlib.sha256(ROWS).hexdigest())
    data.path.write_bytes(ROWS + b"3,1\n")
    counting.clear()
    assert len(inputs.dataset(data)[0]) == 3


def test_the_same_bytes_are_the_same_set(inputs, data):
    digest = hashlib.sha256(ROWS).hexdigest()
    assert len(inputs.dataset_with(data, digest)) == 2
    # another version of the file, which need not even be one
    data.path.write_bytes(b"\x00")
    os.utime(data.path, (1, 1))
    assert inputs.dataset_with(data, digest) is None
    data.path.unlink()
    assert inputs.dataset_with(data, digest) is None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, r"e\.csv: no such file; \[data\] path must name"),
        (lambda path: (path.unlink(), path.mkdir()), r"e\.csv: not readable \(Is a directory"),
        (lambda path: path.write_bytes(b"7\n1\n"), r"e\.csv: no column 'label'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(inputs, data, spoil, message):
    spoil(data.path)
    for _ in range(2):
        with pytest.raises(DatasetError, match=message):
            inputs.dataset(data)


def test_what_the_master_sends_is_the_file_that_the_run_began_with(inputs):
    elsewhere, digest = Data(path="/nowhere/e.csv"), hashlib.sha256(ROWS).hexdigest()
    assert len(inputs.dataset_from(ROWS, elsewhere, digest)) == 2
    with pytest.raises(LabError, match="changed while the run was prepared"):
        inputs.dataset_from(ROWS + b"3,0\n", elsewhere, digest)


def test_an_experiment_travels_as_toml(inputs):
    sent = experiment("/e.csv")
    text = inputs.to_toml(sent)
    assert inputs.from_toml(text) == RunInputs(Settings()).from_toml(text) == sent


@pytest.mark.parametrize("text", ["= no toml", "name = 'x'"])
def test_what_is_no_experiment(inputs, text):
    with pytest.raises(ExperimentError, match="the master's experiment"):
        inputs.from_toml(text)
