"""The join of both servers' answers: what is told of each request, in whatever order it arrives."""

import math

import pytest

from loadtest.canary.agreement_tests import SPREAD_FROM
from loadtest.canary.counts import Counts, Pair
from loadtest.canary.shadow_join import KEPT, PATIENCE, Join
from loadtest.experiment.role import ROLES

STABLE, CANDIDATE = ROLES


def answer(name, mark, labels=("yes",), status=200, seconds=0.01, at=100.0, user=None):
    told = {"at": at, "id": name, "mark": mark, "status": status, "seconds": seconds}
    return told | {"labels": list(labels), "user": user}


def truth(name, *labels, at=101.0):
    return {"at": at, "id": name, "truth": list(labels)}


def tell(join, *records, now=101.0):
    """Each record by the server whose it is."""
    for record in records:
        join.add([record], now, CANDIDATE if record.get("mark") == "copy" else STABLE)
    join.add([], now, STABLE)
    return join


def joined(*records, now=101.0, since=0.0):
    return tell(Join(since), *records, now=now)


def test_both_answers_to_a_request_are_compared_whoever_is_read_first():
    records = answer("a", "copy", ["no"], seconds=0.03), answer("a", "original", seconds=0.01)
    for order in (records, records[::-1]):
        summary = joined(*order).summary()
        assert (summary.pairs, summary.agreement) == (1, 0.0)
        assert summary.latency == {"stable": (0.01, 0.01, 0.01), "candidate": (0.03, 0.03, 0.03)}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("yes", "yes", True),
        ("yes", "no", False),
        # versions may say a class as a text or as a number
        (1, "1", True),
        (True, "True", True),
        (True, False, False),
    ],
)
def test_what_is_alike(one, other, alike):
    pair = answer("a", "original", [one]), answer("a", "copy", [other])
    assert joined(*pair).summary().agreement == float(alike)


def test_agreement_is_of_users_by_their_first_request():
    records = [
        *(answer("a", "original", user=7), answer("a", "copy", user=7)),
        # the same user once more, and differently
        *(answer("b", "original", user=7), answer("b", "copy", ["no"], user=8)),
        # of nobody in particular: a trial each; of two rows one is alike
        *(answer("c", "original", ["a", "b"]), answer("c", "copy", ["a", "c"])),
        *(answer("d", "original"), answer("d", "copy")),
    ]
    summary = joined(*records).summary()
    assert (summary.pairs, summary.users) == (4, 3)
    assert summary.agreement == pytest.approx(2.5 / 3)
    assert summary.interval[0] < 2.5 / 3 < summary.interval[1]


def test_pairs_are_told_once_and_without_an_answer_as_none():
    records = [
        *(answer("a", "original"), answer("a", "copy", ["no"])),
        *(answer("b", "original"), answer("b", "copy", [], status=500)),
        # stable itself failed: nothing to compare with
        *(answer("c", "original", [], status=500), answer("c", "copy")),
        answer("d", "original"),
    ]
    join = joined(*records)
    assert join.take_pairs() == [Pair(["yes"], ["no"]), Pair(["yes"], None)]
    tell(join, now=100 + PATIENCE)
    assert join.take_pairs() == [Pair(["yes"], None)]
    assert (join.take_pairs(), join.summary().agreement) == ([], 0.0)


YES, NO = {"labels": ["yes"]}, {"labels": ["no"]}
LIES = [
    # what the candidate says                                             what is then compared
    # stable's answers in its place, as soon as it knows the request
    ([{"mark": "original", **NO}, NO], [Pair(["yes"], ["no"])]),
    # no row, or fewer
    ([{"labels": []}], [Pair(["yes"], [])]),
    # twice: the first time counts
    ([NO, YES], [Pair(["yes"], ["no"])]),
    # nonsense is no answer
    *(
        ([nonsense], [Pair(["yes"], None)])
        for nonsense in (
            {"labels": "yes"}, {"labels": [None]}, {"labels": [["yes"]]}, {"labels": [math.nan]},
            {"labels": [math.inf]}, {"labels": [10**400]}, {"seconds": 10**400}, {"seconds": -1.0},
            {"seconds": "1"}, {"seconds": math.nan}, {"status": "200"}, {"at": None}, {"id": 7},
            {"user": ["a"]},
        )
    ),
    # another shadow's, so that it would not count
    ([{"at": 1.0, **NO}], [Pair(["yes"], None)]),
    # another user, who would be a trial of its own, or has been one
    ([{"user": 9}], [Pair(["yes"], ["yes"])]),
    # what truly happened
    ([{"truth": ["no"]}], [Pair(["yes"], None)]),
]  # fmt: skip


@pytest.mark.parametrize(("told", "pairs"), LIES)
@pytest.mark.parametrize("first", [STABLE, CANDIDATE])
def test_the_candidates_server_says_nothing_but_its_own_answers(told, pairs, first):
    records = {
        STABLE: [answer("a", "original", at=200.0, user=9)],
        CANDIDATE: [answer("a", "copy", at=200.0) | one for one in told],
    }
    join = Join(since=150.0)
    for role in (first, *(set(ROLES) - {first})):
        join.add(records[role], 201.0, role)
    # nor does its clock say anything
    join.add([], 9e9, CANDIDATE)
    join.add([], 200.0 + PATIENCE, STABLE)
    assert join.take_pairs() == [pair._replace(named=True) for pair in pairs]
    assert join.summary().judged == 0


