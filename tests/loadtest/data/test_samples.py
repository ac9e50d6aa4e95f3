import numpy as np
import pytest

from loadtest.data.samples import SCHEMA, Sample, SampleSet
from loadtest.errors import UsageError

OK = Sample(3, "stable", 1.0, 1.001, 1.25, 200, None, "tea", True, None, 0)
WRONG = Sample(3, "candidate", 1.0, 1.002, 1.5, 200, None, "mug", False, False, 0)
LOST = Sample(4, "candidate", 2.0, 2.5, 4.0, 0, "timeout", None, False, None, 1)


@pytest.fixture
def samples() -> SampleSet:
    return SampleSet.from_samples([OK, WRONG, LOST])


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
    samples = SampleSet.from_samples(kept)
    samples.write(tmp_path / "samples.parquet")
    for copy in (SampleSet.from_bytes(samples.to_bytes()), SampleSet.read(tmp_path / "samples.parquet")):
        assert copy.table.to_pylist() == [sample._asdict() for sample in kept]


def test_sets_of_several_workers_join_though_their_dictionaries_differ():
    joined = SampleSet.concat([SampleSet.from_samples([LOST, WRONG]), SampleSet.from_samples([OK])])
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
        SampleSet.from_samples([OK]).write(tmp_path / "samples.parquet")
    assert len(SampleSet.read(tmp_path / "samples.parquet")) == 3
