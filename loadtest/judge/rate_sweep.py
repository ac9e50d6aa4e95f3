"""The same load at several rates: the gates at each, and how quality and latency change with the rate.

Rows come from one seeded permutation, so a lower rate sends the first of the rows that a higher rate sends,
and quality is compared row by row with the lowest rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from loadtest.experiment.role import Role
from loadtest.judge.diff import diff_runs
from loadtest.judge.diff_lines import Changes
from loadtest.judge.gate_test import Judged
from loadtest.judge.judge import judge_gates
from loadtest.judge.run import Run
from loadtest.judge.run_verdict import together
from loadtest.judge.verdict import Document, Verdict, Word


class AtRate(Document):
    """What was seen at one rate (arrivals per second); ``changes`` is against the lowest rate, None there."""

    rate: float
    verdict: Verdict
    changes: Changes | None


class RatesVerdict(Document):
    """The content of ``rates.json`` (schema 1): may the candidate go live, at every rate that was tried?"""

    schema_: Literal[1] = Field(default=1, alias="schema")
    verdict: Word
    reason: str
    experiment: str
    backend: str
    rates: tuple[AtRate, ...]


def judge_rates(runs: Sequence[Run]) -> RatesVerdict:
    """Judge runs that differ in nothing but their rate.

    FAIL needs a gate that fails after Holm's correction over the gates of all rates. A rate that the
    generator could not keep up, or at which a control shows too much noise, proves nothing, and makes the
    whole INVALID unless another proves harm. A candidate that died at a rate is a FAIL.

    There is at least one, and they come by ascending rate.
    """
    found: list[AtRate] = []
    judged: list[Judged] = []
    invalid: list[str] = []
    died: list[str] = []
    for run in runs:
        rate = run.experiment.load.rate
        verdict, gates = judge_gates(run, len(runs))
        found.append(AtRate(rate=rate, verdict=verdict, changes=diff_runs(runs[0], run) if found else None))
        if verdict.verdict is Word.INVALID:
            invalid.append(f"at {rate:g}/s: {verdict.reason}")
        else:
            if run.facts.of(Role.CANDIDATE).died:
                died.append(f"at {rate:g}/s: {verdict.reason}; no higher rate was measured")
            judged += [gate._replace(where=f"at {rate:g}/s: ") for gate in gates]
    word, reason = together(judged, runs[0].alpha) if judged else (Word.INVALID, "")
    if invalid and word is not Word.FAIL:
        word, reason = Word.INVALID, "; ".join(invalid)
    if died:
        word, reason = Word.FAIL, died[0]
    return RatesVerdict(
        verdict=word,
        reason=reason,
        experiment=runs[0].experiment.name,
        backend=runs[0].facts.backend,
        rates=tuple(found),
    )
