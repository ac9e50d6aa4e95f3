"""The check of the split: shares as a table, and users who come to both arms."""

import numpy as np
import pytest

from loadtest.canary.split_check import MOST, ArmsPage, SplitCheck, Unit
from loadtest.experiment.role import ROLES, Role
from loadtest.stats.share_bets import SplitBets


def pages(step, units, full=False):
    """What both servers tell, each of the units that came to it."""
    return {
        role: ArmsPage(
            step,
            tuple(unit for unit in units if unit.arm == role),
            {arm: sum(unit.arm == arm for unit in units if unit.arm == role) for arm in ROLES},
            full,
        )
        for role in ROLES
    }


def arm(candidate):
    return Role.CANDIDATE if candidate else Role.STABLE


def units(number, candidates, kind="users", first=0):
    """So many, of which the first so many came by the candidate's arm."""
    return [Unit(first + place, arm(place < candidates), kind) for place in range(number)]


SHARES = [
    # as it should be, and what chance may give
    (10, "users", 2000, 200, None),
    (10, "users", 2000, 225, None),
    # 12% instead of 10% takes some thousand users to see
    (10, "users", 500, 60, None),
    (10, "users", 8000, 960, "of 8,000 users 960 came to the candidate's arm, where 800 were to be expected"),
    (10, "requests", 8000, 960, "of 8,000 requests without a user 960"),
    # nobody comes through to the candidate, or everybody does
    (10, "users", 300, 0, "of 300 users 0"),
    (10, "users", 20, 20, "of 20 users 20"),
    # nothing to see where everybody, or nobody, belongs to the candidate
    (100, "users", 300, 0, None),
    (0, "users", 300, 300, None),
]


@pytest.mark.parametrize(("split", "kind", "number", "candidates", "problem"), SHARES)
def test_the_share_of_each_arm_is_what_was_set(split, kind, number, candidates, problem):
    check = SplitCheck()
    check.enter(3, split)
    check.add(pages(3, units(number, candidates, kind)))
    found = check.summary().problem
    assert found is None if problem is None else problem in found


BOTH = [
    # a gateway that works leaves none; four are too few to say so
    (2000, 0, None),
    (50, 4, None),
    (50, 5, "5 of 50 users came to both arms in one step"),
    # half a percent of many
    (2000, 9, None),
    (2000, 10, "10 of 2,000"),
]


