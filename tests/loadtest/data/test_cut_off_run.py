import re

import pytest

from loadtest.data.cut_off_run import is_cut_off, read_cut_off_run
from loadtest.data.sample_stream import SampleStream, stream_facts
from loadtest.errors import UsageError
from tests.loadtest.made_samples import Sample, sample_set

LOAD = {
    "offered_rps": 10.0,
    "achieved_rps": 10.0,
    "schedule_lag_ms_p99": 1.0,
    "duration_s": 2.1,
    "valid": True,
    "reason": None,
}
SAMPLES = sample_set(
    Sample(n, role, n / 10, n / 10 + 0.001, n / 10 + 0.1, 200, None, "1", True, None, 0)
    for n in range(20)
    for role in ("stable", "candidate")
)


def stream_of(folder, *facts, last=None):
    stream = SampleStream(folder)
    for each in facts:
        stream.add(SAMPLES.to_bytes(), each)
    stream.close(last)


@pytest.mark.parametrize(
    ("facts", "last", "samples", "seconds", "says"),
    [
        # killed while the arrival at 1.5 s waited: neither it nor what came later counts
        (
            stream_facts(LOAD, 1.45),
            None,
            30,
            1.45,
            "1.4 of 60 s can be judged, as .* killed; later samples are left out .10.",
        ),
        # killed while nothing waited
        (stream_facts(LOAD, 2.05), None, 40, 2.05, r"2.0 of 60 s can be judged, as .* killed$"),
        # the disk was full
        (stream_facts(LOAD, 2.05), {"trouble": "the disk took no more (full)"}, 40, 2.05, "took no more"),
        # killed before the first second was whole
        (stream_facts(LOAD, -0.5), None, 0, 0.0, "0.0 of 60 s"),
        # everything is there, only samples.parquet is not
        (stream_facts(LOAD, 1.45), stream_facts(LOAD), 40, 2.1, "^None$"),
    ],
)
@pytest.mark.parametrize("in_memory", [10**6, 7])
def test_what_can_be_judged(tmp_path, facts, last, samples, seconds, says, in_memory):
    stream_of(tmp_path, facts, last=last)
    assert is_cut_off(tmp_path)
    there = read_cut_off_run(tmp_path, 60.0, in_memory)
    assert there.samples.table.equals(SAMPLES.table.slice(0, samples))
    assert there.load["schedule_lag_ms_p99"] == (pytest.approx(1.0) if seconds else None)
    assert (len(there.samples), there.load["duration_s"]) == (samples, seconds)
    assert there.load["valid"] is True
    assert len(there.samples.digest) == 64
    assert re.search(says, str(there.load["cut_off"]))


def test_without_facts_nothing_can_be_judged(tmp_path):
    stream_of(tmp_path)
    there = read_cut_off_run(tmp_path, 60.0)
    assert (len(there.samples), there.load["valid"]) == (0, False)
    assert there.load["reason"] == "the run was cut off before anything was measured"


def test_samples_that_cannot_be_are_refused(tmp_path):
    stream = SampleStream(tmp_path)
    for _ in range(2):  # twice the same
        stream.add(SAMPLES.to_bytes(), stream_facts(LOAD, 9.0))
    with pytest.raises(UsageError, match=r"samples\.stream: no samples of a run: samples 0 and 40"):
        read_cut_off_run(tmp_path, 60.0)


def test_a_stream_of_something_else_is_refused(tmp_path):
    stream = SampleStream(tmp_path)
    stream.add(b"no arrow", {})
    with pytest.raises(UsageError, match=r"samples\.stream: not readable"):
        read_cut_off_run(tmp_path, 60.0)


@pytest.mark.parametrize(
    ("names", "cut_off"),
    [
        (["samples.stream"], True),
        # it ended between its two last files
        (["samples.stream", "samples.parquet"], True),
        # between the last and taking the stream away
        (["samples.stream", "samples.parquet", "load.json"], False),
        (["samples.parquet", "load.json"], False),
        # of old runs, or damaged: nothing to fall back on
        (["samples.parquet"], False),
        ([], False),
    ],
)
def test_which_runs_are_cut_off(tmp_path, names, cut_off):
    for name in names:
        (tmp_path / name).write_text("")
    assert is_cut_off(tmp_path) == cut_off
