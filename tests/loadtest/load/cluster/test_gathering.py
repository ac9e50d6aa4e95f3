import json

import pyarrow as pa
import pytest

from loadtest.data.cut_off_run import is_cut_off, read_cut_off_run
from loadtest.data.sample_stream import stream_facts
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.errors import UsageError
from loadtest.experiment.experiment import Load
from loadtest.load.cluster.gathering import Gathering
from loadtest.load.cluster.load_summary import summarise
from loadtest.load.cluster.sample_totals import SampleTotals
from loadtest.load.cluster.worker_reports import WorkerReports
from loadtest.load.live.counts import LiveCounts
from tests.loadtest.made_samples import Sample, sample_set

SAMPLES = sample_set([Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)])


def totals():
    counts = LiveCounts(0.25)
    counts.add(SAMPLES)
    return SampleTotals(counts)


def summary(of):
    return summarise(Load(), WorkerReports("run", ["a"]), of, 1_700_000_000.0, None)


def compared(samples):
    """As if the answers to come had all been the same."""
    matches = pa.array([True] * len(samples))
    return SampleSet(samples.table.set_column(SCHEMA.get_field_index("matches"), "matches", matches))


def facts():
    return stream_facts(summary(totals()).to_json(), 1.0)


def test_a_run_that_ends_well_leaves_its_two_files(tmp_path):
    gathering = Gathering(tmp_path)
    gathering.add(SAMPLES.to_bytes(), facts())
    told = gathering.conclude(totals, summary, compared)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "load.json",
        "samples.parquet",
        "samples.parquet.sha256",
    ]
    assert SampleSet.read(tmp_path / "samples.parquet").table.equals(compared(SAMPLES).table)
    assert json.loads((tmp_path / "load.json").read_text()) == json.loads(json.dumps(told.to_json()))
    assert told.requests == {"stable": 1, "candidate": 0}


@pytest.mark.parametrize("blocked", ["samples.parquet.partial", "load.json.partial"])
def test_where_the_end_cannot_be_written_what_was_gathered_stays(tmp_path, blocked):
    (tmp_path / blocked).mkdir()
    gathering = Gathering(tmp_path)
    gathering.add(SAMPLES.to_bytes(), facts())
    (tmp_path / blocked / "in the way").write_text("")
    told = gathering.conclude(totals, summary, compared)
    assert "the disk took no more" in gathering.trouble
    assert is_cut_off(tmp_path)
    there = read_cut_off_run(tmp_path, 60.0)
    # all of it, which is what the last facts say
    assert there.samples.table.equals(SAMPLES.table)
    assert there.load == json.loads(json.dumps(told.to_json())) | {"cut_off": None}
    assert not (tmp_path / "samples.reserve").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the samples there"):
        Gathering(tmp_path / "file")
