"""The charts of a run, from its evidence. Latency is in milliseconds, from the intended send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from loadtest.experiment.role import ROLES
from loadtest.judge.outcomes import Outcomes
from loadtest.judge.paired_outcomes import Evidence
from loadtest.judge.slices import Slice
from loadtest.judge.verdict import GateResult
from loadtest.report import number_format
from loadtest.report.sections import Sections
from loadtest.report.svg import Axis, Chart
from loadtest.stats.pieces import pieces, summed
from loadtest.stats.quantiles import Ranked, block_count, difference, sorted_quantile

Floats = NDArray[np.float64]

MARKED = (0.5, 0.95, 0.99)
_SHIFTS = (0.05, *(q / 10 for q in range(1, 9)), 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)
_BEYOND = 10
_MOST_BINS = 120
_SMALLEST_MS = 0.01


class Figure(NamedTuple):
    """A chart with the sentence below it."""

    title: str
    chart: Markup
    caption: str


def figures(evidence: Evidence, objective: float, alpha: float, sections: Sections) -> list[Figure]:
    """Every chart for which there is evidence.

    ``objective`` is the latency of a good answer in seconds, ``alpha`` lies outside of an interval on each
    side, and ``sections`` is told of a chart that cannot be drawn.
    """
    if not len(evidence.stable) or not len(evidence.candidate):
        return []
    drawn: list[tuple[str, Callable[[], Figure | None]]] = [
        ("Latency", lambda: _distribution(evidence, objective)),
        ("Shift of latency", lambda: _shift(evidence, alpha)),
        ("Latency over time", lambda: _over_time(evidence)),
        ("Throughput and errors", lambda: _answers(evidence)),
    ]
    made = [sections.make(name, draw, None) for name, draw in drawn]
    return [figure for figure in made if figure is not None]


def _of(evidence: Evidence) -> dict[str, Outcomes]:
    return {role: evidence.of(role) for role in ROLES}


def _in_ms(outcomes: Outcomes) -> Ranked:
    return replace(outcomes.ranked_latency, scale=1000.0)


def _latency_axis(lowest: float, highest: float, name: str) -> Axis:
    return Axis.log(max(lowest, _SMALLEST_MS), max(highest, 1.0), name, number_format.tick)


def _distribution(evidence: Evidence, objective: float) -> Figure:
    """Empirical distribution functions, and the quantiles that gates are mostly about."""
    shares = np.unique(np.concatenate([np.linspace(0, 0.9, 91), 1 - np.geomspace(0.1, 1e-4, 80), [1.0]]))
    quantiles = {
        role: np.array([max(sorted_quantile(_in_ms(o), q), _SMALLEST_MS) for q in (*shares, *MARKED)])
        for role, o in _of(evidence).items()
    }
    chart = Chart(
        "Latency of both versions: share of answers within a latency",
        _latency_axis(
            min(float(q[0]) for q in quantiles.values()),
            max(1000 * objective, *(float(q[len(shares) - 1]) for q in quantiles.values())),
            "latency, log axis",
        ),
        Axis.linear(0, 1, "share of answers", lambda share: f"{100 * share:.0f}%"),
    )
    for role, values in quantiles.items():
        chart.line(values[: len(shares)], shares, role)
        marked = values[len(shares) :]
        titles = [
            f"{role} p{100 * q:g}: {number_format.quantity(float(ms), 'ms')}"
            for q, ms in zip(MARKED, marked, strict=True)
        ]
        chart.dots(marked, MARKED, role, titles)
    chart.upright(1000 * objective, "limit", "objective")
    return Figure(
        "Latency",
        chart.render(),
        "Share of answers within a latency, from the intended send. Dots: p50, p95 and p99.",
    )


def _shift(evidence: Evidence, alpha: float) -> Figure | None:
    """Candidate minus stable at every quantile: the shift function (Doksum 1974)."""
    blocks = block_count(evidence.duration)
    if not blocks:
        return None
    s, c = (
        replace(evidence.blocked(o, blocks), values=_in_ms(o)) for o in (evidence.stable, evidence.candidate)
    )
    rest = min(s.smallest_rest, c.smallest_rest)
    quantiles = [q for q in _SHIFTS if rest * min(q, 1 - q) >= _BEYOND]
    if len(quantiles) < 2:
        return None
    estimates = [difference(s, c, q) for q in quantiles]
    low, high = np.array([e.interval(alpha) for e in estimates]).T
    chart = Chart(
        "Candidate's latency minus stable's at every quantile, with the interval",
        Axis.tail(quantiles[0], quantiles[-1], "quantile"),
        Axis.linear(
            min(float(low.min()), 0.0),
            max(float(high.max()), 0.0),
            "candidate − stable",
            lambda ms: f"{ms:g} ms",
        ),
    )
    chart.across(0.0, "zero", "no difference")
    chart.band(quantiles, low, high, "candidate")
    chart.line(quantiles, [e.value for e in estimates], "candidate")
    return Figure(
        "Shift of latency",
        chart.render(),
        "How much later the candidate's answers come, quantile by quantile, from paired blocks; the band "
        f"is each one's interval, {1 - alpha:.0%} on either side. Above the line: slower.",
    )


class _Bins(NamedTuple):
    """A run cut into equal times: seconds of each, and how many."""

    width: float
    number: int

    @classmethod
    def of(cls, duration: float) -> _Bins:
        width = max(1.0, float(np.ceil(duration / _MOST_BINS)))
        return cls(width, max(1, int(np.ceil(duration / width - 1e-9))))

    @property
    def centres(self) -> Floats:
        return np.asarray((np.arange(self.number) + 0.5) * self.width)

    def of_times(self, at: Floats) -> NDArray[np.int16]:
        found = np.empty(len(at), np.int16)
        for piece in pieces(len(at)):
            found[piece] = np.clip((at[piece] / self.width).astype(np.intp), 0, self.number - 1)
        return found

    def name(self) -> str:
        return "each second" if self.width == 1 else f"every {self.width:g} s"


def _over_time(evidence: Evidence) -> Figure:
    bins = _Bins.of(evidence.duration)
    median, slowest = {}, {}
    for role, outcomes in _of(evidence).items():
        median[role], slowest[role] = _middle_and_last(outcomes, bins)
    chart = Chart(
        f"Latency over time: median and slowest answer {bins.name()}",
        Axis.linear(0, bins.width * bins.number, "seconds of load", lambda s: f"{s:g} s"),
        _latency_axis(
            min(float(np.nanmin(m)) for m in median.values()),
            max(float(np.nanmax(m)) for m in slowest.values()),
            "latency, log axis",
        ),
    )
    for role in ROLES:
        chart.line(bins.centres, slowest[role], f"faint {role}")
        chart.line(bins.centres, median[role], role)
    return Figure(
        "Latency over time",
        chart.render(),
        f"Median {bins.name()} (thick) and the slowest answer (thin). A stall shows as a falling peak: "
        "requests that were due during it waited for its end.",
    )


def _middle_and_last(outcomes: Outcomes, bins: _Bins) -> tuple[Floats, Floats]:
    """The median (of an even number, the lower one) and the largest latency of each bin, in ms, shape (bins,)
    each; NaN where there is none."""
    place, latency = bins.of_times(outcomes.scheduled_at), _in_ms(outcomes)
    counts = summed(place, None, bins.number).astype(np.intp)
    wanted = np.array([np.maximum(counts - 1, 0) // 2, np.maximum(counts - 1, 0)])
    found = np.full(wanted.shape, np.nan)
    seen = np.zeros(bins.number, dtype=np.intp)
    # in order of latency: how many of each bin came before says which one this is
    for piece in pieces(len(latency)):
        here = place[outcomes.by_latency[piece]]
        now = seen + np.bincount(here, minlength=bins.number)
        for which, bin_ in np.argwhere((seen <= wanted) & (wanted < now)).tolist():
            at = np.flatnonzero(here == bin_)[wanted[which, bin_] - seen[bin_]]
            found[which, bin_] = latency[piece.start + int(at)]
        seen = now
    return found[0], found[1]


def _answers(evidence: Evidence) -> Figure:
    bins = _Bins.of(evidence.duration)
    counted = {}
    for role, o in _of(evidence).items():
        place = bins.of_times(o.scheduled_at)
        counted[role] = tuple(
            summed(place, which, bins.number) / bins.width for which in (~o.failed, o.failed)
        )
    highest = max(float(max(answers.max(), errors.max())) for answers, errors in counted.values())
    chart = Chart(
        "Answers and errors per second over time",
        Axis.linear(0, bins.width * bins.number, "seconds of load", lambda s: f"{s:g} s"),
        Axis.linear(0, highest, "a second"),
        height=200,
    )
    errors = 0
    for (role, (answers, failed)), shift in zip(counted.items(), (-0.2, 0.2), strict=True):
        chart.bars(bins.centres + shift * bins.width, failed, 0.4 * bins.width, f"error {role}")
        chart.line(bins.centres, answers, role)
        errors += round(float(failed.sum()) * bins.width)
    said = f"{errors:,} errors, as bars." if errors else "There was no error."
    return Figure("Throughput and errors", chart.render(), f"Answers {bins.name()} as lines. {said}")


def gate_strip(gate: GateResult) -> Markup:
    """One gate's interval against its limit, as wide as a table's cell."""
    if gate.estimate is None:
        return Markup("")
    low, high = ((end if end is not None else gate.estimate) for end in gate.interval)
    extra = [0.0] if number_format.is_difference(gate) else []
    strip = _Strip.around([low, high, gate.margin, gate.estimate, *extra])
    good = (gate.margin, strip.end) if gate.gate.higher_is_better else (strip.begin, gate.margin)
    label = (
        f"{number_format.interval(gate)} against a limit of {number_format.quantity(gate.margin, gate.unit)}"
    )
    return strip.draw(low, high, gate.estimate, gate.verdict, label, limit=gate.margin, good=good)


def slice_strips(slices: Sequence[Slice]) -> list[Markup]:
    """The intervals of all slices on one scale, with a line where there is no difference."""
    if not slices:
        return []
    strip = _Strip.around([0.0, *(end for part in slices for end in (part.low, part.high))])
    return [
        strip.draw(s.low, s.high, s.estimate, "candidate", f"{s.name}: {s.low:.2f} to {s.high:.2f}{s.unit}")
        for s in slices
    ]


class _Strip(NamedTuple):
    """A small axis: its first and last value."""

    begin: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float]) -> _Strip:
        spread = (max(values) - min(values)) or abs(values[0]) or 1.0
        return cls(min(values) - 0.08 * spread, max(values) + 0.08 * spread)

    def x(self, value: float) -> float:
        return 220 * (value - self.begin) / (self.end - self.begin)

    def draw(
        self,
        low: float,
        high: float,
        estimate: float,
        kind: str,
        label: str,
        limit: float = 0.0,
        good: tuple[float, float] | None = None,
    ) -> Markup:
        shade = ""
        if good:
            shade = f'<rect class="good" x="{self.x(good[0]):.1f}" y="3" height="20" '
            shade += f'width="{max(self.x(good[1]) - self.x(good[0]), 0):.1f}"/>'
        return Markup(  # noqa: S704 - numbers, and a label that is escaped
            f'<svg class="strip" viewBox="0 0 220 26" role="img" aria-label="{escape(label)}">{shade}'
            f'<line class="limit" x1="{self.x(limit):.1f}" x2="{self.x(limit):.1f}" y1="1" y2="25"/>'
            f'<line class="{kind}" x1="{self.x(low):.1f}" x2="{self.x(high):.1f}" y1="13" y2="13"/>'
            f'<circle class="dot {kind}" cx="{self.x(estimate):.1f}" cy="13" r="4"/></svg>'
        )
