"""What a failed request belongs to, from when services were killed and ran again."""

import pytest

from benchmarks.canary.random_kills import Kill, summary, why_ended
from benchmarks.canary.steady import Record

KILLS = [
    Kill("candidate", 9.95, 10.0, 12.0, None),
    Kill("gateway", 19.95, 20.0, 21.0, None),
    Kill("stable", 29.95, 30.0, 33.0, None),
    Kill("controller", 39.95, 40.0, 40.1, "the gateway says 20, the state 10"),
]


def failed(sent, done):
    return Record(sent, sent, done, 0, "")


@pytest.mark.parametrize(
    ("record", "belongs"),
    [
        # sent before the death, and not answered
        (failed(9.9, 10.1), "in_flight"),
        (failed(19.9, 19.97), "in_flight"),
        # sent while the signal was on its way
        (failed(9.97, 10.5), "in_flight"),
        # nobody listens until it is back
        (failed(20.5, 20.5), "gateway_down"),
        # a version is dead, and the gateway answers
        (failed(11.0, 11.0), "others"),
        (failed(31.0, 31.1), "others"),
        # a controller takes no request
        (failed(39.9, 40.05), "others"),
        # nothing was killed
        (failed(15.0, 15.1), "others"),
    ],
)
def test_what_a_failed_request_belongs_to(record, belongs):
    found = summary(KILLS, [record])
    assert found["failed"] == {"in_flight": 0, "gateway_down": 0, "others": 0} | {belongs: 1}
    assert found["kills"] == dict.fromkeys(("gateway", "stable", "candidate", "controller"), 1)
    assert found["wrong"] == ["controller: the gateway says 20, the state 10"]


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ('{"at": 1}\n{"end": "rolled back", "why": "it is slow"}\n', "rolled back: it is slow"),
        # the gateway was away for too long: a plain line
        ('{"at": 1}\nloadproof: the gateway is away\n', "exit code 5: loadproof: the gateway is away"),
        # killed from outside before it said anything
        ("", "exit code 5: "),
        ('{"at": 1}\n', 'exit code 5: {"at": 1}'),
    ],
)
def test_a_controller_that_ends_otherwise_than_by_a_decision_does_not_end_the_measurement(log, why):
    assert why_ended(log, 5) == why


def test_the_longest_time_without_an_answer_is_that_around_the_kills():
    answers = [Record(t, t, t, 200, "stable") for t in (9.5, 10.5, 19.9, 21.5, 29.9, 30.2, 33.1, 50.0, 90.0)]
    assert summary(KILLS, answers)["longest_gap_s"] == {
        "gateway": 1.6,
        "stable": 2.9,
        "candidate": 9.4,
        "controller": 16.9,
    }
