"""The decision as a table: where the candidate is, what is known, what happens."""

import pytest

from loadtest.canary.decision import Position, decide
from loadtest.canary.live_evidence import Alarm, Evidence, Proof
from loadtest.canary.split_check import TrueShares
from loadtest.canary.user_spread import Users
from loadtest.experiment.experiment import Canary
from loadtest.experiment.role import Role

POLICY = Canary(
    steps=(1, 10, 50, 100), answers=20, alarms=2, pause=10, misses=2, missing=3, settle=5, hold=60
)
STAYS = POLICY.model_copy(update={"undecided": "stay"})
ERRORS, WRONG, SLOW = "error_rate <= stable", "accuracy >= stable", "p99 <= 250ms"


def evidence(
    at=30.0,
    answers=100,
    findings=(),
    shown=(1, 1, 1, 1),
    misses=(0, 0),
    ejected=False,
    silent=(),
    idle=(),
    arms=None,
):
    return Evidence(
        at=at,
        answers=answers,
        alarms=tuple(
            Alarm(gate, dict(findings).get(gate, "quiet"), 0.5, "values") for gate in (ERRORS, WRONG, SLOW)
        ),
        proofs=(Proof("accuracy >= stable - 2pp", shown, "values"), Proof("p99 <= 250ms", (1, 1, 1, 1), "")),
        misses={"stable": misses[0], "candidate": misses[1]},
        ejected=ejected,
        silent={"gateway": 0.0, "stable": 0.0, "candidate": 0.0} | dict(silent),
        idle=dict(idle),
        arms=arms,
    )


AT = Position(10, since=20.0)
FAULTS = [
    # the candidate is dead, or alive and not ready: at once, however good it was
    ({"misses": (0, 2)}, "rollback"),
    # one miss may be a busy moment
    ({"misses": (0, 1)}, "step"),
    ({"ejected": True}, "rollback"),
    # nothing is known any more, whoever fell silent
    *[({"silent": {source: 3.0}}, "rollback") for source in ("gateway", "stable", "candidate")],
    ({"silent": {"gateway": 2.9}}, "step"),
    # every failing gate, by itself
    *[({"findings": {gate: "fail"}}, "rollback") for gate in (ERRORS, WRONG, SLOW)],
    # an alarm may be chance or a burst: out of the traffic, for now
    ({"findings": {ERRORS: "alarm"}}, "pause"),
    # proof outweighs an alarm
    ({"findings": {ERRORS: "alarm", SLOW: "fail"}}, "rollback"),
    # stable itself is away: nobody would be better off with it
    ({"misses": (2, 0)}, "hold"),
    ({"misses": (2, 2)}, "hold"),
    ({"misses": (2, 0), "silent": {"stable": 9.0}}, "hold"),
]


@pytest.mark.parametrize(("known", "verb"), FAULTS)
def test_faults_come_first(known, verb):
    decision = decide(POLICY, AT, evidence(**known))
    assert decision.verb == verb
    assert decision.split == {"rollback": 0, "pause": 0, "step": 50, "hold": 10}[verb]


@pytest.mark.parametrize(
    ("position", "known", "verb", "split"),
    [
        # in: as soon as it is ready, which needs no answers
        (Position(0, 0.0), {"answers": 0}, "step", 1),
        (Position(0, 0.0), {"answers": 0, "misses": (0, 1)}, "hold", 0),
        # too few answers, whatever they show
        (Position(1, 0.0), {"answers": 19}, "hold", 1),
        (Position(1, 0.0), {"answers": 20}, "step", 10),
        # what counts is what the next step needs
        (Position(1, 0.0), {"shown": (1, 1, 0.4, 0.1)}, "step", 10),
        (Position(10, 0.0), {"shown": (1, 1, 0.99, 0.5)}, "hold", 10),
        (Position(10, 0.0), {"shown": (1, 1, 1, 0.5)}, "step", 50),
        # everybody only when all is shown
        (Position(50, 0.0), {"shown": (1, 1, 1, 0.99)}, "hold", 50),
        (Position(50, 0.0), {}, "step", 100),
        # a split that somebody set by hand between two steps goes on to the next one
        (Position(30, 0.0), {}, "step", 50),
        # promotion after it has settled
        (Position(100, 26.0), {}, "hold", 100),
        (Position(100, 25.0), {}, "promote", 0),
        (Position(100, 25.0), {"misses": (0, 2)}, "rollback", 0),
    ],
)
def test_up_as_soon_as_enough_is_shown(position, known, verb, split):
    assert decide(POLICY, position, evidence(**known))[:2] == (verb, split)


