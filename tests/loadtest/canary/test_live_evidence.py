"""Scrapes become evidence: on traffic whose truth is known."""

import numpy as np
import pytest

from contract.arms import BODY_CLASSES
from loadtest.canary.counts import Counts, Scrape
from loadtest.canary.latency_tests import LatencyTest
from loadtest.canary.live_evidence import Watch
from loadtest.canary.live_gates import check
from loadtest.canary.share_tests import Bursts
from loadtest.canary.time_windows import Windows
from loadtest.canary.user_spread import Spread
from loadtest.errors import GateError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.gate import Gate

EDGES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]


def experiment(gates=("accuracy >= stable - 2pp",), rollback=("error_rate <= stable", "accuracy >= stable")):
    return Experiment.load_file("canary", {"canary": {"rollback": list(rollback)}}, gates=list(gates))


def scrapes(rng, seconds, split=10, rate=200, errors=(0.005, 0.005), wrong=(0.2, 0.2), begin=1):
    for second in range(begin, begin + seconds):
        counts = {}
        for i, role in enumerate(("stable", "candidate")):
            n = int(rng.poisson(rate * (split / 100 if i else 1 - split / 100)))
            counts[role] = Counts(n, rng.binomial(n, errors[i]), n, rng.binomial(n, wrong[i]))
        yield Scrape(float(second), counts)


def watched(seconds=60, split=10, made=None, **traffic):
    watch = Watch(made or experiment())
    watch.enter(0.0, split)
    for scrape in scrapes(np.random.default_rng(1), seconds, split, **traffic):
        watch.add(scrape)
    return watch.evidence()


def findings(evidence):
    return {alarm.gate.split()[0]: alarm.finding for alarm in evidence.alarms}


def test_equal_versions_are_quiet_and_their_evidence_grows_with_the_margin():
    evidence = watched(seconds=100)
    assert findings(evidence) == {"error_rate": "quiet", "accuracy": "quiet"}
    (proof,) = evidence.proofs
    # 2 points of all users: at 1% of the traffic nothing that a candidate can do exceeds them
    assert proof.shown[0] == 1.0
    # of the steps that are still to come, each needs more than the one before
    assert list(proof.shown[3:]) == sorted(proof.shown[3:], reverse=True)
    assert proof.shown[3] == 1.0 > proof.shown[5] > 0


@pytest.mark.parametrize(
    ("traffic", "gate", "finding"),
    [
        ({"errors": (0.005, 0.05), "seconds": 12}, "error_rate", "alarm"),
        ({"wrong": (0.2, 0.3)}, "accuracy", "alarm"),
        # half of the requests: no burst explains that
        ({"errors": (0.005, 0.5), "seconds": 4}, "error_rate", "fail"),
        # far better is not worse
        ({"errors": (0.05, 0.0), "wrong": (0.3, 0.1)}, "error_rate", "quiet"),
    ],
)
def test_harm_is_found(traffic, gate, finding):
    assert findings(watched(**({"seconds": 30} | traffic)))[gate] == finding


@pytest.mark.parametrize(
    ("traffic", "error_rate", "accuracy"),
    [
        # as good as stable: both intervals hold it, and are on neither side
        ({}, 0.0, 0.0),
        ({"errors": (0.005, 0.055)}, 0.05, 0.0),
        ({"wrong": (0.3, 0.2)}, 0.0, -0.1),
    ],
)
def test_intervals_hold_the_truth_and_close_in(traffic, error_rate, accuracy):
    gates = {"error_rate <= stable": error_rate, "accuracy >= stable - 2pp": accuracy}
    early, late = (
        {one.gate: one for one in watched(seconds=seconds, split=50, **traffic).intervals}
        for seconds in (10, 100)
    )
    for gate, truth in gates.items():
        assert late[gate].low <= truth <= late[gate].high
        assert late[gate].high - late[gate].low < 0.6 * (early[gate].high - early[gate].low)
    assert late["accuracy >= stable - 2pp"].margin == 0.02


