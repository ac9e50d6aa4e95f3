import json

import pytest

from loadtest.data.run_environment import describe
from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment, Load
from loadtest.load.cluster.files import publish, write
from loadtest.load.cluster.load_summary import summarise
from loadtest.load.cluster.worker_reports import WorkerReports
from tests.loadtest.made_samples import Sample, sample_set

SAMPLES = sample_set([Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)])
SUMMARY = summarise(Load(), WorkerReports("run", ["a"]), SAMPLES, 1_700_000_000.0, None)
LAB = {"backend": "compose", "limits": {"stable": {"cpus": 0.25}}, "server_facts": {"stable": {"cpus": 0.25}}}
EXPERIMENT = Experiment.model_validate(
    {"name": "known", "model": {"name": "m", "folder": "m"}, "data": {"path": "e.csv"}}
)


def test_a_job_folder_gets_both_files(tmp_path):
    write(tmp_path, SAMPLES, SUMMARY)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "load.json",
        "samples.parquet",
        "samples.parquet.sha256",
    ]
    assert SampleSet.read(tmp_path / "samples.parquet").table.equals(SAMPLES.table)
    assert json.loads((tmp_path / "load.json").read_text()) == json.loads(json.dumps(SUMMARY.to_json()))


def test_run_folders_are_whole_and_never_overwritten(tmp_path):
    results = tmp_path / "results"
    folders = [publish(results, EXPERIMENT, SAMPLES, SUMMARY, LAB) for _ in range(3)]
    assert [folder.name for folder in folders] == [
        "20231114T221320Z-known",
        "20231114T221320Z-known-2",
        "20231114T221320Z-known-3",
    ]
    assert sorted(path.name for path in folders[0].iterdir()) == [
        "environment.json",
        "experiment.toml",
        "load.json",
        "samples.parquet",
        "samples.parquet.sha256",
    ]
    facts = json.loads((folders[0] / "environment.json").read_text())
    # this machine and its software beside the lab, as for any other run
    assert facts == json.loads(json.dumps(describe(LAB)))
    assert facts["packages"]["locust"]
    assert LAB.items() <= facts.items()
    assert (results / "latest").resolve() == folders[-1]
    assert Experiment.load_file(str(folders[0] / "experiment.toml")) == EXPERIMENT
    assert len(list(results.iterdir())) == 4  # nothing temporary is left


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        publish(tmp_path / "file", EXPERIMENT, SAMPLES, SUMMARY, {})
