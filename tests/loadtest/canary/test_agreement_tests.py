"""Gates on the agreement in the shadow: by what both versions answered to the same users."""

import numpy as np
import pytest

from loadtest.canary.agreement_tests import SPREAD_FROM, SPREAD_OF, Agreement, AgreementTest
from loadtest.canary.counts import Pair, Scrape
from loadtest.canary.live_evidence import Watch
from loadtest.canary.live_gates import check, check_feedback, told_along
from loadtest.data.dataset import Dataset
from loadtest.errors import GateError
from loadtest.experiment.experiment import Data, Experiment
from loadtest.experiment.gate import Gate

GATE = Gate.parse("agreement >= 99%")
ALPHA, SURE = 0.05, 0.05 / 3
SAME, OTHER, NONE = Pair(["yes"], ["yes"]), Pair(["yes"], ["no"]), Pair(["yes"], None)


def evidence_of(pairs):
    test = AgreementTest(GATE, ALPHA, SURE)
    test.add(pairs)
    return test


def experiment(gates, rollback=("error_rate <= stable",), shadow="5m"):
    changes = {"rollback": list(rollback), "shadow": shadow}
    return Experiment.load_file("canary", {"canary": changes}, gates=list(gates))


@pytest.mark.parametrize(
    ("alike", "other", "shown", "alarmed", "failed"),
    [
        # with all alike, 99% is shown by some hundred users and not by fewer
        (300, 0, False, False, False),
        (500, 0, True, False, False),
        # at the bound neither is
        (9900, 100, False, False, False),
        (9990, 10, True, False, False),
        # below it an alarm comes first
        (94, 6, False, True, False),
        (90, 10, False, True, True),
    ],
)
def test_a_share_is_shown_or_refuted(alike, other, shown, alarmed, failed):
    test = evidence_of([SAME] * alike + [OTHER] * other)
    assert (test.shown >= 1, test.alarmed, test.failed) == (shown, alarmed, failed)
    assert test.text == f"agreement: {alike / (alike + other):.2%} of {alike + other:,} users"


def test_before_the_first_pair_nothing_is_known():
    test = evidence_of([])
    assert (test.shown, test.evidence, test.failed, test.interval) == (0.0, 0.0, False, None)
    assert test.text == "agreement: no answers compared"


def test_looking_all_the_time_decides_on_a_candidate_at_the_bound_no_oftener_than_promised():
    rng = np.random.default_rng(5)
    gate, shown, failed = Gate.parse("agreement >= 90%"), 0, 0
    for alike in rng.random((100, 50, 5)) < 0.9:
        test, seen = AgreementTest(gate, ALPHA, SURE), [False, False]
        for few in alike:
            test.add([SAME if one else OTHER for one in few])
            seen = [seen[0] or test.shown >= 1, seen[1] or test.failed]
        shown, failed = shown + seen[0], failed + seen[1]
    # of 100 runs, 5% give 11 or more in 1% of cases, 1.7% give 6
    assert shown <= 10
    assert failed <= 5


def test_answers_that_do_not_come_count_as_different_and_a_burst_of_them_for_less():
    steady, burst = AgreementTest(GATE, ALPHA, SURE), AgreementTest(GATE, ALPHA, SURE)
    for second in range(60):
        steady.add([SAME] * 49 + [NONE])
        burst.add([NONE] * 50 if second == 30 else [SAME] * 50)
    assert (steady.failed, burst.failed) == (True, False)
    assert (steady.text, burst.text) == (
        "agreement: 98.00% of 3,000 users", "agreement: 98.33% of 3,000 users",
    )  # fmt: skip


@pytest.mark.parametrize("offset", [0.0, 1.7e15])
def test_numbers_are_compared_by_the_spread_of_stables(offset):
    # 0 to 49: their spread is about 14, and 0.1% of that 0.014
    agreement = Agreement()
    values = [offset + value for value in range(SPREAD_FROM)]
    near, far = (0.005, 0.1) if offset == 0 else (0.0, 1000.0)
    agreement.add([Pair([value], [value + near]) for value in values[:-1]])
    # how far they spread is not known yet
    assert agreement.trials == 0
    agreement.add([Pair(values[-1:], [values[-1] + far])])
    assert (agreement.alike, agreement.trials) == (SPREAD_FROM - 1, SPREAD_FROM)
    # and what comes later is held against it, too
    agreement.add([Pair([offset + 20], [offset + 20 + far])])
    assert (agreement.alike, agreement.trials) == (SPREAD_FROM - 1, SPREAD_FROM + 1)


