"""The human line beside each verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadtest.experiment.gate import Gate
from loadtest.judge.measurement import Measurement, shown
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.significance import Level
from loadtest.stats.estimate import Known
from loadtest.stats.proportions import Share
from loadtest.stats.share_bets import ShareBets

_FIFTEEN_DIGITS = 1e15
HOPELESS = 400
"""Times the run's length beyond which a longer run is no advice."""


def amount(value: float | None, unit: str, *, signed: bool = False, figures: int = 3) -> str:
    """A figure with its unit, to so many significant digits, and one place more at most."""
    if value is None:
        return "no limit"
    if abs(value) >= _FIFTEEN_DIGITS:
        return f"{value:+.3g}{unit}" if signed else f"{value:.3g}{unit}"
    digits = max(0, figures - 1 - math.floor(math.log10(abs(value)))) if value else 0
    places = min(digits, figures + 1)
    text = f"{value:+,.{places}f}" if signed else f"{value:,.{places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    gap = " " if unit in ("ms", "MiB") else ""
    return text.replace("-", "−") + gap + unit


def limit_text(gate: Gate, measured: Measurement, figures: int = 3) -> str:
    """The gate's limit as a person reads it: 'the margin of +10%' or 'the bound of 250 ms'."""
    unit, signed = gate.margin_unit, gate.against == "stable"
    limit = amount(shown(measured.to_base(measured.margin), unit), unit, signed=signed, figures=figures)
    return f"the {'margin' if signed else 'bound'} of {limit}"


def _beside_limit(values: Sequence[float | None], gate: Gate, measured: Measurement) -> tuple[list[str], str]:
    """Values and the gate's limit, with as many digits as tell them apart."""
    unit, signed = gate.margin_unit, gate.against == "stable"
    for figures in range(3, 16):
        texts = [amount(value, unit, signed=signed, figures=figures) for value in values]
        limit = limit_text(gate, measured, figures)
        if not any(limit.endswith(f" {text}") for text in texts):
            return texts, limit
    return [amount(value, unit, signed=signed) for value in values], limit_text(gate, measured)


def decided(gate: Gate, measured: Measurement, level: Level, *, passed: bool) -> str:
    """Why a gate passed or failed."""
    unit = gate.margin_unit
    if isinstance(measured.estimate, Known):
        (value,), limit = _beside_limit([shown(measured.estimate.value, unit)], gate, measured)
        how = "counted" if gate.interim == "counted" else "read once"
        return f"{value}, {'within' if passed else 'beyond'} {limit} ({how}, so without an interval)"
    low, high = (shown(measured.to_base(end), unit) for end in level.interval(measured.estimate))
    at_least = gate.higher_is_better == passed
    (end,), limit = _beside_limit([low if at_least else high], gate, measured)
    words = "at least" if at_least else "at most"
    over = f" over {measured.restarts} restarts" if measured.restarts else ""
    because = f"; {measured.censored}" if measured.censored else ""
    return f"{words} {end} {level.words}{over}, {'within' if passed else 'beyond'} {limit}{because}"


def hidden(gate: Gate, measured: Measurement) -> str:
    """Why a gate is open whose quantile the time-out hides: more of the same would not show it."""
    return (
        f"{measured.censored}: whether that is within {limit_text(gate, measured)} cannot be told; "
        "find why requests fail, or give [load] a longer timeout"
    )


def undecided(
    gate: Gate, measured: Measurement, evidence: Evidence, level: Level
) -> tuple[str, str, float | None]:
    """Why a gate is open and which difference the run could have seen; what would settle it; its seconds."""
    unit = gate.margin_unit
    low, high = level.interval(measured.estimate)
    ends, limit = _beside_limit([shown(measured.to_base(end), unit) for end in (low, high)], gate, measured)
    value, margin = measured.estimate.value, measured.margin
    good_side = (value < margin) != gate.higher_is_better
    half = (high - value) if (value < margin) else (value - low)
    # the smallest distance from the margin that would have been called, on the base scale
    seen = abs(measured.to_base(margin + half) - measured.to_base(margin))
    text = (
        f"the true value may be anywhere from {ends[0]} to {ends[1]}, "
        f"and {limit} is in between; "
        f"this run could detect a difference of {amount(shown(seen, unit), unit)} from it"
    )
    distance = abs(value - margin)
    factor = (half / distance) ** 2 - 1 if distance > 0 and math.isfinite(half) else math.inf
    if distance > 0 and isinstance(measured.estimate, Share | ShareBets) and value in (0.0, 1.0):
        # without any exception an interval shrinks with the rows, not with their root
        factor = half / distance - 1
    if factor > HOPELESS:
        return text, "; so close to the margin, a longer run would not settle it", None
    if measured.restarts:
        more = max(1, math.ceil(factor * measured.restarts))
        return text, f"; about {more:,} more restarts of this length would settle it", None
    requests = max(1, math.ceil(factor * evidence.arrivals))
    if measured.rows is not None and factor * measured.rows > measured.rows_left:
        rows, there = two_digits(math.ceil((factor + 1) * measured.rows)), measured.rows + measured.rows_left
        where = f" with {gate.column}={gate.value}" if gate.column else ""
        needed = f"; about {rows:,} distinct rows{where} would settle it; the evaluation set has {there:,}"
        return text, f"{needed}, so a longer run would not", None
    seconds = requests / evidence.rate
    side = "" if good_side else " (probably as a FAIL)"
    needed = f"{two_digits(requests):,} more requests, about {math.ceil(seconds):,} s at this rate"
    return text, f"; {needed}, would settle it{side}", seconds


def two_digits(count: int) -> int:
    """A forecast to the two digits that it deserves, rounded up."""
    scale = int(10 ** max(0, len(str(count)) - 2))
    return math.ceil(count / scale) * scale