def test_a_record_that_is_no_object_is_left_out():
    join = Join()
    join.add(["a", None, 7, {}], 101.0, CANDIDATE)
    assert joined().summary() == join.summary()


def test_what_only_the_candidates_server_has_lost_did_not_come():
    join = joined(answer("a", "original"), answer("b", "original", at=150.0))
    join.skip(160.0, CANDIDATE)
    tell(join, now=170.0)
    assert join.summary()[:3] == (0, 0, 2)
    # both have: they keep equally many
    join = joined(answer("a", "original"), answer("b", "original", at=150.0))
    join.skip(120.0, STABLE)
    join.skip(120.0 + PATIENCE / 2, CANDIDATE)
    tell(join, now=170.0)
    assert join.summary()[:3] == (0, 0, 1)


def test_a_flood_of_copies_pushes_no_request_out():
    join = joined(answer("a", "original"))
    join.add([answer(f"x{n}", "copy") for n in range(KEPT + 10)], 101.0, CANDIDATE)
    tell(join, answer("a", "copy", ["no"]))
    assert (join.take_pairs(), len(join._copies)) == ([Pair(["yes"], ["no"])], KEPT)


def test_two_requests_of_one_id_are_not_compared():
    # a stranger sends two rows at once under one id: nobody can say which of them a copy belongs to
    join = joined(answer("a", "original"), answer("a", "original", ["no"]), answer("a", "copy", ["no"]))
    tell(join, answer("a", "copy"), answer("a", "original"), now=500.0)
    assert (join.take_pairs(), join.summary().pairs) == ([], 0)


def test_feedback_judges_both_versions_whenever_it_comes():
    join = joined(answer("a", "original", ["yes"]), truth("a", "no"))
    assert join.summary().judged == 0
    tell(join, answer("a", "copy", ["no"]), now=102.0)
    assert join.summary().accuracy == {"stable": 0.0, "candidate": 1.0}
    # once a request
    tell(join, truth("a", "no"), now=102.0)
    assert join.summary().judged == 1
    late = joined(answer("b", "copy"), answer("b", "original"))
    tell(late, truth("b", "yes"), now=500.0)
    assert late.summary().accuracy == {"stable": 1.0, "candidate": 1.0}


def test_boolean_labels_are_judged_whoever_wrote_them():
    # JSON has true, a CSV True, and Python says True for both
    join = joined(answer("a", "original", [True]), answer("a", "copy", ["False"]), truth("a", "true"))
    assert join.summary().accuracy == {"stable": 1.0, "candidate": 0.0}


def test_errors_of_the_candidate_alone_are_its_own():
    records = [
        *(answer("a", "original"), answer("a", "copy", [], status=500)),
        # what stable refuses too is the caller's fault
        *(answer("b", "original", [], status=400), answer("b", "copy", [], status=400)),
    ]
    join = joined(*records)
    summary = join.summary()
    assert (summary.pairs, summary.failed, summary.agreement, summary.latency) == (2, 1, 0.0, {})
    counts = join.take([])
    assert (counts["stable"].errors, counts["candidate"].errors) == (1, 2)


def test_a_copy_without_an_answer_is_a_failure_after_some_patience():
    join = joined(answer("a", "original"), now=100.0 + PATIENCE - 0.1)
    assert (join.summary().unanswered, join.take([0.1])["stable"].requests) == (0, 0)
    tell(join, now=100.0 + PATIENCE)
    assert (join.summary().pairs, join.summary().unanswered) == (0, 1)
    gained = join.take([0.1])
    # nobody knows how slow it would have been: slower than anything
    assert gained["candidate"] == Counts(1, 1, 0, 0, 1, [1.0])
    assert gained["stable"] == Counts(1, 0, 0, 0, 1, [0.0])
    # an answer that comes even later changes nothing
    tell(join, answer("a", "copy", at=130.0), now=200.0)
    assert (join.summary().pairs, join.summary().unanswered) == (0, 1)


def test_what_is_old_when_it_is_read_is_joined_all_the_same():
    join = joined(answer("a", "original"), now=500.0)
    tell(join, answer("a", "copy"), now=500.0)
    assert join.summary()[:3] == (1, 0, 0)


def test_a_copy_whose_original_was_never_answered_is_nobodys_failure():
    join = joined(answer("a", "copy"), now=500.0)
    assert join.summary()[:3] == (0, 0, 0)
    assert join.take([])["candidate"].requests == 0


def test_what_was_gained_is_told_once_and_by_the_gates_own_edges():
    join = joined(answer("a", "original", seconds=0.01), answer("a", "copy", seconds=0.3), truth("a", "no"))
    assert join.take([0.01, 0.1, 1.0]) == {
        "stable": Counts(1, 0, 1, 1, 1, [0.0, 0.0, 0.0]),
        "candidate": Counts(1, 0, 1, 1, 1, [1.0, 1.0, 0.0]),
    }
    assert join.take([0.1]) == {role: Counts(0, 0, 0, 0, 0, [0.0]) for role in ("stable", "candidate")}


