"""A run at several rates: in the terminal, as Markdown, and as a page with charts."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console

from loadtest.experiment.experiment import Experiment, Versions
from loadtest.experiment.metrics import QUALITY
from loadtest.experiment.role import ROLES, Role
from loadtest.judge.diff_lines import Change
from loadtest.judge.rate_sweep import AtRate, RatesVerdict
from loadtest.judge.verdict import VersionSummary
from loadtest.report.charts import Figure
from loadtest.report.number_format import MARKS, latency, quantity, share, signed, tick
from loadtest.report.svg import Axis, Chart
from loadtest.report.templating import templates
from loadtest.report.terminal import print_last_line, print_unmet, table

HEADINGS = (
    *("rate", "", "version", "quality", "against the lowest rate"),
    *("mismatches", "goodput", "p99", "errors"),
)


def rows(verdict: RatesVerdict) -> list[tuple[str, ...]]:
    """A line for each rate and version, as text in the order of ``HEADINGS``."""
    lines: list[tuple[str, ...]] = []
    for at in verdict.rates:
        for role in at.verdict.versions:
            seen = _summary(at, role)
            first = role == ROLES[0]
            lines.append(
                (
                    f"{at.rate:g}/s" if first else "",
                    f"{MARKS[at.verdict.verdict]} {at.verdict.verdict}" if first else "",
                    role,
                    share(seen.accuracy),
                    _against(at, role),
                    "–" if seen.mismatches is None else f"{seen.mismatches:,}",
                    quantity(seen.goodput_rps, "/s"),
                    latency(seen, "p99"),
                    f"{seen.errors:,}",
                )
            )
    return lines


def _summary(at: AtRate, role: Role) -> VersionSummary:
    return at.verdict.versions[role]


def _quality(at: AtRate, role: Role) -> Change | None:
    changes = at.changes.changes if at.changes else ()
    return next((c for c in changes if c.role == role and c.metric in QUALITY.values()), None)


def _against(at: AtRate, role: Role) -> str:
    change = _quality(at, role)
    if change is None or change.estimate is None or None in change.interval:
        return "–"
    low, high = (signed(end, change.unit) for end in change.interval)
    return f"{signed(change.estimate, change.unit)} ({low} to {high})"


def print_rates(console: Console, verdict: RatesVerdict, folder: str | None) -> None:
    """The table, why a gate is not met, where the run lies, and the verdict with its exit code."""
    shown = table(HEADINGS, ("", "version"))
    for line in rows(verdict):
        shown.add_row(*line)
    console.print()
    console.print(shown)
    console.print()
    for at in verdict.rates:
        print_unmet(console, at.verdict.gates, f"at {at.rate:g}/s: ")
    print_last_line(console, verdict.verdict, verdict.reason, folder)


def rates_to_markdown(verdict: RatesVerdict, versions: Versions) -> str:
    """summary.md of a run at several rates."""
    page = templates().get_template("rates.md.j2")
    return page.render(verdict=verdict, versions=versions, headings=HEADINGS, rows=rows(verdict))


def rates_to_html(verdict: RatesVerdict, experiment: Experiment, facts: dict[str, Any]) -> str:
    """report.html of a run at several rates: the table, charts over the rate, and the gates of each."""
    page = templates().get_template("rates.html.j2")
    return page.render(
        verdict=verdict,
        versions=experiment.versions,
        headings=HEADINGS,
        rows=rows(verdict),
        figures=[_quality_chart(verdict), _goodput_chart(verdict), _latency_chart(verdict, experiment)],
        facts=facts,
    )


def _rate_axis(verdict: RatesVerdict) -> Axis:
    return Axis.linear(0, verdict.rates[-1].rate, "arrivals per second")


def _series(chart: Chart, x: list[float], y: list[float], role: str, texts: list[str]) -> None:
    """A line with a dot at each rate, on which its value stands."""
    chart.line(x, y, role)
    chart.dots(x, y, role, [f"{role} at {rate:g}/s: {text}" for rate, text in zip(x, texts, strict=True)])


def _quality_chart(verdict: RatesVerdict) -> Figure:
    """Accuracy at each rate; the band is the interval of its change since the lowest rate."""
    chart = Chart(
        "Accuracy of both versions at each rate",
        _rate_axis(verdict),
        Axis.linear(0, 1, "accuracy", lambda value: f"{100 * value:.0f}%"),
    )
    x = [at.rate for at in verdict.rates]
    for role in ROLES:
        y = [_summary(at, role).accuracy for at in verdict.rates]
        known = [np.nan if value is None else value for value in y]
        ends = [_ends(at, role, value) for at, value in zip(verdict.rates, known, strict=True)]
        if np.isfinite(ends).all():
            low, high = zip(*ends, strict=True)
            chart.band(x, low, high, role)
        _series(chart, x, known, role, [share(value) for value in y])
    return Figure(
        "Accuracy",
        chart.render(),
        "Correct answers among all requests; a missing or late answer counts as wrong. Band: the "
        "interval of the change since the lowest rate, row by row.",
    )


def _ends(at: AtRate, role: Role, value: float) -> tuple[float, float]:
    """The interval of the change, laid around the accuracy itself; nan where there is none."""
    change = _quality(at, role)
    if at.changes is None:
        return value, value
    if change is None or change.estimate is None or change.interval[0] is None or change.interval[1] is None:
        return float("nan"), float("nan")
    low, high = ((end - change.estimate) / 100 for end in change.interval if end is not None)
    return value + low, value + high


def _goodput_chart(verdict: RatesVerdict) -> Figure:
    x = [at.rate for at in verdict.rates]
    most = max(x[-1], *(_summary(at, role).goodput_rps for at in verdict.rates for role in ROLES))
    chart = Chart(
        "Goodput of both versions at each rate",
        _rate_axis(verdict),
        Axis.linear(0, most, "good answers per second"),
    )
    chart.line([0, x[-1]], [0, x[-1]], "limit")
    for role in ROLES:
        y = [_summary(at, role).goodput_rps for at in verdict.rates]
        _series(chart, x, y, role, [quantity(value, "/s") for value in y])
    return Figure(
        "Goodput", chart.render(), "Answers that are correct and within the objective. Dotted: every arrival."
    )


def _latency_chart(verdict: RatesVerdict, experiment: Experiment) -> Figure:
    x = [at.rate for at in verdict.rates]
    p99 = {role: [_summary(at, role).latency_ms.p99 or np.nan for at in verdict.rates] for role in ROLES}
    objective = 1000 * experiment.objective.latency
    values = [v for series in p99.values() for v in series if np.isfinite(v)] or [1.0]
    chart = Chart(
        "p99 latency of both versions at each rate",
        _rate_axis(verdict),
        Axis.log(min(values), max(*values, objective), "p99 latency, log axis", tick),
    )
    chart.across(objective, "limit", "objective")
    for role, series in p99.items():
        _series(chart, x, series, role, [quantity(value, "ms") for value in series])
    return Figure("Latency", chart.render(), "p99 from the intended send.")