@pytest.mark.parametrize(("number", "both", "problem"), BOTH)
def test_users_in_both_arms(number, both, problem):
    check = SplitCheck()
    check.enter(1, 50)
    seen = units(number, number // 2)
    check.add(pages(1, [*seen, *(user._replace(arm=Role.STABLE) for user in seen[:both])]))
    shares = check.summary()
    assert shares.both == both
    assert shares.problem is None if problem is None else problem in shares.problem


def test_the_candidate_alone_cannot_say_that_a_user_came_to_stable():
    check = SplitCheck()
    check.enter(1, 50)
    seen = units(2000, 1000)
    told = pages(1, seen)
    forged = tuple(user._replace(arm=Role.STABLE) for user in seen[:1000])
    mine = told[Role.CANDIDATE]
    check.add(told | {Role.CANDIDATE: mine._replace(units=(*mine.units, *forged))})
    shares = check.summary()
    assert (shares.both, shares.problem) == (0, None)
    # stable's own server says it of ten of them
    check.add(pages(1, forged[:10]))
    assert check.summary().confirmed


CONFIRMED = [
    # the gateway counted what the candidate's server tells of
    (960, {Role.STABLE: 7040, Role.CANDIDATE: 960}, True),
    # it made the users up
    (960, {Role.STABLE: 7040, Role.CANDIDATE: 780}, False),
    # it hides most of its own
    (100, {Role.STABLE: 7900, Role.CANDIDATE: 878}, False),
    # nobody came through to it
    (0, {Role.STABLE: 8000, Role.CANDIDATE: 0}, True),
    # off, but the other way
    (960, {Role.STABLE: 7040, Role.CANDIDATE: 500}, False),
    # the gateway does not tell
    (960, None, False),
]


@pytest.mark.parametrize(("candidates", "asked", "confirmed"), CONFIRMED)
def test_the_gateways_own_counts_confirm_a_share(candidates, asked, confirmed):
    check = SplitCheck()
    check.enter(3, 10)
    told = pages(3, units(8000, candidates))
    one_each = {role: page._replace(squares=page.requests) for role, page in told.items()}
    check.add(one_each, asked)
    assert check.summary().problem
    assert check.summary().confirmed == confirmed


def test_few_users_who_ask_much_confirm_nothing():
    check = SplitCheck()
    check.enter(3, 10)
    told = pages(3, units(8000, 960, "requests"))
    # 80 of stable's users asked for all of it
    heavy = {
        role: page._replace(squares={arm: n * 88 for arm, n in page.requests.items()})
        for role, page in told.items()
    }
    check.add(heavy, {Role.STABLE: 7040, Role.CANDIDATE: 960})
    assert (bool(check.summary().problem), check.summary().confirmed) == (True, False)


def test_a_server_without_end_is_not_read_for_ever():
    check = SplitCheck()
    check.enter(1, 10)
    for first in range(0, MOST + 100_000, 100_000):
        check.add(pages(1, units(100_000, 100_000, first=first)) | {Role.STABLE: None})
    assert len(check._pending) <= MOST


def test_a_user_is_a_trial_again_only_where_the_step_could_move_them():
    check = SplitCheck()
    users = units(1000, 100)
    for step, split in enumerate((10, 10, 5)):
        check.enter(step, split)
        # all who were beyond 10% stay beyond 5%; of the hundred within, fifty are to be expected
        candidates = 100 if split == 10 else 50
        check.add(
            pages(step, [user._replace(arm=arm(place < candidates)) for place, user in enumerate(users)])
        )
        assert check.summary().problem is None
    check.enter(4, 2.5)
    # now everybody within 5% stays, where half were to go
    check.add(pages(4, [user._replace(arm=arm(place < 50)) for place, user in enumerate(users)]))
    assert "1,150 users 200 came to the candidate's arm, where 175" in check.summary().problem


def test_one_server_alone_does_not_look_like_an_empty_arm():
    check = SplitCheck()
    check.enter(1, 10)
    told = pages(1, units(3000, 300))
    for _ in range(2):
        check.add(told | {Role.STABLE: None})
    assert check.summary().problem is None
    assert check.summary().share("users") is None
    check.add(told | {Role.CANDIDATE: ArmsPage(0, (), dict.fromkeys(ROLES, 0))})
    assert check.summary().share("users") == pytest.approx(0.1)
    assert check.summary().problem is None


def test_full_servers_stop_the_test_and_not_the_canary():
    check = SplitCheck()
    check.enter(1, 10)
    check.add(pages(1, units(5000, 0), full=True))
    assert check.summary().problem is None


def test_what_stable_answered_instead_belongs_to_the_candidates_arm():
    check = SplitCheck()
    check.enter(1, 10)
    asked = tuple(units(40, 40))
    stable = ArmsPage(1, asked, {Role.STABLE: 360, Role.CANDIDATE: 40})
    check.add({Role.STABLE: stable, Role.CANDIDATE: ArmsPage(1, asked, {Role.STABLE: 0, Role.CANDIDATE: 40})})
    shares = check.summary()
    assert shares.requests == {Role.STABLE: 360, Role.CANDIDATE: 40}
    assert (shares.share("requests"), shares.both) == (0.1, 0)


def test_a_page_of_a_server():
    document = {"step": 2, "units": [[7, 1, 1], [8, 0, 0]], "full": False}
    arms = {"requests": {"stable": 1, "candidate": 2}, "squares": {"stable": 1, "candidate": 4}}
    page = ArmsPage.of(document | arms)
    assert page.squares == {Role.STABLE: 1, Role.CANDIDATE: 4}
    assert page.units == (Unit(7, Role.CANDIDATE, "users"), Unit(8, Role.STABLE, "requests"))
    assert page.requests == {Role.STABLE: 1, Role.CANDIDATE: 2}


def test_a_true_split_hardly_ever_wins_the_bets():
    rng = np.random.default_rng(1)
    runs, ever = 2000, np.zeros(2000, dtype=bool)
    bets = SplitBets((runs,))
    for _ in range(200):
        bets.update(rng.binomial(50, 0.1, runs), 50, 0.1)
        ever |= bets.log_e >= np.log(100)
    # Ville: at most 1% of 2,000, and three standard deviations of that
    assert 0 < ever.sum() <= 34
