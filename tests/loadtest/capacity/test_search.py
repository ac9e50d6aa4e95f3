"""The search against queues whose capacity is known: accurate, honest about it, and cheaper than a sweep."""

import numpy as np
import pytest

from benchmarks.capacity.queues import QUEUES, sweep_requests
from loadtest.capacity.search import Plan, Search, Trial

RUNS = 30


def search(trial, plan=None):
    """Run a whole search; ``trial(rate, seconds)`` gives what a trial shows."""
    searching = Search(plan or Plan())
    while (step := searching.next()) is not None:
        searching.add(trial(step.rate, step.seconds))
    return searching


BARS = {"M/D/1, 5 ms": 0.9, "M/G/1, log-normal 4 ms": 0.75, "CPU quota 25 ms in 100 ms, 1 ms": 0.9}
"""Share of searches whose answer is within 5% of the truth. Where service times vary, late answers come in
longer bursts: the interval is then wider, and says so."""


@pytest.mark.parametrize("queue", [q for q in QUEUES if q.name in BARS], ids=lambda q: q.name)
def test_the_interval_covers_and_the_answer_is_close(queue):
    # a quota is simulated request by request; 100,000 of them find its capacity within 0.5%
    slow = queue.quota is not None
    truth = queue.capacity(arrivals=100_000 if slow else 400_000)
    answers = []
    for run in range(RUNS // 3 if slow else RUNS):
        rng = np.random.default_rng(1000 + run)
        answers.append(search(lambda rate, seconds, rng=rng: queue.trial(rate, seconds, rng)).answer())
    covered = np.mean([a.low <= truth <= a.high for a in answers])
    close = np.mean([abs(a.rate / truth - 1) <= 0.05 for a in answers])
    requests = np.mean([a.requests for a in answers]) / sweep_requests(truth)
    print(f"{queue.name}: covered {covered:.0%}, within 5% {close:.0%}, {requests:.2f} of a sweep's requests")
    assert covered >= 0.9
    assert close >= BARS[queue.name]
    assert requests <= 1 / 3


@pytest.mark.parametrize("start", [1.0, 50.0, 5000.0])
def test_any_start_leads_there(start):
    queue, rng = QUEUES[0], np.random.default_rng(5)
    found = search(lambda rate, seconds: queue.trial(rate, seconds, rng), Plan(start=start)).answer()
    assert found.rate == pytest.approx(queue.capacity(), rel=0.08)


def test_a_version_that_never_meets_the_objective_has_no_capacity():
    found = search(lambda rate, seconds: Trial(rate, 300, 300, 300)).answer()
    assert (found.rate, found.low) == (None, 0.0)
    assert not found.precise


def test_a_version_that_nothing_overloads_has_a_lower_bound_only():
    found = search(
        lambda rate, seconds: Trial(rate, round(rate * seconds), 0, 0), Plan(most_trials=8)
    ).answer()
    assert found.high == float("inf")
    assert found.rate == pytest.approx(50 * 2**7)


def test_an_overload_is_never_met_whatever_was_measured_until_then():
    assert not Trial(100, 300, 0, 0, overloaded=True).meets(Plan())


def test_more_confidence_is_a_wider_interval_around_the_same_answer():
    queue, rng = QUEUES[0], np.random.default_rng(3)
    searching = search(lambda rate, seconds: queue.trial(rate, seconds, rng))
    usual, sure = searching.answer(), searching.answer(0.99)
    assert sure.rate == usual.rate
    assert sure.low < usual.low < usual.high < sure.high


def test_it_ends():
    rng = np.random.default_rng(1)

    def coin(rate, seconds):
        return Trial(rate, 300, int(rng.integers(0, 8)), 0)

    assert len(search(coin).trials) <= Plan().most_trials


def test_an_interval_that_few_trials_leave_open_is_unbounded():
    few = [Trial(100, 300, 0, 0), Trial(200, 600, 0, 0), Trial(230, 700, 120, 0), Trial(215, 600, 0, 0)]
    searching = Search(Plan(most_trials=4))
    for trial in few:
        searching.add(trial)
    found = searching.answer()
    assert not found.precise
    assert found.low < 215
    assert found.high > 215
    assert found.low == 0 or found.low > 1
    assert found.high == float("inf") or found.high < 1e6
