"""A margin on stable's latency that one stretch of the load alone meets is not met."""

import pytest

from loadtest.judge.judge import judge
from loadtest.judge.verdict import Word
from tests.attacks.made_runs import run_of, slowed

QUICKER = slowed(times=0.8)
SLOWER = slowed(times=1.2)


@pytest.mark.parametrize(
    ("gate", "candidate", "stable", "word"),
    [
        # ten seconds fill two time blocks: whichever is left out, stable's p95 is theirs
        ("p95 <= stable + 10%", (SLOWER,), (slowed(0.19, since=30, until=40),), Word.INCONCLUSIVE),
        ("p99 <= stable + 1ms", (SLOWER,), (slowed(0.19, since=50),), Word.INCONCLUSIVE),
        # slow for so long, it is what stable is like
        ("p95 <= stable + 10%", (SLOWER,), (slowed(0.19, until=35),), Word.PASS),
        # so it is where it happens again and again
        (
            "p95 <= stable + 10%",
            (SLOWER,),
            tuple(slowed(0.19, since=t, until=t + 1) for t in range(0, 60, 6)),
            Word.PASS,
        ),
        # the candidate keeps the margin without that, too
        ("p95 <= stable + 10%", (QUICKER,), (slowed(0.19, since=30, until=40),), Word.PASS),
        ("p95 <= stable + 5ms", (SLOWER,), (slowed(0.19, since=30, until=40),), Word.PASS),
        # a bound of its own asks nothing of stable
        ("p95 <= 20ms", (SLOWER,), (slowed(0.19, since=30, until=40),), Word.PASS),
    ],
)
def test_what_stable_was_like_for_a_while_meets_no_margin(gate, candidate, stable, word):
    verdict = judge(run_of([gate], candidate, stable))
    assert verdict.verdict is word, verdict.reason
    assert ("stable was slow" in verdict.reason) is (word is Word.INCONCLUSIVE)