def test_before_both_versions_have_answered_there_is_no_interval():
    assert watched(seconds=0).intervals == ()
    assert watched(seconds=5, split=0).intervals == ()


def test_a_little_more_errors_for_long_enough_is_proof():
    evidence = watched(seconds=200, errors=(0.005, 0.02))
    assert findings(evidence)["error_rate"] == "fail"


def test_after_an_alarm_the_bets_begin_anew():
    watch = Watch(experiment())
    watch.enter(0.0, 10)
    for scrape in scrapes(np.random.default_rng(1), 12, errors=(0.005, 0.05)):
        watch.add(scrape)
    assert findings(watch.evidence())["error_rate"] == "alarm"
    watch.enter(12.0, 1, again=True)
    assert findings(watch.evidence())["error_rate"] == "quiet"


def test_answers_are_counted_from_the_step_on():
    watch = Watch(experiment())
    watch.enter(0.0, 10)
    watch.add(Scrape(1.0, {"stable": Counts(90), "candidate": Counts(10)}))
    watch.enter(1.0, 25)
    assert watch.evidence().answers == 0
    watch.add(Scrape(2.0, {"stable": Counts(75), "candidate": Counts(25)}))
    assert watch.evidence().answers == 25


def test_health_and_silence():
    watch = Watch(experiment())
    watch.enter(0.0, 10)
    for second in (1.0, 2.0, 3.0):
        watch.add(
            Scrape(
                second, ready={"stable": True, "candidate": second == 1.0}, missing=frozenset({"candidate"})
            )
        )
    evidence = watch.evidence()
    assert evidence.misses == {"stable": 0, "candidate": 2}
    assert evidence.silent == {"gateway": 0.0, "stable": 0.0, "candidate": 3.0}
    watch.add(Scrape(4.0))
    assert watch.evidence().misses["candidate"] == 0
    assert watch.evidence().silent["candidate"] == 0


@pytest.mark.parametrize(
    ("gates", "rollback", "message"),
    [
        (["f1 >= stable - 1pp"], ["error_rate <= stable"], "f1 cannot be followed live"),
        (["accuracy[segment=new] >= stable - 1pp"], ["error_rate <= stable"], "leave the slice out"),
        (["accuracy >= stable - 1pp"], ["error_rate <= 1%"], "compared with stable's"),
        # equality can be refuted and never shown
        (["accuracy >= stable"], ["accuracy >= stable"], "leave a margin"),
    ],
)
def test_gates_that_live_traffic_cannot_answer_are_refused(gates, rollback, message):
    with pytest.raises(GateError, match=message.replace("[", r"\[")):
        check(experiment(gates, rollback))


def test_the_bundled_experiment_can_be_followed():
    check(Experiment.load_file("canary"))


class TestBursts:
    def test_independent_outcomes_keep_their_counts(self):
        rng, bursts = np.random.default_rng(2), Bursts()
        for _ in range(300):
            _, trials = bursts.scale(rng.binomial([20, 180], 0.01).tolist(), [20, 180])
        assert bursts.correlation < 0.005
        assert trials[1] > 90

    def test_errors_that_come_together_count_for_less(self):
        rng, bursts = np.random.default_rng(2), Bursts()
        for _ in range(3000):
            bursts.scale([rng.binomial(20, 0.1) * (rng.random() < 0.05), 0], [20, 0])
        # pairs of hits: 0.05 * 0.1^2 of all pairs, where chance gives 0.005^2
        assert bursts.correlation == pytest.approx((0.05 * 0.01 - 0.005**2) / 0.005, rel=0.3)
        hits, trials = bursts.scale([10, 0], [20, 0])
        assert hits[0] / trials[0] == pytest.approx(0.5)
        assert trials[0] < 15

    def test_nothing_seen_is_no_correlation(self):
        assert Bursts().scale([0, 0], [0, 0]) == ([0, 0], [0, 0])


