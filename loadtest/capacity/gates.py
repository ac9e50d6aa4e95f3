"""Gates on capacity: ``capacity >= stable - 10%``, ``capacity >= 200/s``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtest.capacity.report import CapacityGate, Point
from loadtest.errors import GateError
from loadtest.experiment.gate import Gate
from loadtest.judge.measurement import shown
from loadtest.judge.verdict import Word

_UNPROVEN = "fails on its own, but with {} answers one fails by chance too often; more trials would settle it"


def check(gates: Sequence[Gate]) -> None:
    """See that every gate is one on capacity, before anything starts.

    Raises:
        GateError: one is not.
    """
    for gate in gates:
        if gate.metric != "capacity" or gate.column:
            raise GateError(
                f"gate {str(gate)!r}: loadproof capacity knows one metric, as in 'capacity >= stable - 10%'"
            )


def judge(gate: Gate, stable: Point, candidate: Point, confidence: float) -> CapacityGate:
    """One gate at one CPU limit.

    The two capacities come from trials of their own, so the interval of their ratio (or difference) is put
    together from both (MOVER: Zou and Donner 2008, equation 3; Donner and Zou 2012 for ratios).
    """
    margin = gate.margin
    estimate, low, high = _compare(gate, stable, candidate)
    if low >= margin:
        word, reason = Word.PASS, "even the lower end of the interval is within the margin"
    elif high < margin:
        word, reason = Word.FAIL, "even the upper end of the interval is beyond the margin"
    else:
        word, reason = Word.INCONCLUSIVE, _undecided(stable, candidate, gate)
    unit = gate.margin_unit
    return CapacityGate(
        gate=gate,
        verdict=word,
        stable=stable.capacity,
        candidate=candidate.capacity,
        estimate=shown(estimate, unit),
        interval=(shown(low, unit), shown(high, unit)),
        margin=shown(margin, unit) or 0.0,
        unit=unit,
        confidence=confidence,
        reason=reason,
        cpus=candidate.cpus,
    )


def corrected(confidence: float, questions: int) -> float:
    """The confidence at which one of several questions must fail, for any of them to fail by chance as seldom
    as one alone would (Bonferroni; the first step of Holm's correction, which decides whether any fails).
    """
    return 1 - (1 - confidence) / max(questions, 1)


def together(
    gates: Sequence[CapacityGate], points: Sequence[Point], proven: Sequence[bool]
) -> tuple[Word, str]:
    """The word of the whole search, and why; ``proven``: which gates fail at the ``corrected`` level, too."""
    failed = [gate for gate, sure in zip(gates, proven, strict=True) if sure]
    alone = [gate for gate in gates if gate.verdict is Word.FAIL]
    open_ = [gate for gate in gates if gate.verdict is Word.INCONCLUSIVE]
    for word, those in ((Word.FAIL, failed), (Word.INCONCLUSIVE, alone), (Word.INCONCLUSIVE, open_)):
        if those:
            more = f" (and {len(those) - 1} more)" if len(those) > 1 else ""
            why = those[0].reason if those is not alone else _UNPROVEN.format(len(gates))
            return word, f"{those[0].name}: {why}{more}"
    if gates:
        return Word.PASS, "the gate is met" if len(gates) == 1 else f"all {len(gates)} gates are met"
    if any(p.capacity is None for p in points):
        return Word.FAIL, "a version does not meet the objective at any rate that was tried"
    if not all(p.precise for p in points):
        return Word.INCONCLUSIVE, "an interval is wider than requested: allow more or longer trials"
    return Word.PASS, "capacity was found as precisely as requested; there is no gate on it"


def _compare(gate: Gate, stable: Point, candidate: Point) -> tuple[float, float, float]:
    """Estimate and interval of what the gate is about, in base units."""
    scale = math.log if gate.relative else float
    c, c_low, c_high = (_on(scale, end) for end in (candidate.capacity, *candidate.interval))
    c_low, c_high = (-math.inf if math.isnan(c_low) else c_low), (math.inf if math.isnan(c_high) else c_high)
    if gate.against == "absolute":
        return c, c_low, c_high
    s, s_low, s_high = (_on(scale, end) for end in (stable.capacity, *stable.interval))
    s_low, s_high = (-math.inf if math.isnan(s_low) else s_low), (math.inf if math.isnan(s_high) else s_high)
    if math.isnan(c) or math.isnan(s):
        return math.nan, -math.inf, math.inf
    difference = c - s
    low = difference - math.hypot(c - c_low, s_high - s)
    high = difference + math.hypot(c_high - c, s - s_low)
    if gate.relative:
        return math.expm1(difference), math.expm1(low), math.inf if math.isinf(high) else math.expm1(high)
    return difference, low, high


def _on(scale: object, value: float | None) -> float:
    return math.nan if value is None else float(scale(value))  # type: ignore[operator]


def _undecided(stable: Point, candidate: Point, gate: Gate) -> str:
    for role, p in (("the candidate", candidate), ("stable", stable)):
        if p.capacity is None and (role == "the candidate" or gate.against == "stable"):
            return f"{role} met the objective at no rate that was tried: begin lower, or loosen it"
    return "the interval contains the margin: more or longer trials would narrow it"
