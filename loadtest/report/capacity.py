"""Capacity in the terminal and as one HTML file: the curve, what it costs, and the gates."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.capacity.report import CapacityReport, Point
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES
from loadtest.report import number_format
from loadtest.report.svg import Axis, Chart
from loadtest.report.templating import templates
from loadtest.report.terminal import print_last_line, table


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
    print_last_line(console, report.verdict, report.reason, folder)


def to_html(report: CapacityReport, experiment: Experiment) -> str:
    """capacity.html: one file that opens offline."""
    page = templates().get_template("capacity.html.j2")
    return page.render(
        report=report,
        versions=experiment.versions,
        experiment=experiment.to_toml(),
        chart=_chart(report),
        objective=objective(report),
        answers=answers(report),
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
        found = "none of the limits is enough" if cpus is None else f"{cpus:g} CPUs are enough"
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
    priced = () if report.price is None else ("cost of a million",)
    headings = ("CPU limit", "version", "capacity", "interval", "beyond it", "trials", "requests", *priced)
    shown = table(headings, ("CPU limit", "version"))
    for both in zip(*(report.versions[role] for role in ROLES), strict=True):
        for role, p in zip(ROLES, both, strict=True):
            cost = [number_format.quantity(p.cost_per_million, "") for _ in priced]
            beyond = p.exceeded_first if p.precise else f"{p.exceeded_first}?"
            counts = (f"{p.trials}", f"{p.requests:,}")
            shown.add_row(number_format.limit(p.cpus), role, rate(p), interval(p), beyond, *counts, *cost)
    return shown


def _gates(report: CapacityReport) -> Table:
    shown = table(("", "gate", "CPU limit", "estimate", "interval"), ("", "gate"))
    for gate in report.gates:
        mark = Text(
            f"{number_format.MARKS[gate.verdict]} {gate.verdict}", style=number_format.STYLES[gate.verdict]
        )
        shown.add_row(
            mark,
            Text(gate.name),
            number_format.limit(gate.cpus),
            number_format.estimate(gate),
            number_format.interval(gate),
        )
    return shown


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
        Axis.linear(0, top, "requests per second within the objective"),
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
