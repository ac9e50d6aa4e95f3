import json

import pytest

from loadtest.data.sample_stream import read_line, sample_line
from loadtest.data.samples import Sample, SampleSet
from loadtest.errors import UsageError

SAMPLES = SampleSet.from_samples(
    [
        Sample(7, "stable", 1.0, 1.001, 1.1, 200, None, "1", True, None, 0),
        Sample(7, "candidate", 1.0, 1.001, 3.1, 0, "timeout", None, False, None, 1),
    ]
)


def test_samples_survive_the_way_through_a_line():
    line = sample_line(SAMPLES.to_bytes())
    assert "\n" not in line
    read = read_line(line + "\n")
    assert isinstance(read, SampleSet)
    assert read.table.to_pylist() == SAMPLES.table.to_pylist()


def test_other_lines_are_live_figures_or_nothing():
    assert read_line(json.dumps({"elapsed": 1.0})) == {"elapsed": 1.0}
    assert read_line("a word from a library") is None
    assert read_line("") is None


@pytest.mark.parametrize("line", ["{", '{"samples": 3}', '{"samples": "!"}', '{"samples": "aGVsbG8="}'])
def test_a_line_that_lies_is_an_error_and_no_traceback(line):
    with pytest.raises(UsageError, match="line of the load generator cannot be read"):
        read_line(line)
