"""Capacity in the terminal and as one HTML file: the curve, what it costs, and the gates."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.capacity.report import CapacityReport, Point
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.judge.verdict import Word
from loadtest.report import number_format
from loadtest.report.svg import Axis, Chart
from loadtest.report.templating import templates

_STYLES = {Word.PASS: "green", Word.FAIL: "red", Word.INCONCLUSIVE: "yellow", Word.INVALID: "magenta"}


def print_capacity(console: Console, report: CapacityReport, folder: str) -> None:
    """The tables, where the run lies, and as the last line the verdict with its exit code."""
    console.print()
    console.print(_points(report))
    console.print()
    if report.gates:
        console.print(_gates(report))
        console.print()
    for line in answers(report):
        console.print(Text(line), soft_wrap=True)
    console.print(Text(f"run folder: {folder}", style="dim"), soft_wrap=True)
    word = report.verdict
    mark = Text(f"{number_format.MARKS[word]} {word}", style=f"bold {_STYLES[word]}")
    console.print(mark + Text(f": {report.reason} (exit code {int(word.exit_code)})"), soft_wrap=True)


def to_html(report: CapacityReport, experiment: Experiment) -> str:
    """capacity.html: one file that opens offline."""
    return (
        templates()
        .get_template("capacity.html.j2")
        .render(
            report=report,
            versions=experiment.versions,
            experiment=experiment.to_toml(),
            chart=_chart(report),
            objective=objective(report),
            answers=answers(report),
        )
    )


def objective(report: CapacityReport) -> str:
    """The objective in words."""
    asked = report.objective
    return f"p{100 * asked.quantile:g} <= {asked.latency_ms:g} ms, errors <= {100 * asked.error_rate:g}%"


def answers(report: CapacityReport) -> list[str]:
    """What was asked beside the capacity, a line a version."""
    if report.at_rate is None or report.cheapest is None:
        return []
    lines = []
    for role in ROLES:
        cpus = report.cheapest.get(role)
        found = "no limit that was tried is enough" if cpus is None else f"{cpus:g} CPUs are enough"
        lines.append(f"{role} at {report.at_rate:g}/s: {found}")
    return lines


def rate(point: Point) -> str:
    """A capacity as text."""
    return "none met it" if point.capacity is None else number_format.quantity(point.capacity, "/s")


def interval(point: Point) -> str:
    """Its interval as text."""
    low, high = point.interval
    ends = (
        "0/s" if low is None else number_format.quantity(low, "/s"),
        "∞" if high is None else number_format.quantity(high, "/s"),
    )
    return " to ".join(ends)


def _points(report: CapacityReport) -> Table:
    table = _table(("CPU limit", "version"), ("capacity", "interval", "beyond it", "trials", "requests"))
    if report.price is not None:
        table.add_column("cost of a million", justify="right")
    for both in zip(*(report.versions[role] for role in ROLES), strict=True):
        for role, p in zip(ROLES, both, strict=True):
            cost = [] if report.price is None else [number_format.quantity(p.cost_per_million, "")]
            beyond = p.exceeded_first if p.precise else f"{p.exceeded_first}?"
            table.add_row(
                number_format.limit(p.cpus),
                role,
                rate(p),
                interval(p),
                beyond,
                f"{p.trials}",
                f"{p.requests:,}",
                *cost,
            )
    return table


def _gates(report: CapacityReport) -> Table:
    table = _table(("", "gate"), ("CPU limit", "estimate", "interval"))
    for gate in report.gates:
        mark = Text(f"{number_format.MARKS[gate.verdict]} {gate.verdict}", style=_STYLES[gate.verdict])
        table.add_row(
            mark,
            Text(gate.name),
            number_format.limit(gate.cpus),
            number_format.estimate(gate),
            number_format.interval(gate),
        )
    return table


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (*left, *right):
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    return table


def _chart(report: CapacityReport) -> str:
    """Capacity over the CPU limit with its interval; empty where there is nothing to draw."""
    known = [
        p
        for role in report.versions
        for p in report.versions[role]
        if p.capacity is not None and p.cpus is not None
    ]
    if not known:
        return ""
    top = max(p.interval[1] or p.capacity or 0.0 for p in known)
    widest = max(p.cpus or 0.0 for p in known)
    chart = Chart(
        "Capacity of both versions over the CPU limit",
        Axis.linear(0, widest, "CPU limit (cores)"),
        Axis.linear(0, top, "requests a second within the objective"),
    )
    for role in ROLES:
        mine = [p for p in known if p in report.versions[role]]
        cpus = [p.cpus or 0.0 for p in mine]
        rates = [p.capacity or 0.0 for p in mine]
        chart.line(cpus, rates, role)
        for p in mine:
            chart.line([p.cpus or 0.0] * 2, [p.interval[0] or 0.0, p.interval[1] or top], role)
        chart.dots(cpus, rates, role, [f"{role}: {rate(p)} ({interval(p)})" for p in mine])
    if report.at_rate is not None and report.at_rate <= top:
        chart.across(report.at_rate, "limit", f"{report.at_rate:g}/s")
    return chart.render()
