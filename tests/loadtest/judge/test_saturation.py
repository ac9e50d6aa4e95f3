"""A version slower than the rate: its backlog grows, and that is the reason."""

from dataclasses import replace

import numpy as np
import pytest

from loadtest.judge.gate_test import decide
from loadtest.judge.judge import judge, judge_gates
from loadtest.judge.live_view import LiveView
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.saturation import growth, hopeless
from loadtest.judge.significance import Level
from loadtest.judge.verdict import Word
from tests.loadtest.judge.test_judge import Arm, Run

SECONDS, RATE, BLOCKS = 120.0, 50.0, 24


def queue(
    rng, service: float, timeout: float, rate: float = RATE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poisson arrivals at one server with exponential service times; what is given up is served all the same.

    Returns:
        Arrivals, latencies (no longer than the time-out), and which were given up.
    """
    at = np.sort(rng.uniform(0, SECONDS, round(SECONDS * rate)))
    free, done = 0.0, np.empty(len(at))
    for i, (arrival, work) in enumerate(zip(at, rng.exponential(service, len(at)), strict=True)):
        # a request that has been given up costs nothing when its turn comes
        if max(free, arrival) - arrival < timeout:
            free = max(free, arrival) + work
            done[i] = free
        else:
            done[i] = arrival + timeout
    latency = np.minimum(done - at, timeout)
    return at, latency, done - at >= timeout


def outcomes(at, latency, failed) -> Outcomes:
    base = Run(arrivals=len(at), rows=len(at), seconds=SECONDS).gather().evidence.stable
    return replace(base, scheduled_at=at, latency=latency, failed=failed, correct=base.correct & ~failed)


@pytest.mark.parametrize(
    ("service", "timeout", "grows"),
    [
        # 45 of 50 a second are served; they wait longer and longer
        (1 / 45, 600.0, (3.0, 7.0)),
        # or are given up after two seconds, some of them while they are served
        (1 / 45, 2.0, (6.0, 12.0)),
        (1 / 10, 2.0, (40.0, 50.0)),
        # half of what it could serve, and nearly all
        (1 / 100, 2.0, None),
        (1 / 55, 2.0, None),
        (1 / 55, 600.0, None),
    ],
)
def test_the_backlog_grows_by_what_is_not_served(service, timeout, grows):
    found = growth(outcomes(*queue(np.random.default_rng(1), service, timeout)), SECONDS, BLOCKS, timeout)
    low, high = found.interval(0.05)
    if grows is None:
        assert low <= 0.5
    else:
        assert 0.5 < low < found.value < high
        assert grows[0] < found.value < grows[1]


def test_a_server_that_keeps_up_is_rarely_called_over_saturated():
    rng, runs = np.random.default_rng(2), 100
    steady = [growth(outcomes(*queue(rng, 1 / 60, 2.0)), SECONDS, BLOCKS, 2.0) for _ in range(runs)]
    assert sum(one.interval(0.05)[0] > 0.01 * RATE for one in steady) <= 0.05 * runs


def made(service: float, gates, timeout: float = 2.0, role: str = "candidate"):
    run = Run(
        arrivals=round(SECONDS * RATE), rows=round(SECONDS * RATE), seconds=SECONDS, gates=gates
    ).gather()
    at, latency, failed = queue(np.random.default_rng(3), service, timeout)
    both = {name: replace(getattr(run.evidence, name), scheduled_at=at) for name in ("stable", "candidate")}
    slow = both[role]
    both[role] = replace(slow, latency=latency, failed=failed, correct=slow.correct & ~failed)
    return replace(run, evidence=replace(run.evidence, **both))


def judged(service: float, gates, timeout: float = 2.0, role: str = "candidate"):
    return judge(made(service, gates, timeout, role))


LATENCY = "p99 <= stable + 100ms"


@pytest.mark.parametrize(
    ("service", "gate", "word", "said"),
    [
        (1 / 45, LATENCY, Word.FAIL, True),
        (1 / 45, "goodput >= stable - 1%", Word.FAIL, True),
        (1 / 45, "error_rate <= stable + 0.5pp", Word.FAIL, True),
        # slow, and yet it keeps up
        (1 / 60, "p50 <= stable + 10ms", Word.FAIL, False),
        # what is met needs no reason
        (1 / 45, "throughput >= 5/s", Word.PASS, False),
    ],
)
def test_gates_that_are_not_met_say_so(service, gate, word, said):
    verdict = judged(service, (gate,))
    assert verdict.verdict is word
    text = "over-saturated at this rate: the candidate's backlog grows by"
    assert (text in verdict.gates[0].reason) is said
    assert verdict.reason.count(text) == said


def test_quality_is_not_blamed_on_the_rate_and_stable_is_named_too():
    gates = ("accuracy >= stable - 1pp", LATENCY)
    slow = judged(1 / 45, gates)
    assert "over-saturated" not in slow.gates[0].reason
    stable = judged(1 / 45, ("p50 <= 0.1ms", "p95 <= 0.1ms"), role="stable")
    # the figures once, as they are the same for all
    for gate, figures in zip(stable.gates, (True, False), strict=True):
        assert gate.verdict is not Word.PASS
        assert ("over-saturated at this rate: stable's backlog grows" in gate.reason) is figures
        assert ("over-saturated at this rate: lower the rate or give" in gate.reason) is not figures
        assert gate.reason.endswith("lower the rate or give it more CPU")


def test_short_runs_and_failures_without_a_queue_are_no_backlog():
    assert growth(Run().gather().evidence.stable, 60.0, 5, 2.0) is None
    failing = Run(candidate=Arm(errors=0.3, fast_errors=True), gates=("error_rate <= 1%",)).judge()
    assert failing.verdict is Word.FAIL
    assert "over-saturated" not in failing.reason


@pytest.mark.parametrize(
    ("service", "gate", "ends"),
    [
        # whatever is left over waits longer and longer
        (1 / 45, LATENCY, True),
        # it keeps up
        (1 / 60, "p99 <= 1ms", False),
        # what is met, or has nothing to do with a backlog, is worth more load
        (1 / 45, "throughput >= 5/s", False),
        (1 / 45, "accuracy >= stable", False),
    ],
)
def test_a_run_that_waits_for_a_decision_ends_where_a_backlog_grows(service, gate, ends):
    run = made(service, (gate,))
    why = hopeless(judge_gates(run).gates, run)
    assert (why is not None) is ends
    view = LiveView(60.0, False, (), why)
    assert view.over is ends
    assert ("saturated" in view.event()) is ends


def test_a_run_that_ended_early_says_why():
    run = made(1 / 45, ("p50 <= stable + 7s",), timeout=600.0)
    load = run.experiment.load.model_copy(update={"until_decided": True, "duration": 600.0, "timeout": 600.0})
    facts = run.facts.model_copy(update={"load": run.facts.load.model_copy(update={"duration_s": SECONDS})})
    early = replace(run, experiment=run.experiment.model_copy(update={"load": load}), facts=facts)
    reason = judge(early).reason
    assert "over-saturated at this rate: the candidate's backlog" in reason
    assert "ended after 120 s, as more load would not change that" in reason


@pytest.mark.parametrize(
    "gate",
    [
        # its interval holds the margin
        "error_rate <= stable + 12pp",
        # too few samples lie beyond the quantile
        "p9999 <= 1900ms",
    ],
)
def test_no_more_load_is_asked_for_where_a_backlog_grows(gate):
    run = made(1 / 45, (gate,))
    alone = decide(run.experiment.gates[0], run, Level(run.alpha))
    assert "more requests" in alone.result.reason
    assert alone.seconds
    verdict = judge(run)
    assert verdict.verdict is Word.INCONCLUSIVE
    for reason in (verdict.reason, verdict.gates[0].reason):
        assert "over-saturated at this rate: the candidate's backlog" in reason
        assert "more requests" not in reason


def test_a_version_that_answers_nothing_is_down_and_not_saturated():
    # every request waits for the time-out
    run = made(1 / 45, (LATENCY, "error_rate <= stable + 1pp"))
    candidate = run.evidence.candidate
    down = np.ones(len(candidate), dtype=bool)
    dead = replace(candidate, failed=down, latency=np.full(len(down), 2.0), correct=~down)
    verdict = judge(replace(run, evidence=replace(run.evidence, candidate=dead)))
    assert verdict.verdict is Word.FAIL
    assert "over-saturated" not in str(verdict)


def test_a_longer_run_is_no_advice_where_a_backlog_grows():
    # it fails on its own, not among the gates that are met
    gates = ("error_rate <= stable + 11pp", *(f"throughput >= {i}/s" for i in range(1, 30)))
    verdict = judged(1 / 45, gates)
    assert verdict.verdict is Word.INCONCLUSIVE
    assert "not proven after Holm's correction; over-saturated" in verdict.reason


def test_a_run_says_once_that_a_version_is_over_saturated():
    # the first gate has the figures and is open, the second one fails
    verdict = judged(1 / 45, ("p9999 <= 1900ms", "p50 <= stable + 1s"))
    assert verdict.verdict is Word.FAIL
    assert verdict.reason.count("over-saturated") == 1
    assert "the candidate's backlog grows by" in verdict.reason