@pytest.mark.parametrize(
    ("position", "known", "verb", "split"),
    [
        (Position(0, 21.0, alarms=1, paused=True), {}, "hold", 0),
        (Position(0, 20.0, alarms=1, paused=True), {}, "step", 1),
        # dead during the pause
        (Position(0, 20.0, alarms=1, paused=True), {"misses": (0, 2)}, "rollback", 0),
        # the second alarm is the last
        (Position(10, 20.0, alarms=1), {"findings": {WRONG: "alarm"}}, "rollback", 0),
    ],
)
def test_a_second_chance_and_no_third(position, known, verb, split):
    assert decide(POLICY, position, evidence(**known))[:2] == (verb, split)


@pytest.mark.parametrize(
    ("silent", "harm"),
    [
        ({"candidate": 3.0}, True),
        ({"gateway": 3.0}, False),
        ({"stable": 3.0}, False),
        # the machine, most likely: but the candidate too
        ({"gateway": 3.0, "candidate": 3.0}, True),
        ({"gateway": 3.0, "candidate": 2.0}, False),
    ],
)
def test_only_its_own_silence_is_held_against_the_candidate(silent, harm):
    decision = decide(POLICY, AT, evidence(silent=silent))
    assert (decision.verb, decision.harm) == ("rollback", harm)


SHADOWS = POLICY.model_copy(update={"shadow": 15.0})
HIDDEN = Position(0, since=10.0, shadow=True)


@pytest.mark.parametrize(
    ("position", "known", "verb"),
    [
        # before the first step, once it is ready
        (Position(0, 0.0), {"answers": 0}, "shadow"),
        (Position(0, 0.0), {"misses": (0, 1)}, "hold"),
        # for as long as is asked for, and until answers are joined
        (HIDDEN, {"at": 24.9}, "hold"),
        (HIDDEN, {"at": 25.0}, "step"),
        (HIDDEN, {"at": 25.0, "answers": 19}, "hold"),
        # nobody is harmed by an alarm there, but nobody is given to it either
        (HIDDEN, {"at": 25.0, "findings": {WRONG: "alarm"}}, "hold"),
        (HIDDEN, {"at": 70.0, "findings": {WRONG: "alarm"}}, "rollback"),
        (HIDDEN, {"at": 70.0, "answers": 0}, "rollback"),
        (HIDDEN, {"at": 11.0, "findings": {WRONG: "fail"}}, "rollback"),
        (HIDDEN, {"at": 11.0, "misses": (0, 2)}, "rollback"),
        # after a pause its users have seen it already
        (Position(0, 20.0, alarms=1, paused=True), {}, "step"),
    ],
)
def test_a_shadow_before_the_first_step(position, known, verb):
    decision = decide(SHADOWS, position, evidence(**known))
    assert (decision.verb, decision.split) == (verb, 1 if verb == "step" else 0)


@pytest.mark.parametrize(
    "position", [Position(0, 0.0), Position(0, 20.0, alarms=1, paused=True), HIDDEN], ids=str
)
def test_what_is_left_of_an_earlier_ejection_is_waited_for(position):
    decision = decide(POLICY, position, evidence(ejected=True))
    assert decision.verb == ("step" if position.shadow else "hold")
    assert decide(POLICY, position, evidence()).verb == "step"


def test_one_alarm_is_enough_where_one_is_allowed():
    once = POLICY.model_copy(update={"alarms": 1})
    assert decide(once, AT, evidence(findings={ERRORS: "alarm"})).verb == "rollback"


@pytest.mark.parametrize(
    ("policy", "at", "verb", "split"),
    [(POLICY, 79.9, "hold", 10), (POLICY, 80.0, "rollback", 0), (STAYS, 80.0, "stay", 10)],
)
def test_undecided_ends_as_the_policy_says(policy, at, verb, split):
    decision = decide(policy, AT, evidence(at=at, shown=(1, 1, 0.5, 0)))
    assert (decision.verb, decision.split) == (verb, split)
    assert "accuracy >= stable - 2pp" in decision.why
    # nothing is known against the candidate
    assert verb != "rollback" or not decision.harm


EVERYBODY = Position(100, since=20.0)


