import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.sample_file import checksum_of
from loadtest.data.sample_lines import read_kept, read_line, sample_line
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.errors import UsageError
from tests.loadtest.made_samples import Sample, sample_set

OK = Sample(3, "stable", 1.0, 1.001, 1.25, 200, None, "tea", True, None, 0)
WRONG = Sample(3, "candidate", 1.0, 1.002, 1.5, 200, None, "mug", False, False, 0)
SURE = OK._replace(row=5, scores=[0.5, 0.25, 0.25])
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


@pytest.mark.parametrize(
    "kept", [[OK, WRONG, LOST], [OK], [], [SURE, LOST, SURE._replace(row=6, scores=[0.5])]]
)
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


def parts(wait):
    """Where the time went of a request on a kept-alive connection."""
    return [None, None, None, 0.0, wait, 0.0]


def stored(path, samples) -> None:
    """As a stranger's tool would write them: without a checksum."""
    pq.write_table(samples.table, path)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (OK._replace(row=-1), "sample 1: there is no row -1"),
        (OK._replace(role="control9"), "sample 1: no version has the role 'control9'"),
        (OK._replace(worker=-2), "sample 1: there is no worker -2"),
        (OK._replace(done_at=0.5), "sample 1: done at 0.5 s, before it was sent at 1.001 s"),
        (OK._replace(sent_at=0.9), "sample 1: sent at 0.9 s, before its 1 s"),
        (OK._replace(scheduled_at=float("nan")), "sample 1: scheduled_at is nan"),
        (OK._replace(done_at=float("inf")), "sample 1: done_at is inf"),
        (OK._replace(status=7), "sample 1: there is no HTTP status 7"),
        (OK._replace(status=-200), "sample 1: there is no HTTP status -200"),
        # a failure without any answer, and no failure with one
        (OK._replace(error="timeout"), r"sample 1: it failed \(timeout\) and yet has an answer"),
        (LOST._replace(error=None), "sample 1: it did not fail and yet has no answer"),
        (LOST._replace(correct=True), r"sample 1: it failed \(timeout\) and yet is correct"),
        # scores of no classes, not finite, or of a failure
        (SURE._replace(scores=[0.5, 0.5]), "sample 1: it has 2 scores, others have 3"),
        (SURE._replace(scores=[0.5, float("nan"), 0.5]), r"sample 1: its scores are \[0.5, nan, 0.5\]"),
        (SURE._replace(scores=[0.5, float("inf"), 0.5]), "sample 1: its scores are"),
        (SURE._replace(scores=[0.5, None, 0.5]), "sample 1: its scores are"),
        (LOST._replace(scores=[0.5, 0.5, 0.0]), "sample 1: it failed and yet has scores"),
        # outputs of some samples alone, too few, or of a failure
        (OK, "sample 1: it has no outputs, others have some"),
        (OK._replace(outputs=[1.5]), "sample 1: it has 1 outputs, others have 2"),
        (OK._replace(outputs=[1.5, float("nan")]), r"sample 1: its outputs are \[1.5, nan\]"),
        (LOST._replace(outputs=[1.5, 2.5]), "sample 1: it failed and yet has outputs"),
        # where the time of some requests went alone, too few parts, or what is no time or too much of it
        (OK, "sample 1: it has the time of 0 parts of its request, not of 6"),
        (OK._replace(timings=[0.25]), "sample 1: it has the time of 1 parts of its request, not of 6"),
        (OK._replace(timings=parts(-0.01)), "sample 1: a part of its time is negative"),
        (
            OK._replace(timings=parts(0.25)),
            "sample 1: the parts of its time make 0.25 s, and it took 0.2",
        ),
        (OK._replace(timings=parts(float("inf"))), "sample 1: the parts of its time make inf s"),
        # the same answer twice
        (WRONG, "samples 0 and 1 are of the same version, row, worker and moment"),
        (WRONG._replace(done_at=1.75, prediction="tea"), "samples 0 and 1 are of the same version"),
    ],
)
def test_what_cannot_be_is_refused_on_reading(tmp_path, sample, says):
    path = tmp_path / "samples.parquet"
    first = WRONG if sample.scores is None else WRONG._replace(scores=[1, 0, 0])
    first = first._replace(outputs=[1.0, 2.0]) if "outputs" in says else first
    first = first._replace(timings=parts(0.2)) if " time" in says else first
    stored(path, sample_set([first, sample]))
    with pytest.raises(UsageError, match=rf"samples.parquet: no samples of a run: {says}"):
        SampleSet.read(path)


