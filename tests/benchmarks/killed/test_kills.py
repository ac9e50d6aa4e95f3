import pytest

from benchmarks.killed.__main__ import missing_seconds
from benchmarks.killed.running import Reading, load_seen

READINGS = [
    Reading(at, answered) for at, answered in ((9.0, 40), (10.0, 50), (11.0, 70), (12.0, 90), (13.0, 99))
]


@pytest.mark.parametrize(
    ("began", "killed", "recorded", "answered", "missing"),
    [
        # what was answered before the load, and after the kill, is not of it
        (10.5, 12.5, 40, 40, 0.0),
        # a reading at the moment itself counts, for the begin and for the kill
        (10.0, 12.0, 40, 40, 0.0),
        # the last moment at which no more had been answered than is recorded
        (10.5, 12.5, 39, 40, 1.0),
        (10.5, 12.5, 19, 40, 2.0),
        (10.5, 12.5, 0, 40, 2.0),
        # recorded and not yet counted by a server: nothing is missing
        (10.5, 12.5, 45, 40, 0.0),
        # nobody had looked before the load began, or before the kill
        (8.0, 12.5, 0, None, 0.0),
        (10.5, 8.0, 0, None, 0.0),
    ],
)
def test_what_is_missing_is_counted_back_from_the_kill(began, killed, recorded, answered, missing):
    assert missing_seconds(READINGS, began, killed, recorded) == (answered, missing)


@pytest.mark.parametrize(
    ("answered", "seen"),
    [
        ([], None),
        # the first rows of both versions are asked for before any load
        ([0, 20, 40, 40], None),
        ([0, 40, 41, 60], 2.0),
    ],
)
def test_the_load_is_seen_when_more_is_answered_than_the_first_rows(answered, seen):
    assert load_seen([Reading(float(at), count) for at, count in enumerate(answered)]) == seen
