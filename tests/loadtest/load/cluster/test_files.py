import json

import pytest

from loadtest.data.samples import SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Experiment, Load
from loadtest.load.cluster.files import publish, read_outcome, write
from loadtest.load.cluster.load_summary import conclude
from loadtest.load.cluster.worker_reports import Gathering
from tests.loadtest.made_samples import Sample, sample_set

SAMPLES = sample_set([Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)])
OUTCOME = conclude(Load(), Gathering("run", ["a"]), SAMPLES, 1_700_000_000.0, None)
SERVER_FACTS = {"stable": {"cpus": 0.25}}
EXPERIMENT = Experiment.model_validate(
    {"name": "known", "model": {"name": "m", "folder": "m"}, "data": {"path": "e.csv"}}
)


def test_a_job_folder_gets_both_files(tmp_path):
    assert read_outcome(tmp_path) is None
    write(tmp_path, SAMPLES, OUTCOME)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "load.json",
        "samples.parquet",
        "samples.parquet.sha256",
    ]
    assert SampleSet.read(tmp_path / "samples.parquet").table.equals(SAMPLES.table)
    assert read_outcome(tmp_path) == json.loads(json.dumps(OUTCOME.to_json()))


def test_run_folders_are_whole_and_never_overwritten(tmp_path):
    results = tmp_path / "results"
    folders = [publish(results, EXPERIMENT, SAMPLES, OUTCOME, SERVER_FACTS) for _ in range(3)]
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
    assert facts == {"backend": "local", "server_facts": SERVER_FACTS}
    assert (results / "latest").resolve() == folders[-1]
    assert Experiment.load_file(str(folders[0] / "experiment.toml")) == EXPERIMENT
    assert len(list(results.iterdir())) == 4  # nothing temporary is left


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        publish(tmp_path / "file", EXPERIMENT, SAMPLES, OUTCOME, {})