def named(stable, candidate):
    return Pair([stable], [candidate], named=True)


@pytest.mark.parametrize(
    ("before", "near"),
    [
        # whoever sends far numbers first, before the others or among them
        ([[Pair([1e6 * (i % 2)], [1e6 * (i % 2)]) for i in range(50)]], 0.001),
        ([[Pair([1e6 * (i % 2)], [1e6 * (i % 2)]) for i in range(5000)]], 0.001),
        # or the same one again and again, where others' are no whole digits apart
        ([[Pair([0.0], [0.0])] * 50, [Pair([0.0], [0.0])] * 50], 0.001),
        # many rows of one request are one
        ([[Pair([1e6, 0.0] * 500, [1e6, 0.0] * 500, named=True)]], 0.001),
    ],
    ids=["far", "very often", "equal", "many rows"],
)
def test_no_stranger_says_what_counts_as_alike(before, near):
    agreement = Agreement()
    for few in before:
        agreement.add(few)
    agreement.add([named(100.0 + i % 20, 100.0 + i % 20) for i in range(100)])
    alike, trials = agreement.alike, agreement.trials
    assert alike == trials > 100
    agreement.add([named(100.0 + i % 20, 101.0 + i % 20) for i in range(100)])
    agreement.add([named(100.0 + i % 20, 100.0 + near + i % 20) for i in range(100)])
    assert (agreement.alike - alike, agreement.trials - trials) == (100, 200)


def test_numbers_that_do_not_differ_wait_and_then_the_last_digits_do_not_count():
    agreement = Agreement()
    agreement.add([named(1000.0, 1000.0001)] * (SPREAD_OF - 1))
    assert (agreement.alike, agreement.trials) == (0, 0)
    agreement.add([named(1000.0, 1001.0)])
    assert (agreement.alike, agreement.trials) == (SPREAD_OF - 1, SPREAD_OF)


def test_the_watch_asks_in_the_shadow_only():
    watch = Watch(experiment(["agreement >= 99%", "error_rate <= stable + 1pp"], ["agreement >= 95%"]))
    watch.enter(0.0, 50, shadow=True)
    watch.add(Scrape(1.0, pairs=[SAME] * 60 + [OTHER] * 40))
    evidence = watch.evidence()
    assert [(alarm.gate, alarm.finding) for alarm in evidence.alarms] == [("agreement >= 95%", "fail")]
    assert [(proof.gate, proof.in_shadow) for proof in evidence.proofs] == [
        ("error_rate <= stable + 1pp", False), ("agreement >= 99%", True),
    ]  # fmt: skip
    (interval, _) = evidence.intervals
    assert interval.low < 0.4 < interval.high
    assert interval.margin == pytest.approx(0.05)
    watch.enter(1.0, 5)
    assert (watch.evidence().alarms, len(watch.evidence().proofs)) == ((), 1)


@pytest.mark.parametrize(
    ("gates", "shadow", "message"),
    [
        (["agreement >= 99%"], "0s", r"only the shadow .* set \[canary\] shadow, such as '5m'"),
        (["agreement[city=Rome] >= 99%"], "5m", "leave the slice out"),
        (
            ["agreement@101 >= 99%"],
            "5m",
            "the servers tell the first 100 items of a list; write agreement@100",
        ),
        (["agreement[scores=0.1] >= 99%"], None, r"set \[canary\] shadow"),
        (["score_shift[0.9] <= 0.1"], None, r"set \[canary\] shadow"),
    ],
)
def test_what_the_shadow_cannot_show_is_refused_before_the_start(gates, shadow, message):
    with pytest.raises(GateError, match=message):
        check(experiment(gates, shadow=shadow))
    with pytest.raises(GateError, match=message):
        check(experiment(["error_rate <= stable + 1pp"], gates, shadow))


def test_a_canary_without_labels_is_accepted():
    check(experiment(["agreement >= 99.5%"], ["error_rate <= stable", "agreement >= 99%"]))