@pytest.mark.parametrize(
    ("position", "known", "verb", "why"),
    [
        # nobody came from the beginning, or any more: named while it is waited for, and at the end
        (AT, {"at": 79.0, "answers": 0, "idle": {"answers": 59}}, "hold", "0 of 20 answers of the candidate"),
        (AT, {"at": 79.0, "answers": 7, "idle": {"answers": 60}}, "hold", "nobody came: 7 of 20 answers"),
        (AT, {"at": 80.0, "answers": 0, "idle": {"answers": 60}}, "rollback", "none for 60 s"),
        # answers, but nobody says what became of them
        (
            AT,
            {"at": 80.0, "shown": (1, 1, 0, 0), "idle": {"feedback": 60}},
            "rollback",
            "no feedback for 60 s",
        ),
        # all users have it, and there are none
        (EVERYBODY, {"at": 25.0, "answers": 0}, "hold", "0 of 20 answers"),
        (
            EVERYBODY,
            {"at": 79.0, "answers": 99, "idle": {"answers": 59, "feedback": 60}},
            "hold",
            "no feedback",
        ),
        (EVERYBODY, {"at": 80.0, "answers": 0, "idle": {"answers": 60}}, "rollback", "nobody came"),
    ],
)
def test_where_no_one_comes_nobody_is_promoted_and_nobody_blamed(position, known, verb, why):
    decision = decide(POLICY, position, evidence(**known))
    assert decision.verb == verb
    assert why in decision.why
    assert verb == "hold" or not decision.harm


def test_what_is_ready_after_the_longest_hold_goes_up_all_the_same():
    assert decide(POLICY, AT, evidence(at=500.0)).verb == "step"


def test_the_reason_names_the_gate_and_the_values():
    assert decide(POLICY, AT, evidence(findings={WRONG: "fail"})).why == "accuracy >= stable: values"
    assert decide(POLICY, AT, evidence(silent={"candidate": 4.2})).why == "no metrics of candidate for 4.2 s"


BROKEN = TrueShares({}, {}, problem="the split is broken: ...", confirmed=True)
ALONE = BROKEN._replace(confirmed=False)
TRUE = TrueShares({}, {})
SPLITS = [
    # nothing goes up
    ({"arms": TRUE}, AT, "step", True),
    ({"arms": BROKEN}, AT, "hold", True),
    # a gate takes the candidate out, as ever, and it is no finding on the candidate
    ({"arms": BROKEN, "findings": {SLOW: "fail"}}, AT, "rollback", False),
    ({"arms": BROKEN, "findings": {ERRORS: "alarm"}}, AT, "pause", False),
    ({"arms": BROKEN, "findings": {ERRORS: "alarm"}}, AT._replace(alarms=1), "rollback", False),
    ({"arms": TRUE, "findings": {SLOW: "fail"}}, AT, "rollback", True),
    # what nobody but the candidate's server says is no excuse; it holds the candidate back all the same
    ({"arms": ALONE}, AT, "hold", True),
    ({"arms": ALONE, "findings": {SLOW: "fail"}}, AT, "rollback", True),
    ({"arms": ALONE, "findings": {ERRORS: "alarm"}}, AT, "pause", True),
    # dead is dead
    ({"arms": BROKEN, "misses": (0, 2)}, AT, "rollback", True),
    # it does not begin again, nor last for ever
    ({"arms": BROKEN, "at": 40.0}, Position(0, 20.0, alarms=1, paused=True), "hold", True),
    ({"arms": BROKEN, "at": 90.0}, AT, "rollback", False),
]


@pytest.mark.parametrize(("known", "position", "verb", "harm"), SPLITS)
def test_a_broken_split_is_no_finding_on_the_candidate(known, position, verb, harm):
    decision = decide(POLICY, position, evidence(**known))
    assert (decision.verb, decision.harm) == (verb, harm)
    if known["arms"].problem and verb != "rollback":
        assert "the split is broken" in decision.why


def test_the_reason_of_a_rollback_names_what_was_not_believed():
    lies = {Role.STABLE: Users(900, 900), Role.CANDIDATE: Users(100, 100**2)}
    known = evidence(findings={ERRORS: "fail"}, arms=ALONE._replace(spread=lies))
    assert decide(POLICY, AT, known).why.split("; ")[1:] == [
        "only the candidate's server says that the split is broken: ...",
        "the candidate tells another spread of users than stable: 100 requests per user against 1",
        "no more than 4 times stable's counts",
    ]
