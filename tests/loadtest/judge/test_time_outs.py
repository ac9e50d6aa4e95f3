"""What a time-out hides: a version that does not answer is never fast enough."""

from dataclasses import replace

import pytest

from loadtest.errors import GateError
from loadtest.judge.diff import diff_runs
from loadtest.judge.judge import judge
from loadtest.judge.run import RestartFacts
from loadtest.judge.verdict import Word
from loadtest.report.number_format import latency
from tests.loadtest.judge.test_judge import Arm, Run

DEAD = Arm(errors=1.0)
REFUSES = Arm(errors=1.0, fast_errors=True)


@pytest.mark.parametrize(
    ("gate", "what"),
    [
        ("p99 <= 3s", "bound"),
        # what takes just so long is given up
        ("p50 <= 2s", "bound"),
        # with stable above 0 the limit is always beyond the time-out
        ("p99 <= stable + 2s", "margin"),
    ],
)
def test_limits_that_a_time_out_hides_are_refused_before_the_load(gate, what):
    with pytest.raises(GateError, match=rf"the {what} does not lie below \[load\] timeout of 2 s"):
        Run(gates=(gate,)).judge()


CENSORED = [
    # none of 3,000 is answered: in time or at once refused, neither is fast
    ("dead", Run(candidate=DEAD, gates=("p99 <= 1900ms",)), Word.FAIL, "at least the time-out of 2 s"),
    ("refuses", Run(candidate=REFUSES, gates=("p50 <= 250ms",)), Word.FAIL, "100.00% not answered in it"),
    ("dead beside stable", Run(candidate=DEAD, gates=("p50 <= stable + 25ms",)), Word.FAIL, "at least"),
    ("dead beside stable, share", Run(candidate=DEAD, gates=("p99 <= stable + 10%",)), Word.FAIL, "at least"),
    # stable's p99 and 1.99 s are more than the time-out: nothing shows what the candidate would have taken
    (
        "margin in the dark",
        Run(candidate=DEAD, gates=("p99 <= stable + 1990ms",)),
        Word.INCONCLUSIVE,
        "cannot be told; find why requests fail, or give [load] a longer timeout",
    ),
    # 2% against 33%: both quantiles are hidden, and were equal when a time-out counted as its length
    (
        "both hidden",
        Run(Arm(errors=0.02), Arm(errors=0.33), gates=("p99 <= stable + 10%",)),
        Word.INCONCLUSIVE,
        "p99 of stable is at least the time-out of 2 s",
    ),
    # 1.1% are hidden: whether it is more than 1% this run cannot say
    (
        "at the edge",
        Run(candidate=Arm(errors=0.011), gates=("p99 <= 250ms",)),
        Word.INCONCLUSIVE,
        "may be|is at least",
    ),
    ("rare failures", Run(candidate=Arm(errors=0.001), gates=("p99 <= 250ms",)), Word.PASS, "is met"),
    # a median that everybody sees is no secret of the third that failed
    ("median", Run(Arm(errors=0.3), Arm(errors=0.3), gates=("p50 <= stable + 25ms",)), Word.PASS, "is met"),
    # fewer failures than stable: known to be better than at least the time-out
    ("stable hidden", Run(stable=Arm(errors=0.1), gates=("p95 <= stable + 10%",)), Word.PASS, "is met"),
    # one burst is one event
    (
        "one burst",
        Run(candidate=Arm(burst=(30.0, 31.0)), gates=("p99 <= 250ms",)),
        Word.INCONCLUSIVE,
        "time-out",
    ),
]


@pytest.mark.parametrize(("run", "word", "reason"), [c[1:] for c in CENSORED], ids=[c[0] for c in CENSORED])
def test_a_quantile_among_requests_without_answer(run, word, reason):
    verdict = run.judge()
    assert verdict.verdict is word, verdict.reason
    assert any(part in verdict.reason for part in reason.split("|")), verdict.reason
    gate = verdict.gates[0]
    if "hidden" in gate.reason or "is at least the time-out" in gate.reason:
        assert gate.estimate is None


@pytest.mark.parametrize("candidate", [DEAD, REFUSES])
@pytest.mark.parametrize("gate", ["p10 <= 1999ms", "p50 <= stable + 1999ms", "p99 <= stable + 99%"])
def test_a_candidate_that_answers_nothing_passes_no_latency_gate(candidate, gate):
    assert Run(candidate=candidate, gates=(gate,)).judge().verdict is not Word.PASS


def test_latencies_that_are_shown_say_where_they_are_only_at_least_the_time_out():
    versions = Run(candidate=Arm(errors=0.02)).judge().versions
    assert versions["stable"].latency_at_least == ()
    assert versions["candidate"].latency_at_least == ("p99", "p999", "max")
    assert latency(versions["candidate"], "p99") == "≥ 2,000 ms"
    assert "≥" not in latency(versions["candidate"], "p95")


def test_restarts_show_harm_that_a_time_out_hides_only_where_each_of_them_does():
    def restarted(candidate):
        run = Run(candidate=candidate, gates=("p99 <= stable + 25ms",), seconds=120.0, arrivals=6000).gather()
        parts = tuple(RestartFacts(begins_s=begin, duration_s=60.0) for begin in (0.0, 60.0))
        load = run.facts.load.model_copy(update={"restarts": parts})
        return judge(replace(run, facts=run.facts.model_copy(update={"load": load}))).gates[0]

    assert restarted(DEAD).verdict is Word.FAIL
    # the second deployment answered nothing: one of two is no proof
    half = restarted(Arm(burst=(60.0, 120.0)))
    assert half.verdict is Word.INCONCLUSIVE
    assert "at least the time-out" in half.reason


def test_runs_side_by_side_compare_no_quantile_that_a_time_out_hides():
    calm, hidden = Run().gather(), Run(candidate=Arm(errors=0.05)).gather()
    changes = {(c.role, c.metric): c for c in diff_runs(calm, hidden).changes}
    for role in ("candidate", "candidate against stable"):
        change = changes[role, "p99"]
        assert "p99 lies among requests without an answer in time after" in change.reading
        assert change.after is None
    assert changes["candidate", "p50"].after is not None
