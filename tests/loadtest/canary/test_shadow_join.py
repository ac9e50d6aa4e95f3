"""The join of both servers' answers: what is told of each request, in whatever order it arrives."""

import math

import pytest

from loadtest.canary.counts import Counts
from loadtest.canary.shadow_join import KEPT, PATIENCE, Join


def answer(name, mark, labels=("yes",), status=200, seconds=0.01, at=100.0):
    return {"at": at, "id": name, "mark": mark, "status": status, "seconds": seconds, "labels": list(labels)}


def truth(name, *labels, at=101.0):
    return {"at": at, "id": name, "truth": list(labels)}


def joined(*records, now=101.0, since=0.0):
    join = Join(since)
    join.add(records, now)
    return join


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
        (0.5, 0.5001, True),
        (0.5, 0.51, False),
    ],
)
def test_what_is_alike(one, other, alike):
    pair = answer("a", "original", [one]), answer("a", "copy", [other])
    assert joined(*pair).summary().agreement == float(alike)


def test_agreement_is_of_rows_with_an_exact_interval():
    pairs = [(answer(str(n), "original", ["a", "b"]), answer(str(n), "copy", ["a", "b"])) for n in range(50)]
    summary = joined(*(record for pair in pairs for record in pair)).summary()
    assert (summary.pairs, summary.agreement) == (50, 1.0)
    # 100 rows of 100: 0.025 ** (1 / 100)
    assert summary.interval == pytest.approx((0.025 ** (1 / 100), 1.0))


def test_feedback_judges_both_versions_whenever_it_comes():
    join = joined(answer("a", "original", ["yes"]), truth("a", "no"))
    assert join.summary().judged == 0
    join.add([answer("a", "copy", ["no"])], 102.0)
    assert join.summary().accuracy == {"stable": 0.0, "candidate": 1.0}
    # once a request
    join.add([truth("a", "no")], 102.0)
    assert join.summary().judged == 1
    late = joined(answer("b", "copy"), answer("b", "original"))
    late.add([truth("b", "yes")], 500.0)
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
    assert (summary.pairs, summary.failed, summary.agreement, summary.latency) == (2, 1, None, {})
    counts = join.take([])
    assert (counts["stable"].errors, counts["candidate"].errors) == (1, 2)


def test_a_copy_without_an_answer_is_a_failure_after_some_patience():
    join = joined(answer("a", "original"), now=100.0 + PATIENCE - 0.1)
    assert (join.summary().unanswered, join.take([0.1])["stable"].requests) == (0, 0)
    join.add([], 100.0 + PATIENCE)
    assert (join.summary().pairs, join.summary().unanswered) == (0, 1)
    gained = join.take([0.1])
    # nobody knows how slow it would have been: slower than anything
    assert gained["candidate"] == Counts(1, 1, 0, 0, 1, [1.0])
    assert gained["stable"] == Counts(1, 0, 0, 0, 1, [0.0])
    # an answer that comes even later changes nothing
    join.add([answer("a", "copy", at=130.0)], 130.0)
    join.add([], 200.0)
    assert (join.summary().pairs, join.summary().unanswered) == (0, 1)


def test_what_is_old_when_it_is_read_is_joined_all_the_same():
    join = joined(answer("a", "original"), now=500.0)
    join.add([answer("a", "copy")], 500.0)
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
    join.skip(before=100.5)
    join.add([answer("b", "original", at=100.4)], 500.0)
    assert join.summary().unanswered == 0


def test_a_regression_agrees_or_not_and_is_never_right_or_wrong():
    join = joined(answer("a", "original", [1.0]), answer("a", "copy", [2.0]), truth("a", 1.0))
    summary = join.summary()
    assert (summary.agreement, summary.judged, summary.accuracy) == (0.0, 0, {})


def test_memory_is_bounded():
    join = Join()
    for number in range(KEPT + 100):
        name = str(number)
        join.add([answer(name, "original"), answer(name, "copy")], 101.0)
    assert len(join._requests) == KEPT
    assert join.summary().pairs == KEPT + 100


def test_it_can_be_told_as_json():
    told = joined(answer("a", "original"), answer("a", "copy")).summary().to_json()
    assert told["latency"]["candidate"] == {"p50": 0.01, "p95": 0.01, "p99": 0.01}
    assert not any(isinstance(value, float) and math.isnan(value) for value in told.values())
