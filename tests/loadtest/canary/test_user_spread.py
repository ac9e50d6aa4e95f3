"""How much less than a trial a request is, where users ask more than once."""

import numpy as np
import pytest

from loadtest.canary.counts import Counts, Scrape
from loadtest.canary.live_evidence import Watch
from loadtest.canary.split_check import ArmsPage, SplitCheck
from loadtest.canary.user_spread import BELIEVED, NOISE, SIDE, Spread, Users, dispute
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role

ASKED = dict.fromkeys(ROLES, 100.0)
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
    spread.add(dict.fromkeys(ROLES, users) if users else {}, ASKED)
    for role in ROLES:
        assert spread.effect(role, share) == pytest.approx(effect)


ONE = Users(100, 100**2)
TOLD = [
    # stable's users ask five times each: the candidate's word counts up to what chance may give
    (Users(100, 500), Users(100, 600), Users(), 6, 6),
    (Users(100, 500), ONE, Users(), BELIEVED * 5, 100),
    # of stable nobody tells: it is as if each of its requests had its own
    (Users(), ONE, Users(), BELIEVED, 100),
    # nor does a word below stable's, or none, make a proof count for more
    (Users(100, 500), Users(100, 100), Users(), 1, 5),
    (Users(100, 500), Users(), Users(), 1, 5),
    # stable's server answered forty failures of one user: they are one user's
    (Users(100, 500), ONE, Users(40, 40**2), min(BELIEVED * 40, 100), 100),
]


@pytest.mark.parametrize(("stable", "candidate", "failed", "harm", "proof"), TOLD)
def test_what_the_candidate_tells_of_its_users_is_bounded_by_stables(stable, candidate, failed, harm, proof):
    spread = Spread()
    spread.add({Role.STABLE: stable, Role.CANDIDATE: candidate}, ASKED, failed)
    # where half of all fail, an effect is the requests per user
    assert spread.effect(Role.CANDIDATE, 0.5) == pytest.approx(harm)
    assert spread.effect(Role.CANDIDATE, 0.5, proof=True) == pytest.approx(proof)


def test_arms_of_few_users_may_differ_by_more():
    spread, asked = Spread(), {Role.STABLE: 360.0, Role.CANDIDATE: 40.0}
    assert spread.allowance(0.01) == 0
    spread.add({Role.CANDIDATE: Users(40, 160)}, asked)
    # of stable nobody tells
    assert spread.allowance(0.01) == 0
    spread.add({Role.STABLE: Users(360, 1440)}, asked)
    of_both = SIDE * 0.01 * (1 / 10 + 1 / 90) ** 0.5
    assert spread.allowance(0.01) == spread.allowance(0.01, proof=True) == pytest.approx(of_both)


ALLOWED = [
    # nine of ten requests are stable's, of 90 users: ten users are the candidate's, give or take
    (Users(40, 40**2), 10 / BELIEVED, 1),
    (Users(1, 10**9), 10 / BELIEVED, 1e-9),
    # what makes its own harm count for more is believed
    (Users(40, 40), 40, 10),
]


@pytest.mark.parametrize(("candidate", "harm", "proof"), ALLOWED)
def test_telling_of_one_user_hardly_allows_more_than_stables_users_would(candidate, harm, proof):
    spread = Spread()
    users = {Role.STABLE: Users(360, 1440), Role.CANDIDATE: candidate}
    spread.add(users, {Role.STABLE: 360.0, Role.CANDIDATE: 40.0})
    for allowed, number in ((spread.allowance(0.01), harm), (spread.allowance(0.01, proof=True), proof)):
        assert allowed == pytest.approx(SIDE * 0.01 * (1 / number + 1 / 90) ** 0.5)


def test_the_next_step_has_the_same_users():
    spread = Spread()
    for users in (Users(100, 1000), Users(3, 3)):
        spread.add(dict.fromkeys(ROLES, users), ASKED)
    assert spread.effect(Role.CANDIDATE, 0.5) == 10


DISPUTES = [
    # what chance may give, and more
    (Users(100, 100), Users(100, 100 * NOISE), Users(), False),
    (Users(100, 100), Users(100, 100 * NOISE + 1), Users(), True),
    # one user asks and fails, as stable's server saw
    (Users(100, 100), ONE, Users(40, 40**2), False),
    # there is nothing to hold it against
    (Users(), ONE, Users(), False),
]


@pytest.mark.parametrize(("stable", "candidate", "failed", "shown"), DISPUTES)
def test_another_spread_than_stables_is_shown(stable, candidate, failed, shown):
    text = dispute({Role.STABLE: stable, Role.CANDIDATE: candidate}, failed)
    assert (text is not None) == shown
    if text:
        assert "another spread of users than stable: 10 requests per user against 1;" in text


def findings(lies, share, seconds=20):
    """What is found of a candidate with this share of errors against 0.5%, each request of another user."""
    rng = np.random.default_rng(1)
    watch = Watch(Experiment.load_file("canary", {"canary": {"rollback": ["error_rate <= stable"]}}))
    watch.enter(0.0, 10)
    check = SplitCheck()
    check.enter(1, 10)
    asked = dict.fromkeys(ROLES, 0)
    found = []
    for second in range(1, seconds + 1):
        counts = {}
        for role, rate, errors in ((Role.STABLE, 900, 0.005), (Role.CANDIDATE, 100, share)):
            asked[role] += rate
            counts[role] = Counts(rate, rng.binomial(rate, errors))
        pages = {
            role: ArmsPage(1, (), {arm: asked[arm] * (arm == role) for arm in ROLES},
                           squares={arm: asked[arm] * (arm == role) for arm in ROLES})
            for role in ROLES
        }  # fmt: skip
        if lies:  # all of its requests came from one user, and so did stable's
            pages[Role.CANDIDATE] = ArmsPage(
                1, (), dict.fromkeys(ROLES, 10**9), squares=dict.fromkeys(ROLES, 10**18)
            )
        check.add(pages)
        arms = check.summary()
        watch.add(Scrape(float(second), counts, users=arms.spread, failed=arms.failed))
        found.append(watch.evidence().alarms[0].finding)
    return found


def test_a_candidate_that_tells_of_one_user_is_found_as_soon_as_one_that_tells_the_truth():
    true, lie = findings(lies=False, share=0.05), findings(lies=True, share=0.05)
    assert true[-1] == "fail"
    assert lie == true


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
