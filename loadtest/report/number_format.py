"""How quantities read, the same on every page: one place for units and digits."""

from __future__ import annotations

from loadtest.experiment.metrics import QUALITY, find
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.verdict import (
    GateResult,
    PartTime,
    PhaseSummary,
    PhaseVersion,
    RowsSummary,
    SlowRequest,
    Verdict,
    VersionSummary,
    Word,
)

MARKS = {Word.PASS: "✓", Word.FAIL: "✗", Word.INCONCLUSIVE: "?", Word.INVALID: "!"}

OPEN = "…"
"""The mark of a gate that is still open while the load lasts."""

STYLES = {Word.PASS: "green", Word.FAIL: "red", Word.INCONCLUSIVE: "yellow", Word.INVALID: "magenta"}
"""Colours of the terminal."""

QUANTILES = ("p50", "p95", "p99")
"""The latency quantiles of every table."""


_FIFTEEN_DIGITS = 1e15
"""From here on a figure in full is digits without meaning, and as wide as a page."""


def quantity(value: float | None, unit: str) -> str:
    """A figure with its unit, to the digits that carry meaning; a dash where it is not known."""
    if value is None:
        return "–"
    if unit in ("%", "pp"):
        return f"{value:.2f}{unit}"
    behind = unit if unit in ("", "/s") else f" {unit}"
    if abs(value) >= _FIFTEEN_DIGITS:
        return f"{value:.3g}{behind}"
    # a plain whole number is a count
    is_count = not unit and value == int(value)
    digits = 0 if is_count else sum(abs(value) < limit for limit in (1000, 10, 1))
    return f"{value:,.{digits}f}{behind}"


def latency(version: VersionSummary | PhaseVersion, name: str) -> str:
    """One of a version's latency quantiles; ``≥`` where it is only known to be the time-out or more."""
    shown = quantity(getattr(version.latency_ms, name), "ms")
    return f"≥ {shown}" if name in version.latency_at_least else shown


def phase_rate(phase: PhaseSummary) -> str:
    """The rate of a phase: `20 to 100/s`, `20/s`."""
    # those of a replayed log are no round numbers
    rate, to = (f"{round(value, 1 if value >= 10 else 2):g}" for value in (phase.rate, phase.to))
    return f"{to}/s" if to == rate else f"{rate} to {to}/s"


def phase_quantiles(phase: PhaseSummary, role: Role) -> str:
    """A version's p50, p95 and p99 in a phase."""
    return " · ".join(latency(phase.versions[role], name) for name in ("p50", "p95", "p99"))


def part_quantiles(part: PartTime | None) -> str:
    """p50, p95 and p99 of one part of a version's requests; a dash where none had it."""
    return "–" if part is None else " · ".join(quantity(q, "ms") for q in (part.p50, part.p95, part.p99))


def slow_part(slow: SlowRequest, name: str) -> str:
    """How long one part of a slow request took; a dash where it did not have it."""
    return quantity(slow.timings_ms.get(name), "ms")


def phase_errors(phase: PhaseSummary) -> str:
    """The errors of both versions in a phase."""
    return " · ".join(f"{phase.versions[role].errors:,}" for role in ROLES)


def tick(milliseconds: float) -> str:
    """A latency on an axis, short enough to stand beside the next decade."""
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def signed(value: float | None, unit: str) -> str:
    """As ``quantity``, with its sign: for differences."""
    return "–" if value is None else ("+" if value >= 0 else "−") + quantity(abs(value), unit)


def is_difference(gate: GateResult) -> bool:
    """Whether a gate is about candidate minus stable (else about the candidate alone)."""
    return gate.gate.against == "stable"


def rows(counted: RowsSummary) -> str:
    """How many rows the evaluation set has, how many are distinct, and how many of those were sent."""
    text = f"{counted.rows:,} rows in the evaluation set"
    if counted.distinct < counted.rows:
        text += f", {counted.distinct:,} of them distinct (the same features and label count once)"
    text += f", {counted.sent:,} sent"
    return text if counted.labelled else f"{text}; no labels, so whether answers are right was not judged"


def share(value: float | None) -> str:
    """A share of 1 in per cent."""
    return "–" if value is None else f"{100 * value:.1f}%"


def changed(version: VersionSummary) -> str:
    """How many answers differ from the baseline answer to the same row, of those that could be compared."""
    if version.mismatches is None:
        return "–"
    return f"{version.mismatches:,}" + ("" if version.compared is None else f" of {version.compared:,}")


def errors(version: VersionSummary) -> str:
    """The errors, and of which kind most of them are."""
    kinds = [f"{count:,} {kind}" for kind, count in version.errors_by_kind.items()]
    more = ", ".join(kinds[:2]) + (", ..." if len(kinds) > 2 else "")
    return f"{version.errors:,}" + (f" ({more})" if more else "")


def count(value: int | None) -> str:
    """A count; – where it is not known."""
    return "–" if value is None else f"{value:,}"


def not_answers(version: VersionSummary) -> str:
    """Examples of what came with status 200 and is no answer of this model."""
    return ", ".join(repr(text) for text in version.not_answer_examples) or "–"