class TestWindows:
    def test_a_window_takes_its_time_and_enough_trials(self):
        windows = Windows(10)
        ended = [windows.add(float(at), [3, 1], trials=(0,)) for at in range(24)]
        # what came before the first scrape belongs to none; 10 s are enough for 30 trials
        assert [(at, e) for at, e in enumerate(ended) if e] == [(10, [30, 10]), (20, [30, 10])]

    def test_few_trials_make_it_longer(self):
        windows = Windows(10)
        ended = [windows.add(float(at), [1], trials=(0,)) for at in range(30)]
        assert [at for at, e in enumerate(ended) if e] == [20]


def slower(rng, n, scale):
    latencies = rng.lognormal(np.log(0.03 * scale), 0.5, n)
    return [float(np.sum(latencies > edge)) for edge in EDGES]


def counted(groups, large=()):
    """What is counted of groups of users, one row each; ``large``: of their large requests, likewise."""
    sizes = np.zeros((8, BODY_CLASSES, len(groups[0])))
    sizes[:, 1] = groups
    if len(large):
        sizes[:, -1] = large
    timed, *beyond = sizes.sum(axis=(0, 1)).tolist()
    return Counts(timed=timed, slower=beyond, groups=sizes.tolist())


def tails(gate, scale, split=50, seconds=300, rate=200, strangers=(), large=None):
    """``strangers``: of each the arm, requests per second and whether they are slow.

    ``large``: per arm the slow requests per second of each group whose bodies are larger than others.
    """
    rng, followed = np.random.default_rng(3), LatencyTest(Gate.parse(gate), 0.05, 10, Spread())
    n = int(rate * split / 100)
    for at in range(seconds):
        counts = {}
        for arm, requests, factor in (("stable", rate - n, 1), ("candidate", n, scale)):
            of_each = np.bincount(rng.integers(0, 8, requests), minlength=8)
            groups = [[float(size), *slower(rng, size, factor)] for size in of_each]
            for number, (whose, more, slow) in enumerate(strangers):
                if whose == arm:
                    theirs = [more, *[more * slow] * len(EDGES)]
                    groups[number] = [a + b for a, b in zip(groups[number], theirs, strict=True)]
            more = (large or {}).get(arm, 0)
            counts[arm] = counted(groups, [[more] * (1 + len(EDGES))] * 8)
        followed.add(float(at), counts, split, EDGES)
    return followed


