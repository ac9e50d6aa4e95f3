"""One gate, decided: by its interval, compared with its margin."""

from __future__ import annotations

from typing import NamedTuple

from loadtest.experiment.gate import Gate
from loadtest.judge.explanations import decided, hidden, undecided
from loadtest.judge.measurement import Measurement, shown
from loadtest.judge.mismatches import counted
from loadtest.judge.one_stretch import met_by_one_stretch
from loadtest.judge.paired_outcomes import NoEvidence
from loadtest.judge.restarts import measure_restarts
from loadtest.judge.run import Run, rows_of_slice
from loadtest.judge.significance import Level
from loadtest.judge.verdict import GateResult, Word
from loadtest.stats.estimate import Known

LEAST_ANSWERED = 0.5
"""Share of requests that must be answered before a gate on numbers or scores can be met."""

ZERO_IS_WORST = frozenset(
    ("accuracy", "classification", "goodput", "ranking", "ranking_hit", "ranking_value", "value")
)
"""Tests of metrics of which none that a gate wants higher falls below 0, but by labels that mean the opposite
or by values that are a loss."""


class Judged(NamedTuple):
    """A gate's result, its p-value of harm for Holm, and the seconds of load that would decide it.

    What was read or counted (``known``) has no error that could add up over the gates. ``where`` precedes the
    gate's name where there are several runs. ``more`` is the part of its reason that says what would settle
    it, and ``all_rows`` the number of distinct rows where all were sent, so that more load shows no more.
    """

    result: GateResult
    p_harm: float
    seconds: float | None
    known: bool = False
    where: str = ""
    more: str = ""
    all_rows: int | None = None

    @property
    def name(self) -> str:
        """The gate, as a reason names it."""
        return f"{self.where}{self.result.name}"


def decide(gate: Gate, run: Run, level: Level) -> Judged:
    """Decide one gate from the evidence so far."""
    unit = gate.margin_unit
    try:
        measured = measure_restarts(gate, run)
    except NoEvidence as missing:
        return unmeasured(gate, run.experiment.confidence, str(missing), missing.seconds, missing.more)
    if why := _both_worthless(gate, measured):
        return unmeasured(gate, run.experiment.confidence, why)
    estimate, margin = measured.estimate, measured.margin
    low, high = level.interval(estimate)
    p_harm = level.p_beyond(estimate, margin, below=gate.higher_is_better)
    harmed, met = (high < margin, low > margin) if gate.higher_is_better else (low > margin, high < margin)
    known = isinstance(estimate, Known)
    if known:
        met = not harmed
    seconds, more = None, ""
    if met and (why := _too_few_answers(gate, run)):
        return unmeasured(gate, run.experiment.confidence, why)
    if met and (why := met_by_one_stretch(gate, run)):
        word, reason = Word.INCONCLUSIVE, why
    elif harmed or met:
        word, reason = Word.FAIL if harmed else Word.PASS, decided(gate, measured, level, passed=met)
    elif measured.censored:
        word, reason = Word.INCONCLUSIVE, hidden(gate, measured)
    else:
        word = Word.INCONCLUSIVE
        reason, more, seconds = undecided(gate, measured, run.evidence, level)
        reason += more
    if gate.entry.test == "mismatches":
        part = run if gate.column is None else run.slice(rows_of_slice(gate, run.dataset))
        reason = counted(gate, part.evidence)
    if measured.note:
        reason += f"; {measured.note}"
    result = GateResult(
        gate=gate,
        verdict=word,
        stable=shown(measured.stable, gate.value_unit),
        candidate=shown(measured.candidate, gate.value_unit),
        estimate=shown(measured.to_base(estimate.value), unit),
        interval=(shown(measured.to_base(low), unit), shown(measured.to_base(high), unit)),
        margin=shown(measured.to_base(margin), unit) or 0.0,
        unit=unit,
        confidence=run.experiment.confidence,
        reason=reason,
    )
    all_rows = None if measured.rows_left or measured.restarts else measured.rows
    return Judged(result, p_harm, seconds, known, more=more, all_rows=all_rows)


def _both_worthless(gate: Gate, measured: Measurement) -> str | None:
    """Why two versions that are equal show nothing: both are worth 0 by a metric that cannot be less."""
    if gate.against != "stable" or not gate.higher_is_better or gate.entry.test not in ZERO_IS_WORST:
        return None
    if measured.stable != 0 or measured.candidate != 0:
        return None
    note = f"; {measured.note}" if measured.note else ""
    return (
        f"{gate.metric} of both versions is 0, and what is worth nothing looks equal: see why stable's is, "
        f"such as labels or ids that are written otherwise, or no row that counts{note}"
    )


def _too_few_answers(gate: Gate, run: Run) -> str | None:
    """Why a bound that is met proves nothing: what is not answered counts as a guess without a model."""
    if gate.entry.task != "regression" and not gate.needs_scores:
        return None  # no answer is a wrong one
    part = run if gate.column is None else run.slice(rows_of_slice(gate, run.dataset))
    failed = part.evidence.candidate.failed
    answered = len(failed) - int(failed.sum())
    if answered >= LEAST_ANSWERED * len(failed):
        return None
    return (
        f"the candidate answered {answered:,} of {len(failed):,} requests, and what it does not answer "
        "counts as a guess without a model: that meets the bound, and shows nothing"
    )


def unmeasured(
    gate: Gate, confidence: float, reason: str, seconds: float | None = None, more: str = ""
) -> Judged:
    """A gate of which nothing is known yet, why, and after how many more seconds that may change."""
    result = GateResult(
        gate=gate,
        verdict=Word.INCONCLUSIVE,
        stable=None,
        candidate=None,
        estimate=None,
        interval=(None, None),
        margin=shown(gate.margin, gate.margin_unit) or 0.0,
        unit=gate.margin_unit,
        confidence=confidence,
        reason=reason,
    )
    return Judged(result, 1.0, seconds, more=more)