def test_gates_by_feedback_need_labels_and_others_do_not(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("age\n41\n42\n")
    rows = Dataset.read(Data(path=path))
    check_feedback(experiment(["agreement >= 99%"]), rows)
    with pytest.raises(GateError, match=r"accuracy needs labels, and .*rows.csv has no column 'bought'"):
        check_feedback(experiment(["agreement >= 99%"], ["accuracy >= stable"]), rows)


def test_a_quantile_of_how_far_values_moved_is_a_share_of_those_within():
    gate = Gate.parse("score_shift[0.9] <= 5")
    changes = {"rollback": ["error_rate <= stable"], "shadow": "5m"}
    given = {"canary": changes, "data": {"task": "regression"}}
    check(Experiment.load_file("canary", given, gates=[str(gate)]))
    within, beyond = Pair([10.0], [15.0]), Pair([10.0], [4.9])
    for pairs, shown, failed in (
        ([within] * 90 + [beyond], True, False),
        ([within] * 60 + [beyond] * 30, False, True),
        # no answer moved as far as any
        ([within] * 60 + [Pair([10.0], None)] * 30, False, True),
    ):
        test = AgreementTest(gate, ALPHA, SURE, "regression")
        for second in range(9):
            # steadily: all at once they would be a burst
            test.add(pairs[second::9])
        assert (test.shown >= 1, test.failed) == (shown, failed)
    assert test.text == "score_shift: 66.67% of 90 users within 5"


def scored(stable, candidate, labels=("yes", "yes")):
    """A trial of one row: the probability of a class by both versions; None: it told none."""
    both = [None if p is None else np.array([[1 - p, p]], np.float32) for p in (stable, candidate)]
    return Pair([labels[0]], None if labels[1] is None else [labels[1]], scores=tuple(both))


def listed(stable, candidate):
    lists = [None if text is None else [list(text)] for text in (stable, candidate)]
    return Pair(["a"], ["a"], rankings=tuple(lists))


@pytest.mark.parametrize(
    ("gate", "pair", "share"),
    [
        ("agreement[scores=0.1] >= 99%", scored(0.5, 0.6), 1.0),
        ("agreement[scores=0.1] >= 99%", scored(0.5, 0.61), 0.0),
        # the same scores and another label: somebody set another threshold
        ("agreement[scores=0.1] >= 99%", scored(0.5, 0.5, ("yes", "no")), 0.0),
        # the candidate told none, or did not answer
        ("agreement[scores=0.1] >= 99%", scored(0.5, None), 0.0),
        ("agreement[scores=0.1] >= 99%", scored(0.5, None, ("yes", None)), 0.0),
        # before the servers were asked for scores, stable told none: that is no trial
        ("agreement[scores=0.1] >= 99%", scored(None, 0.5), None),
        ("score_shift[0.9] <= 0.1", scored(0.5, 0.45, ("yes", "no")), 1.0),
        ("score_shift[0.9] <= 0.1", scored(0.5, 0.3), 0.0),
        ("agreement@2 >= 90%", listed("abc", "bad"), 1.0),
        ("agreement@2 >= 90%", listed("abc", "axy"), 0.5),
        # the longer of two short lists counts as whole
        ("agreement@3 >= 90%", listed("a", "ab"), 0.5),
        ("agreement@3 >= 90%", listed("", ""), 1.0),
        ("agreement@3 >= 90%", listed("abc", None), 0.0),
        ("agreement@3 >= 90%", listed(None, "abc"), None),
    ],
)
def test_scores_and_lists_that_are_alike(gate, pair, share):
    test = AgreementTest(Gate.parse(gate), ALPHA, SURE)
    test.add([pair])
    if share is None:
        assert test.text.endswith("no answers compared")
    else:
        assert f": {share:.2%} of 1 users" in test.text


def test_a_row_of_several_counts_for_its_part_and_shows_what_holds():
    rows = np.array([[0.1, 0.9], [0.2, 0.8]], np.float32)
    half = Pair(["a", "a"], ["a", "a"], scores=(rows, rows + np.array([[0], [0.5]], np.float32)))
    test = AgreementTest(Gate.parse("score_shift[0.4] <= 0.1"), ALPHA, SURE)
    test.add([half])
    assert test.text == "score_shift: 50.00% of 1 users within 0.1"
    test.add([scored(0.5, 0.55)] * 400)
    assert (test.shown >= 1, test.failed) == (True, False)


@pytest.mark.parametrize(
    ("gates", "asked"),
    [
        (["agreement >= 99%"], ()),
        (["agreement[scores=0.1] >= 99%"], ("scores",)),
        (["score_shift[0.9] <= 0.1", "agreement@5 >= 90%"], ("scores", "ranking")),
    ],
)
def test_the_servers_are_asked_for_what_gates_compare(gates, asked):
    given = experiment(gates)
    check(given)
    assert told_along(given) == asked
