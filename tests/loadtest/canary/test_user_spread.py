"""How much less than a trial a request is, where users ask more than once."""

import pytest

from loadtest.canary.counts import Counts, Scrape
from loadtest.canary.live_evidence import Watch
from loadtest.canary.user_spread import SIDE, Spread, Users
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role

EFFECTS = [
    # nobody tells, nobody came yet, every request of another user
    (None, 0.01, 1),
    (Users(), 0.01, 1),
    (Users(100, 100), 0.01, 1),
    # ten requests of each of ten users: one percent of failures is rare, half of all is not
    (Users(100, 1000), 0.01, 1 + 9 * 0.01 / 0.99),
    (Users(100, 1000), 0.5, 10),
    (Users(100, 1000), 1, 10),
    # one user is nearly everybody
    (Users(109, 100**2 + 9), 0.5, (100**2 + 9) / 109),
]


@pytest.mark.parametrize(("users", "share", "effect"), EFFECTS)
def test_requests_that_count_for_one(users, share, effect):
    spread = Spread()
    spread.add({Role.CANDIDATE: users} if users else {})
    assert spread.effect(Role.CANDIDATE, share) == pytest.approx(effect)
    assert spread.effect(Role.STABLE, share) == 1


def test_arms_of_few_users_may_differ_by_more():
    spread = Spread()
    assert spread.allowance(0.01) == 0
    spread.add({Role.CANDIDATE: Users(40, 160)})
    # of stable nobody tells
    assert spread.allowance(0.01) == 0
    spread.add({Role.STABLE: Users(360, 1440)})
    assert spread.allowance(0.01) == pytest.approx(SIDE * 0.01 * (1 / 10 + 1 / 90) ** 0.5)


def test_the_next_step_has_the_same_users():
    spread = Spread()
    for users in (Users(100, 1000), Users(3, 3)):
        spread.add({Role.CANDIDATE: users})
    assert spread.effect(Role.CANDIDATE, 0.5) == 10


@pytest.mark.parametrize(
    ("squares", "finding"),
    [
        # a thousand users fail once each, or ten users a hundred times
        ({}, "alarm"),
        (dict.fromkeys(ROLES, 1), "alarm"),
        (dict.fromkeys(ROLES, 100), "quiet"),
    ],
)
def test_failures_of_few_users_are_less_evidence_than_those_of_many(squares, finding):
    watch = Watch(Experiment.load_file("canary", {"canary": {"rollback": ["error_rate <= stable"]}}))
    watch.enter(0.0, 50)
    for second in range(1, 9):
        users = {role: Users(100 * second, 100 * second * each) for role, each in squares.items()}
        both = {Role.STABLE: Counts(100, 4 + second % 3), Role.CANDIDATE: Counts(100, 12 + second % 3)}
        watch.add(Scrape(float(second), both, users=users))
    (alarm,) = watch.evidence().alarms
    assert alarm.finding == finding
