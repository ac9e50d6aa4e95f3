"""Cells of text: from a file they come as a dictionary, and mean what they meant in the table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.data.sample_cells import as_floats, null_cells, take_cells
from loadtest.data.samples import SCHEMA, SampleSet
from tests.loadtest.made_samples import Sample, sample_set

PLACES = (np.array([5, 0, 399]), np.array([1, 2]))


def made(predictions):
    return sample_set(
        Sample(row=i, role="stable", scheduled_at=i, sent_at=i, done_at=i + 1.0, status=200 if text else 0,
               error=None if text else "timeout", prediction=text, correct=None, matches=None, worker=0)
        for i, text in enumerate(predictions)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("predictions", "encoded"),
    [
        (["1.5", None, "2"] * 200, True),
        # more texts than a byte numbers, and each part of the file has others
        ([str(i % 40 + i // 200 * 40) for i in range(1200)], True),
        ([f"{i / 7}" for i in range(600)], False),
        ([None] * 600, False),
    ],
)
def test_cells_of_a_file_are_those_of_the_table(tmp_path, predictions, encoded):
    samples = made(predictions)
    pq.write_table(samples.table, tmp_path / "samples.parquet", row_group_size=200)
    read = take_cells(SampleSet.read(tmp_path / "samples.parquet"), "prediction", PLACES)
    for one, other, places in zip(read, take_cells(samples, "prediction", PLACES), PLACES, strict=True):
        assert pa.types.is_dictionary(one.type) == encoded
        assert one.to_pylist() == other.to_pylist() == [predictions[place] for place in places]
        np.testing.assert_array_equal(as_floats(one), as_floats(other))


def test_numbers_are_only_of_what_is_there():
    cells = pa.array(["2", "tea", None, "2"]).dictionary_encode()
    np.testing.assert_array_equal(as_floats(cells.take(pa.array([3, 2, 0]))), [2, np.nan, 2])
    with pytest.raises(pa.ArrowInvalid, match="tea"):
        as_floats(cells)


@pytest.mark.parametrize("name", ["prediction", "scores", "ranking"])
@pytest.mark.parametrize("number", [0, 1, 9])
def test_null_cells_are_as_arrow_makes_them(name, number):
    kind = SCHEMA.field(name).type
    cells = null_cells(number, kind)
    cells.validate(full=True)
    assert cells.equals(pa.nulls(number, kind))
