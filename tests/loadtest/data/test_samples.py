import json

import numpy as np
import pytest

from loadtest.data.samples import SCHEMA, SampleSet, read_line, sample_line
from loadtest.errors import UsageError
from tests.loadtest.made_samples import Sample, sample_set

OK = Sample(3, "stable", 1.0, 1.001, 1.25, 200, None, "tea", True, None, 0)
WRONG = Sample(3, "candidate", 1.0, 1.002, 1.5, 200, None, "mug", False, False, 0)
LOST = Sample(4, "candidate", 2.0, 2.5, 4.0, 0, "timeout", None, False, None, 1)


@pytest.fixture
def samples() -> SampleSet:
    return sample_set([OK, WRONG, LOST])


def test_columns(samples):
    assert samples.table.schema.equals(SCHEMA)
    np.testing.assert_allclose(samples.latency, [0.25, 0.5, 2.0])
    assert samples.failed.tolist() == [False, False, True]
    assert samples.correct.tolist() == [True, False, False]
    assert samples.mismatch.tolist() == [False, True, False]
    assert samples.is_role("candidate").tolist() == [False, True, True]
    assert len(samples.of("candidate")) == 2


@pytest.mark.parametrize("kept", [[OK, WRONG, LOST], [OK], []])
def test_nothing_changes_on_the_wire_or_on_disk(tmp_path, kept):
    samples = sample_set(kept)
    samples.write(tmp_path / "samples.parquet")
    for copy in (SampleSet.from_bytes(samples.to_bytes()), SampleSet.read(tmp_path / "samples.parquet")):
        assert copy.table.to_pylist() == [sample._asdict() for sample in kept]


def test_sets_of_several_workers_join_though_their_dictionaries_differ():
    joined = SampleSet.concat([sample_set([LOST, WRONG]), sample_set([OK])])
    assert joined.table.to_pylist() == [s._asdict() for s in (LOST, WRONG, OK)]
    assert len(SampleSet.concat([])) == 0
    assert SampleSet.from_bytes(joined.to_bytes()).failed.tolist() == [True, False, False]


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / "samples.parquet").write_text("no parquet")
    with pytest.raises(UsageError, match=r"samples.parquet: not a readable sample file"):
        SampleSet.read(tmp_path / "samples.parquet")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, samples):
    samples.write(tmp_path / "samples.parquet")
    (tmp_path / "samples.parquet.partial").mkdir()
    with pytest.raises(OSError):
        sample_set([OK]).write(tmp_path / "samples.parquet")
    assert len(SampleSet.read(tmp_path / "samples.parquet")) == 3


def test_samples_survive_the_way_through_a_line(samples):
    line = sample_line(samples.to_bytes())
    assert "\n" not in line
    read = read_line(line + "\n")
    assert isinstance(read, SampleSet)
    assert read.table.to_pylist() == samples.table.to_pylist()


def test_other_lines_are_live_figures_or_nothing():
    assert read_line(json.dumps({"elapsed": 1.0})) == {"elapsed": 1.0}
    assert read_line("a word from a library") is None
    assert read_line("") is None


@pytest.mark.parametrize("line", ["{", '{"samples": 3}', '{"samples": "!"}', '{"samples": "aGVsbG8="}'])
def test_a_line_that_lies_is_an_error_and_no_traceback(line):
    with pytest.raises(UsageError, match="line of the load generator cannot be read"):
        read_line(line)
