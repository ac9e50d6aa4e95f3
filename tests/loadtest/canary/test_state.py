from datetime import UTC, datetime, timedelta

import pytest

from loadtest.canary.codec import decode, encode
from loadtest.canary.state import Deployment, Note, State
from loadtest.errors import StateError, UsageError

BEGAN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
V1, V2 = Deployment("stable", "v1"), Deployment("candidate", "v2")


def note(minute=0, **evidence):
    return Note("ann", "because", BEGAN + timedelta(minutes=minute), evidence)


def new(percent=0.0):
    return State.begin(V1, V2, note(), percent)


def facts(state):
    now = state.now
    return now.mode, now.percent, now.stable.version, now.candidate.version


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (new(), ("off", 0, "v1", "v2")),
        (new(10), ("split", 10, "v1", "v2")),
        (new().set(5, note()), ("split", 5, "v1", "v2")),
        # nothing for the candidate: there is no split
        (new(10).set(0, note()), ("off", 0, "v1", "v2")),
        (new(10).shadow(note()), ("shadow", 0, "v1", "v2")),
        (new(10).hold(note()), ("split", 10, "v1", "v2")),
        # the roles swap, and the version that was stable gets nothing
        (new(50).promote(note()), ("off", 0, "v2", "v1")),
        (new(50).promote(note()).set(10, note()), ("split", 10, "v2", "v1")),
        (new(10).rollback(note()), ("off", 0, "v1", "v2")),
        (new().shadow(note()).rollback(note()), ("off", 0, "v1", "v2")),
        # straight after a promotion, and after holding on it: back to the version before
        (new(50).promote(note()).rollback(note()), ("off", 0, "v1", "v2")),
        (new(50).promote(note()).hold(note()).rollback(note()), ("off", 0, "v1", "v2")),
        # asked twice in a hurry: the second time changes nothing
        (new(50).promote(note()).rollback(note()).rollback(note()), ("off", 0, "v1", "v2")),
        # a promotion of long ago is no longer undone
        (new(50).promote(note()).set(10, note()).rollback(note()).rollback(note()), ("off", 0, "v2", "v1")),
        # another candidate was deployed after a promotion: of it nothing is known
        (
            new(50).promote(note()).begin_again(V2, Deployment("stable", "v3"), note()).rollback(note()),
            ("off", 0, "v2", "v3"),
        ),
    ],
)
def test_what_is_in_force_after_each_change(state, expected):
    assert facts(state) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (new().set(10, note(), fallback=True), True),
        # what only holds leaves it in force
        (new().set(10, note(), fallback=True).hold(note()), True),
        # a candidate without users answers nobody's requests
        (new().set(0, note(), fallback=True), False),
        (new().set(10, note(), fallback=True).shadow(note()), False),
        (new().set(10, note(), fallback=True).rollback(note()), False),
        # the old stable, as the candidate, neither
        (new().set(10, note(), fallback=True).promote(note()), False),
        (new().set(10, note(), fallback=True).begin_again(V2, Deployment("stable", "v3"), note()), False),
        # and it is asked for each time
        (new().set(10, note(), fallback=True).set(20, note()), False),
    ],
)
def test_a_fallback_lasts_as_long_as_the_split_that_asked_for_it(state, expected):
    assert state.now.fallback is expected
    assert decode(encode(state), "state.json") == state


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        (new(), False),
        (new(10), True),
        (new().shadow(note()), True),
        (new(10).promote(note()), True),
        (new(10).promote(note()).rollback(note()), False),
        (new(10).promote(note()).set(5, note()).set(0, note()), False),
    ],
)
def test_whether_there_is_something_to_roll_back(state, possible):
    assert state.can_roll_back is possible


@pytest.mark.parametrize("percent", [-0.01, 100.01, float("nan"), float("inf"), 0.001])
def test_a_split_that_makes_no_sense_is_refused_and_changes_nothing(percent):
    with pytest.raises(UsageError, match=r"not between 0 and 100|finer than"):
        new().set(percent, note())


def test_the_history_grows_only_and_has_no_hole():
    first = new()
    later = first.set(10, note(1)).hold(note(2)).promote(note(3)).rollback(note(4))
    assert later.history[:1] == first.history
    assert [entry.serial for entry in later.history] == [1, 2, 3, 4, 5]
    assert [entry.action for entry in later.history] == ["begin", "set", "hold", "promote", "rollback"]


def test_holding_does_not_make_a_split_younger():
    assert new().set(10, note(1)).hold(note(2)).since == BEGAN + timedelta(minutes=1)


def test_a_state_comes_back_from_its_file_as_it_was():
    state = new().set(10, note(1, e_value=17.5, gates=["errors"])).shadow(note(2)).promote(note(3))
    assert decode(encode(state), "state.json") == state


def test_the_file_says_first_what_is_in_force():
    text = encode(new().set(12.5, note(3)).hold(note(4)))
    assert text.splitlines()[1:7] == [
        ' "schema": 1,',
        ' "serial": 3,',
        ' "at": "2026-03-04T05:10:07.000+00:00",',
        ' "by": "ann",',
        ' "action": "hold",',
        ' "mode": "split",',
    ]
    assert '"since": "2026-03-04T05:09:07.000+00:00"' in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a canary state"),
        ("[]", "not a canary state"),
        ('{"schema": 1}', "not a canary state"),
        ('{"schema": 2, "history": []}', "schema 2 is not 1; update loadproof"),
        ('{"schema": 1, "history": []}', "the history has a gap"),
        # an entry was taken out by hand
        (encode(State(new().set(1, note()).set(2, note()).history[1:])), "the history has a gap"),
        (encode(new()).replace('"off"', '"on"'), "not a canary state"),
        (encode(new()).replace('"service": "stable"', '"service": "blue"'), "not a canary state"),
    ],
)
def test_a_file_that_is_no_state_is_named_with_the_remedy(text, message):
    with pytest.raises(StateError, match=f"routes/state.json: .*{message}"):
        decode(text, "routes/state.json")
