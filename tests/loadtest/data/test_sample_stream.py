import errno
import os
import struct
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

from loadtest.data.run_folder import holds_samples
from loadtest.data.sample_stream import SampleStream, StoredStream, write_parquet
from loadtest.data.samples import SampleSet
from tests.loadtest.made_samples import Sample, sample_set

BASE = Sample(0, "stable", 0.0, 0.0, 0.1, 200, None, "1", True, None, 0)
PIECES = [sample_set([BASE._replace(row=3 * n + k, worker=n) for k in range(3)]) for n in range(3)]


def written(folder, upto=3, **more):
    stream = SampleStream(folder, **more)
    for number, piece in enumerate(PIECES[:upto]):
        stream.add(piece.to_bytes(), {"number": number})
    return stream


def rows(path):
    return [row for piece in StoredStream.read(path).samples() for row in piece.row.tolist()]


def test_what_is_added_is_there_before_anything_is_closed(tmp_path):
    stream = written(tmp_path)
    stored = StoredStream.read(stream.path)
    assert rows(stream.path) == list(range(9))
    assert (stored.facts, stored.torn) == ({"number": 2}, 0)
    stream.close({"trouble": "none"})
    assert StoredStream.read(stream.path).facts == {"number": 2, "trouble": "none"}
    assert [path.name for path in tmp_path.iterdir()] == ["samples.stream"]


def test_a_file_that_ends_anywhere_keeps_every_record_before(tmp_path):
    stream = written(tmp_path, 0)
    ends = [stream.path.stat().st_size]
    for piece in PIECES:
        stream.add(piece.to_bytes(), {})
        ends.append(stream.path.stat().st_size)
    whole = stream.path.read_bytes()
    # each byte near where a record ends, and some of those between
    near = {at + off for at in ends for off in range(-20, 21)}
    for end in sorted(near.intersection(range(len(whole) + 1)).union(range(0, len(whole), 53))):
        stream.path.write_bytes(whole[:end])
        stored = StoredStream.read(stream.path)
        assert stored.size + stored.torn == end
        # samples come with their facts behind them: they count from the end of their own record on
        least = sum(end >= after for after in ends[1:])
        most = sum(end > before for before in ends)
        assert 3 * least <= len(rows(stream.path)) <= 3 * most
    for before, after in pairwise(ends):
        assert after > before


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        # of the first record, of the second and of the last
        (lambda whole, at: whole[: at[0] + 40] + b"\xff\xff" + whole[at[0] + 42 :], 0),
        (lambda whole, at: whole[: at[1] + 40] + b"\xff\xff" + whole[at[1] + 42 :], 3),
        (lambda whole, at: whole[: at[2] + 40] + b"\xff\xff" + whole[at[2] + 42 :], 6),
        # a length beyond the end of the file, a kind that there is not, zeros as after a crash, nothing
        (lambda whole, at: whole[: at[1]] + struct.pack("<cII", b"S", 2**32 - 1, 0) + whole[at[1] + 9 :], 3),
        (lambda whole, at: whole[: at[1]] + b"X" + whole[at[1] + 1 :], 3),
        (lambda whole, at: whole[: at[2]] + bytes(5000), 6),
        (lambda whole, at: whole + b"more", 9),
        (lambda whole, at: b"", 0),
        (lambda whole, at: b"PAR1" + whole[4:], 0),
    ],
)
def test_damage_costs_what_comes_behind_it_and_never_more(tmp_path, damage, kept):
    stream = written(tmp_path, 0)
    at = []
    for number, piece in enumerate(PIECES):
        at.append(stream.path.stat().st_size)
        stream.add(piece.to_bytes(), {"number": number})
    stream.path.write_bytes(damage(stream.path.read_bytes(), at))
    assert rows(stream.path) == list(range(kept))


class Disk:
    """Takes so many bytes, then no more; half of a write may still fit."""

    def __init__(self, room):
        self.room = room

    def write(self, file, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(self.room, len(data))
        self.room -= taken
        return os.write(file, data[:taken])


@pytest.mark.parametrize("short", [1, 10, 200, 1500])
def test_a_disk_that_is_full_costs_the_record_that_does_not_fit(tmp_path, short):
    size = written(tmp_path).path.stat().st_size
    disk = Disk(size - short)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path, write=disk.write)
    path = tmp_path / "samples.stream"
    assert (rows(path), StoredStream.read(path).torn) == (list(range(6)), 0)
    assert not (tmp_path / "samples.reserve").exists()  # there is room for what must still be written


def test_a_stream_is_empty_until_something_was_measured(tmp_path):
    stream = written(tmp_path, 0)
    assert stream.path.stat().st_size == 0
    assert not holds_samples(tmp_path)
    stream.add(PIECES[0].to_bytes(), {})
    assert holds_samples(tmp_path)


def test_a_reserve_is_held_while_samples_come(tmp_path):
    stream = written(tmp_path)
    assert (tmp_path / "samples.reserve").stat().st_size == 2**20
    stream.close()
    stream.close()
    assert not (tmp_path / "samples.reserve").exists()


def test_parquet_of_the_pieces_is_that_of_the_whole(tmp_path):
    write_parquet(StoredStream.read(written(tmp_path).path).samples(), tmp_path / "samples.parquet")
    whole = SampleSet.read(tmp_path / "samples.parquet")  # checks the checksum, too
    assert whole.table.to_pylist() == SampleSet.concat(PIECES).table.to_pylist()


def test_a_long_run_has_several_row_groups(tmp_path):
    piece = sample_set([BASE._replace(row=n) for n in range(2**15)])
    write_parquet([piece] * 17, tmp_path / "samples.parquet")
    assert pq.ParquetFile(tmp_path / "samples.parquet").num_row_groups == 3


def test_parquet_that_cannot_be_written_leaves_nothing(tmp_path):
    def pieces():
        yield PIECES[0]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_parquet(pieces(), tmp_path / "samples.parquet")
    assert list(tmp_path.iterdir()) == []


def test_no_samples_are_an_empty_file(tmp_path):
    write_parquet([], tmp_path / "samples.parquet")
    assert len(SampleSet.read(tmp_path / "samples.parquet")) == 0
