import pytest

from benchmarks.load.soak import Seen, grown, lag_ms, main
from tests.loadtest.made_samples import Sample, sample_set


def test_a_process_is_seen_from_the_first_moment_to_its_last():
    seen = [
        [Seen("master", 100, 9, 1), Seen("worker 1", 50, 7, 4), Seen("worker 2", 40, 7, 0)],
        # one that ended, and one that came later
        [Seen("master", 90, 8, 1), Seen("worker 1", 60, 9, 4), Seen("worker 3", 1, 1, 0)],
        [Seen("master", 110, 11, 1), Seen("worker 1", 55, 8, 7)],
    ]
    assert {
        name: (end.memory - begin.memory, end.files - begin.files, end.connections - begin.connections)
        for name, (begin, end) in grown(seen).items()
    } == {
        "master": (10, 2, 0),
        "worker 1": (5, 1, 3),
        "worker 2": (0, 0, 0),
    }


@pytest.mark.parametrize(
    ("begin", "end", "lag"),
    [
        (0, 99, 2),
        # due at the begin, and no more at the end
        (99, 100, 1000),
        (100, 110, 5),
        # one late request of 310 is less than one in a hundred
        (0, 310, 7),
    ],
)
def test_how_late_requests_were_sent_by_when_they_were_due(begin, end, lag):
    late_by = [0.002] * 99 + [1.0] + [0.005] * 10 + [0.007] * 200
    due = [(float(at), late) for at, late in enumerate(late_by)]
    samples = sample_set(
        Sample(0, "stable", at, at + late, at + late + 1, 200, None, "a", True, None, 0) for at, late in due
    )
    assert round(lag_ms(samples, begin, end)) == lag


@pytest.mark.parametrize("minutes", ["0.25", "0", "-1"])
def test_a_load_in_which_no_process_is_seen_is_refused(minutes, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--minutes", minutes])
    assert ended.value.code == 2
    assert "--minutes is at least 0.5" in capsys.readouterr().err
