"""A canary without labels: the agreement in the shadow decides, and nobody gets past it."""

import json
import re

import pytest

from loadtest.canary.event import BY
from loadtest.canary.state import Note
from loadtest.errors import ExitCode, UsageError
from loadtest.workflows.canary_outputs import Lines
from tests.loadtest.workflows.test_canary_auto import NOW, Store, World, actions, in_shadow, state

NO_LABELS = {"gates": ["agreement >= 99.5%"], "rollback": ["error_rate <= stable", "agreement >= 99%"]}


def test_without_labels_the_agreement_lets_a_candidate_out_of_the_shadow():
    world, lines = World(Store()), []
    end, mirror = in_shadow(world, 0.0, Lines(lines.append), **NO_LABELS, shadow=2.0)
    assert end.code is ExitCode.PASS
    assert actions(world.store)[:2] == [("shadow", 0), ("set", 1)]
    # 2 s are 400 users, and 756 must agree
    assert mirror.asked == 800
    assert "in the shadow: 50% of the evidence for agreement >= 99.5%" in json.loads(lines[2])["why"]
    # once shown it is no question any more
    assert "agreement >= 99.5%" not in json.loads(lines[-1])["proofs"]


def test_one_that_answers_otherwise_never_gets_a_user():
    world = World(Store())
    end, _ = in_shadow(world, 0.1, **NO_LABELS)
    assert (end.code, actions(world.store)) == (ExitCode.FAIL, [("shadow", 0), ("rollback", 0)])
    assert re.fullmatch(r"agreement >= 99%: agreement: (8|9)\d\.\d\d% of \d+ users", end.why)


def test_one_in_between_is_undecided():
    world = World(Store())
    end, _ = in_shadow(world, 0.007, **NO_LABELS, hold=60.0)
    assert (end.code, actions(world.store)) == (ExitCode.INCONCLUSIVE, [("shadow", 0), ("rollback", 0)])
    assert re.match(r"undecided after 60 s in the shadow: in the shadow: 0% of the evidence for", end.why)


@pytest.mark.parametrize(
    ("passed", "goes_on"),
    [
        # a controller that was killed at 5%: the shadow before it showed what it must
        (["agreement >= 99.5%"], True),
        # by other gates, or by hand: nothing can show it any more
        (["agreement >= 90%"], False),
        (None, False),
    ],
)
def test_a_candidate_that_never_passed_the_shadow_is_refused(passed, goes_on):
    before = state().shadow(Note(BY, "the candidate is ready", NOW, {"decision": "shadow"}))
    seen = {"decision": "step", "shadow": {}, "alarms": {"agreement >= 99%": {}}}
    seen |= {"proofs": dict.fromkeys(passed or ())}
    note = Note("ann", "by hand", NOW) if passed is None else Note(BY, "no harm", NOW, seen)
    world = World(Store(before.set(1, note).set(5, Note(BY, "enough", NOW, {"decision": "step"}))))
    if goes_on:
        assert in_shadow(world, 0.0, **NO_LABELS)[0].code is ExitCode.PASS
        return
    with pytest.raises(UsageError, match="the candidate has 5% of the users already, and only the shadow"):
        in_shadow(world, 0.0, **NO_LABELS)