def test_another_shadows_answers_and_those_before_a_gap_do_not_count():
    assert joined(answer("a", "original", at=9.0), answer("a", "copy", at=9.0), since=10).summary().pairs == 0
    join = joined(answer("a", "original"))
    # one server has forgotten what it answered up to then
    join.skip(100.5, STABLE)
    tell(join, answer("b", "original", at=100.4), now=500.0)
    assert join.summary().unanswered == 0


def test_a_regression_agrees_or_not_and_is_never_right_or_wrong():
    values = [(str(n), float(n)) for n in range(SPREAD_FROM)]
    records = [record for name, value in values for record in (
        answer(name, "original", [value]), answer(name, "copy", [value + 1]), truth(name, value),
    )]  # fmt: skip
    summary = joined(*records).summary()
    assert (summary.agreement, summary.judged, summary.accuracy) == (0.0, 0, {})


def test_memory_is_bounded():
    join = Join()
    for number in range(KEPT + 100):
        name = str(number)
        tell(join, answer(name, "original", user=number), answer(name, "copy"))
    assert len(join._requests) == KEPT
    assert join.summary().pairs == KEPT + 100


def test_what_so_many_pushed_out_is_not_what_the_candidate_never_answered():
    # a second of a flood, or all that stable's server kept, read before the candidate's
    join = joined(*(answer(str(number), "original") for number in range(KEPT + 3)))
    tell(join, *(answer(str(number), "copy") for number in range(KEPT + 3)))
    summary = join.summary()
    assert (summary.pairs, summary.unanswered, summary.dropped) == (KEPT, 0, 3)
    assert len(join.take_pairs()) == join.take([])["stable"].requests == KEPT
    assert summary.lost == "0 failed, 0 unanswered, 3 not followed: too many at once"


def test_it_can_be_told_as_json():
    told = joined(answer("a", "original"), answer("a", "copy")).summary().to_json()
    assert told["latency"]["candidate"] == {"p50": 0.01, "p95": 0.01, "p99": 0.01}
    assert not any(isinstance(value, float) and math.isnan(value) for value in told.values())


def pair_of(original, copy):
    join = Join()
    join.add([answer("a", "original") | original], 101.0, STABLE)
    join.add([answer("a", "copy") | copy], 101.0, CANDIDATE)
    return join.take_pairs()[0]


@pytest.mark.parametrize(
    ("classes", "scores", "told"),
    [
        (["no", "yes"], [[0.3, 0.7]], [[0.3, 0.7]]),
        # the same classes in another order, or of nobody knows which
        (["yes", "no"], [[0.7, 0.3]], [[0.3, 0.7]]),
        (None, [[0.3, 0.7]], [[0.3, 0.7]]),
        # other classes, another number of them or of rows
        (["no", "maybe"], [[0.3, 0.7]], None),
        (["no", "yes", "maybe"], [[0.3, 0.7, 0]], None),
        (["no", "yes"], [[0.3, 0.7]] * 2, None),
        # no scores at all: lies are left out, and what is left out is not alike
        (["no", "yes"], [["0.3", 0.7]], None),
        (["no", "yes"], [[0.3], [0.7]], None),
        (["no", "yes"], [[1e300, 0.7]], None),
        (["no", "yes"], {"0": 1}, None),
        (["no", "yes"], [[0.3] * 1001], None),
        (["no", "no"], [[0.3, 0.7]], [[0.3, 0.7]]),
        ([[], {}], [[0.3, 0.7]], [[0.3, 0.7]]),
    ],
)
def test_scores_of_both_are_of_the_same_classes(classes, scores, told):
    stable = {"scores": [[0.3, 0.7]], "classes": ["no", "yes"]}
    pair = pair_of(stable, {"scores": scores, "classes": classes})
    assert pair.scores[0].tolist() == [pytest.approx([0.3, 0.7])]
    assert pair.scores[1] is None if told is None else pair.scores[1].tolist() == [pytest.approx(told[0])]


@pytest.mark.parametrize(
    ("ranking", "sound"),
    [
        ([["a", "b"]], True),
        ([["a", 1]], False),
        (["ab"], False),
        ([["a" * 20_001]], False),
        ([["a"], ["b"]], False),
    ],
)
def test_lists_are_checked(ranking, sound):
    pair = pair_of({"ranking": [["a", "b"]]}, {"ranking": ranking})
    assert pair.rankings == ([["a", "b"]], ranking if sound else None)


def test_scores_of_requests_that_nobody_made_fill_no_memory():
    join = Join()
    copies = [answer(f"{i}", "copy") | {"scores": [[0.5, 0.5]]} for i in range(1100)]
    join.add(copies, 101.0, CANDIDATE)
    join.add([answer(f"{i}", "original") | {"scores": [[0.5, 0.5]]} for i in range(1100)], 101.0, STABLE)
    assert sum(pair.scores[1] is not None for pair in join.take_pairs()) == 1000