def cached(version: VersionSummary) -> str:
    """How fast rows are answered that were asked before the load, the others, and repeats."""
    seen = version.cache
    if seen is None:
        return "–"
    low, high = seen.interval
    text = (
        f"{seen.quantile} {quantity(seen.asked_before_ms, 'ms')}, "
        f"{seen.times_as_fast:.3g} times as fast as others (99%: {low:.3g} to {high:.3g})"
    )
    return text + (f", repeats {quantity(seen.repeats_ms, 'ms')}" if seen.repeats else "")


def look_cached(verdict: Verdict) -> list[str]:
    """One line per version whose answers look cached."""
    return [
        f"answers of {role} look cached: {seen.quantile} {quantity(seen.asked_before_ms, 'ms')} for "
        f"{seen.asked_before:,} answers to rows that were asked before the load, "
        f"{quantity(seen.not_asked_ms, 'ms')} for {seen.not_asked:,} to others"
        + (f", {quantity(seen.repeats_ms, 'ms')} for {seen.repeats:,} repeats" if seen.repeats else "")
        for role, version in verdict.versions.items()
        if (seen := version.cache) is not None and seen.seen
    ]


def by_row(value: float, metric: str) -> str:
    """A version's own value of a metric such as ``mae[output=price]``, in base units."""
    name, at, _ = metric.partition("[")[0].partition("@")
    entry = find(name, ranked=bool(at))
    return share(value) if entry and entry.quantity.shown == "%" else quantity(value, "")


def chance(value: float) -> str:
    """A small share in per cent; below a hundredth of one it is only said so."""
    return "< 0.01%" if value < 1e-4 else f"{100 * value:.2g}%"


def accuracy_row(verdict: Verdict) -> str:
    """What the row of shares of right answers is called: of ranked lists it is about the first items."""
    search = verdict.worse_slices
    ranked = search is not None and search.metric == QUALITY["ranking"]
    return "accuracy of the first item" if ranked else "accuracy"


def worst_slice(verdict: Verdict) -> str | None:
    """One line on the slice on which the candidate is surest to be worse; None where none was found."""
    search = verdict.worse_slices
    if search is None or not search.found:
        return None
    worst = search.found[0]
    # a slice may be found by several metrics
    more = len({one.name for one in search.found}) - 1 + search.more
    others = f" and {more} more slice{'s' if more > 1 else ''}" if more else ""
    stable, candidate = (by_row(value, worst.metric) for value in (worst.stable, worst.candidate))
    return (
        f"the candidate is worse where {worst.name}{others}: {worst.metric} "
        f"{stable} → {candidate} on {worst.rows:,} rows, "
        f"found among {search.slices:,} slices; see report.html"
    )


def foreign(version: VersionSummary) -> str:
    """How many answers are no label of the evaluation set, with examples."""
    if not version.foreign_answers:
        return "–" if version.foreign_answers is None else "0"
    return f"{version.foreign_answers:,}, such as " + ", ".join(
        repr(text) for text in version.foreign_examples
    )


def limit(cpus: float | None) -> str:
    """A CPU limit as enforced, in cores."""
    return "not enforced" if cpus is None else f"{cpus:g}"


def memory(size: int | None) -> str:
    """Resident memory, from bytes."""
    return quantity(None if size is None else size / 2**20, "MiB")


def estimate(gate: GateResult) -> str:
    """A gate's estimate as text: a difference with its sign, or the candidate's own value."""
    return (signed if is_difference(gate) else quantity)(gate.estimate, gate.unit)


def interval(gate: GateResult) -> str:
    """A gate's interval as text."""
    show = signed if is_difference(gate) else quantity
    low, high = gate.interval
    if low is None and high is None:
        return "–"
    ends = ("−∞" if low is None else show(low, gate.unit), "+∞" if high is None else show(high, gate.unit))
    return " to ".join(ends)


def control_of(verdict: Verdict, gate: GateResult) -> str:
    """Control against stable as the gate measures it: the estimate and its interval; beyond: is said."""
    found = next((each for each in verdict.control if each.name == gate.name), None)
    if found is None or found.estimate is None:
        return "–"
    show = signed if is_difference(gate) else quantity
    ends = [("∞" if end is None else show(end, gate.unit)) for end in found.interval]
    between = "" if ends[0] == ends[1] else f" ({ends[0]} to {ends[1]})"
    return f"{show(found.estimate, gate.unit)}{between}{', beyond the margin' if found.beyond else ''}"


def limit_of(gate: GateResult) -> str:
    """A gate's limit as text: its margin with its sign, or its bound."""
    return (signed if is_difference(gate) else quantity)(gate.margin, gate.unit)


def drawn(gate: GateResult, width: int = 31) -> str:
    """A gate's interval as a line of ``width`` characters, its limit as a bar in the middle.

    The line shows twice the limit's distance from zero on each side; ends beyond it are arrows.
    """
    if gate.estimate is None:
        return ""
    low, high = gate.interval
    reach = 2 * abs(gate.margin) or 4 * max(abs(gate.estimate), 1e-9)

    def place(value: float) -> int:
        return round((value - gate.margin) / reach * (width // 2)) + width // 2

    cells = [" "] * width
    first = -1 if low is None else place(low)
    last = width if high is None else place(high)
    for cell in range(max(first, 0), min(last, width - 1) + 1):
        cells[cell] = "─"
    if 0 <= (middle := place(gate.estimate)) < width:
        cells[middle] = "●"
    cells[width // 2] = "┃" if cells[width // 2] != " " else "│"
    if first < 0:
        cells[0] = "◂"
    if last >= width:
        cells[-1] = "▸"
    return "".join(cells)
