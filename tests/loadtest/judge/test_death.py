"""A candidate that dies under load: FAIL with the evidence, whatever its gates say of the time before."""

from dataclasses import replace

import pytest

from loadtest.experiment.role import Role
from loadtest.judge.judge import judge
from loadtest.judge.verdict import Word
from tests.loadtest.judge.test_judge import Arm, Run

HOW = "candidate was killed by SIGKILL (perhaps out of memory)"


@pytest.mark.parametrize(
    ("run", "died", "word", "said"),
    [
        # in the last second: every gate is met
        (Run(), HOW, Word.FAIL, f"the candidate died under load: {HOW}; it answered nothing after "),
        (Run(gates=("accuracy >= 1%",)), HOW, Word.FAIL, "stable failed 0 of 3,000 requests"),
        (Run(candidate=Arm(errors=1.0)), HOW, Word.FAIL, "it answered nothing, while stable"),
        (Run(), None, Word.PASS, "all 5 gates are met"),
        # nothing is proven by a bad measurement, and where stable is not well either
        (Run(valid=False), HOW, Word.INVALID, ""),
        (Run(stable=Arm(errors=0.7), candidate=Arm(errors=0.7)), HOW, Word.INVALID, "stable failed"),
    ],
)
def test_verdicts(run, died, word, said):
    gathered = run.gather()
    versions = {
        role: gathered.facts.of(role).model_copy(update={"died": died if role == Role.CANDIDATE else None})
        for role in Role
    }
    facts = gathered.facts.model_copy(update={"versions": versions})
    verdict = judge(replace(gathered, facts=facts))
    assert verdict.verdict is word
    assert said in verdict.reason