class TestTails:
    @pytest.mark.parametrize(
        ("gate", "scale", "split", "failed", "shown"),
        [
            ("p95 <= stable + 100%", 1.0, 50, False, True),
            ("p95 <= stable + 100%", 6.0, 50, True, False),
            # faster because it has little to do: that shows nothing, but being slow all the same does
            ("p95 <= stable + 100%", 1.0, 10, False, False),
            ("p95 <= stable + 100%", 6.0, 10, True, False),
            # slower because it has most to do: that refutes nothing, but being fast all the same shows it
            ("p95 <= stable + 100%", 6.0, 90, False, False),
            ("p95 <= stable + 100%", 1.0, 90, False, True),
            ("p95 <= stable + 100ms", 6.0, 50, True, False),
            # an absolute bound holds at every split
            ("p95 <= 200ms", 1.0, 90, False, True),
            ("p95 <= 200ms", 6.0, 90, True, False),
            ("p95 <= 200ms", 6.0, 10, True, False),
        ],
    )
    def test_windows_decide(self, gate, scale, split, failed, shown):
        followed = tails(gate, scale, split)
        assert (followed.failed, followed.shown) == (failed, shown)
        # and the intervals lie where the decisions say
        assert failed == (followed.interval(slow=True) is not None and followed.interval(slow=True)[0] > 0)
        assert shown == (followed.interval(slow=False) is not None and followed.interval(slow=False)[1] < 0)

    @pytest.mark.parametrize(
        ("gate", "scale", "strangers", "failed", "shown"),
        [
            # equal: one user who is slow at the candidate does not evict it, however often
            ("p95 <= stable + 100%", 1.0, [("candidate", 10, True)], False, True),
            ("p95 <= stable + 100%", 1.0, [("candidate", 1000, True)], False, True),
            ("p95 <= 200ms", 1.0, [("candidate", 1000, True)], False, True),
            # nor one who is fast at stable, and makes its tail thin
            ("p95 <= stable + 100%", 1.0, [("stable", 1000, False)], False, True),
            # slow: one user who is fast at the candidate, or slow at stable, does not hide it
            ("p95 <= stable + 100%", 6.0, [("candidate", 1000, False)], True, False),
            ("p95 <= 200ms", 6.0, [("candidate", 1000, False)], True, False),
            ("p95 <= stable + 100%", 6.0, [("stable", 1000, True)], True, False),
            # many users can: that is what a canary goes by
            ("p95 <= stable + 100%", 1.0, [("candidate", 10, True)] * 8, True, False),
            ("p95 <= 200ms", 6.0, [("candidate", 1000, False)] * 8, False, True),
        ],
    )
    def test_one_user_decides_nothing(self, gate, scale, strangers, failed, shown):
        followed = tails(gate, scale, strangers=strangers)
        assert (followed.failed, followed.shown) == (failed, shown)

    @pytest.mark.parametrize(
        ("gate", "scale", "large", "failed", "shown"),
        [
            # equal: names of all groups in one arm, with rows that take long, evict nobody
            ("p95 <= stable + 100%", 1.0, {"candidate": 2}, False, True),
            ("p95 <= 200ms", 1.0, {"candidate": 2}, False, True),
            # slow: and hide nothing
            ("p95 <= stable + 100%", 6.0, {"stable": 2}, True, False),
            # equal: where both arms get them, they count; they are beyond the last edge, which shows nothing
            ("p95 <= stable + 100%", 1.0, {"candidate": 2, "stable": 2}, False, False),
            ("p95 <= 200ms", 1.0, {"candidate": 2, "stable": 2}, True, False),
        ],
    )
    def test_large_requests_of_one_arm_decide_nothing(self, gate, scale, large, failed, shown):
        followed = tails(gate, scale, large=large)
        assert (followed.failed, followed.shown) == (failed, shown)
        assert {arm: followed.left_out(arm) > 0.1 for arm in large} == dict.fromkeys(large, len(large) == 1)

    def test_who_is_left_out_is_shown(self):
        watch = Watch(experiment(rollback=("p95 <= 200ms",)))
        watch.enter(0.0, 50)
        groups = [[10, 0, 0]] * 6
        counts = {"stable": counted([*groups, [9, 0, 0], [10, 1, 0]])}
        counts["candidate"] = counted([*groups, [9, 0, 0], [90, 80, 80]])
        for at in (1.0, 2.0):
            watch.add(Scrape(at, counts, (0.01, 0.5)))
        (alarm,) = watch.evidence().alarms
        assert alarm.text.startswith("p95: stable 10 ms, candidate 10 ms (500 ms with those left out)")

    def test_nothing_is_decided_before_the_tenth_window(self):
        early = tails("p95 <= 200ms", 20.0, seconds=100)
        assert (early.failed, early.interval(slow=True)) == (False, None)
        assert tails("p95 <= 200ms", 20.0, seconds=101).failed

    def test_the_values_are_those_of_the_edges(self):
        followed = tails("p95 <= 200ms", 6.0)
        assert followed.value("stable") == 0.1  # p95 is 68 ms
        assert followed.value("candidate") == 0.5  # p95 is 409 ms

    def test_without_a_histogram_it_says_nothing(self):
        followed = LatencyTest(Gate.parse("p99 <= 200ms"), 0.05, 10, Spread())
        for at in range(300):
            followed.add(float(at), {"stable": Counts(90), "candidate": Counts(10)}, 10, ())
        assert not followed.failed
        assert followed.value("stable") is None