@pytest.mark.parametrize(
    "other",
    [
        # one arrival of each version, two workers, two rows, two moments
        WRONG._replace(role="stable"),
        WRONG._replace(worker=1),
        WRONG._replace(row=4),
        WRONG._replace(scheduled_at=np.nextafter(1.0, 0.0)),
        # a sum of floats
        WRONG._replace(scheduled_at=1.002 + 1e-9, row=9),
    ],
)
def test_what_differs_in_one_thing_is_another_sample(tmp_path, other):
    stored(tmp_path / "samples.parquet", sample_set([WRONG, other]))
    assert len(SampleSet.read(tmp_path / "samples.parquet")) == 2


def test_a_missing_cell_is_refused_where_there_can_be_none(tmp_path):
    table = sample_set([OK, WRONG]).table
    place = table.schema.get_field_index("done_at")
    gaps = table.set_column(place, pa.field("done_at", pa.float64()), pa.array([1.5, None]))
    pq.write_table(gaps, tmp_path / "samples.parquet")
    with pytest.raises(UsageError, match="done_at"):
        SampleSet.read(tmp_path / "samples.parquet")


def test_any_flipped_byte_is_found(tmp_path, samples):
    path = tmp_path / "samples.parquet"
    samples.write(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 41):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UsageError, match="not what was measured, its SHA-256 is not the one in") as error:
            SampleSet.read(path)
        assert "\n" not in str(error.value)
    path.write_bytes(whole[:-1])
    with pytest.raises(UsageError, match="not what was measured"):
        SampleSet.read(path)
    path.write_bytes(whole)
    assert SampleSet.read(path).digest == hashlib.sha256(whole).hexdigest()


def test_the_checksum_is_of_the_samples_that_were_written_last(tmp_path, samples):
    path = tmp_path / "samples.parquet"
    samples.write(path)
    sample_set([OK]).write(path)
    assert len(SampleSet.read(path)) == 1
    # as sha256sum --check reads it
    assert (
        checksum_of(path).read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  samples.parquet\n"
    )
    # an empty checksum is none that fits
    checksum_of(path).write_text("")
    with pytest.raises(UsageError, match="not what was measured"):
        SampleSet.read(path)


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


def test_a_line_has_scores_for_the_disk_and_none_for_whoever_follows():
    scored = sample_set(
        [Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0, scores=[0.25, 0.75])]
    )
    line = sample_line(scored.to_bytes(), {"sent": 1})
    kept, facts = read_kept(line)
    assert SampleSet.from_bytes(kept).table["scores"].to_pylist() == [[0.25, 0.75]]
    assert facts == {"sent": 1}
    assert not read_line(line).scored


def test_other_lines_are_live_figures_or_nothing():
    assert read_line(json.dumps({"elapsed": 1.0})) == {"elapsed": 1.0}
    assert read_line("a word from a library") is None
    assert read_line("") is None


@pytest.mark.parametrize("line", ["{", '{"samples": 3}', '{"samples": "!"}', '{"samples": "aGVsbG8="}'])
def test_a_line_that_lies_is_an_error_and_no_traceback(line):
    with pytest.raises(UsageError, match="line of the load generator cannot be read"):
        read_line(line)


def test_a_file_in_parts_holds_what_was_written(tmp_path):
    written = sample_set(OK._replace(row=i, prediction="ab"[i % 2], scheduled_at=i / 10, sent_at=i / 10)
                         for i in range(9))  # fmt: skip
    pq.write_table(written.table, tmp_path / "samples.parquet", row_group_size=4)
    read = SampleSet.read(tmp_path / "samples.parquet")
    for name in ("row", "worker", "latency", "failed", "correct", "mismatch", "compared"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name), err_msg=name)
    assert read.is_role(OK.role).all()
    assert (len(read), read.scored, read.errors()) == (9, False, {})
    assert read.table.schema.equals(SCHEMA)
    assert read.table.to_pylist() == written.table.to_pylist()


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (SURE._replace(row=-1, scheduled_at=0.0), "sample 4: there is no row -1"),
        # what all other parts have
        (SURE._replace(row=9, scores=[0.5, 0.5]), "sample 4: it has 2 scores, others have 3"),
        # the same as the first part's
        (SURE, "samples 0 and 4 are of the same version, row, worker and moment"),
    ],
)
def test_what_cannot_be_is_found_in_any_part(tmp_path, last, says):
    rows = [SURE, *(SURE._replace(row=row) for row in (21, 22, 23)), last]
    pq.write_table(sample_set(rows).table, tmp_path / "samples.parquet", row_group_size=2)
    with pytest.raises(UsageError, match=rf"no samples of a run: {says}"):
        SampleSet.read(tmp_path / "samples.parquet")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, samples):
    samples.write(tmp_path / "samples.parquet")
    read = SampleSet.read(tmp_path / "samples.parquet")
    sample_set([OK]).write(tmp_path / "samples.parquet")
    with pytest.raises(UsageError, match="it changed while it was read; try again"):
        _ = read.row
