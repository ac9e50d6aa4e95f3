"""Many runs: as a table in the terminal, and as a page that shows each gate from run to run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from loadtest.judge.history import ListedGate, ListedRun
from loadtest.judge.quality_tests import LARGEST
from loadtest.judge.verdict import Word
from loadtest.report.number_format import MARKS, STYLES, memory, quantity, signed
from loadtest.report.svg import Axis, Chart
from loadtest.report.templating import templates
from loadtest.report.terminal import table

_SHOWN_GATES = 2
_MOST_TICKS = 10
_REACH = 2.0
_MOST_MARKS = 45
"""Of one chart, so that none lies on another."""
_WORST = (Word.FAIL, Word.INVALID, Word.INCONCLUSIVE, Word.PASS)


def print_runs(console: Console, runs: Sequence[ListedRun]) -> None:
    """A line for each run, then what its columns have no room for."""
    headings = ("began (UTC)", "experiment", "stable", "candidate", "", "load", "size", "decisive gates")
    shown = table(headings, (*headings[:5], headings[-1]), wrapped=["decisive gates", "experiment", ""])
    for run in runs:
        shown.add_row(
            f"{run.began:%Y-%m-%d %H:%M:%S}",
            Text(run.experiment or run.name),
            Text(run.stable or "–"),
            Text(run.candidate or "–"),
            _word(run),
            quantity(run.duration_s, "s"),
            memory(run.size_bytes),
            Text(figures(run) or run.reason),
        )
    console.print(shown)


def _word(run: ListedRun) -> Text:
    if run.verdict is None:
        return Text(state(run), style="dim")
    return Text(f"{MARKS[run.verdict]} {run.verdict}", style=STYLES[run.verdict])


def state(run: ListedRun) -> str:
    """What a run is, where it has no verdict."""
    return f"no verdict ({run.kind})" if run.state == "whole" else run.state


def figures(run: ListedRun) -> str:
    """The decisive gates with their estimates and intervals."""
    lines = [f"{gate.title}: {figure(gate)}" for gate in run.decisive]
    more = f"; {len(lines) - _SHOWN_GATES} more" if len(lines) > _SHOWN_GATES else ""
    return "; ".join(lines[:_SHOWN_GATES]) + more


def figure(gate: ListedGate) -> str:
    """A gate's estimate and interval as text."""
    show = signed if gate.is_difference else quantity
    if gate.estimate is None:
        return "no estimate"
    low, high = gate.interval
    if low is None and high is None:
        return show(gate.estimate, gate.unit)
    ends = ("−∞" if low is None else show(low, gate.unit), "+∞" if high is None else show(high, gate.unit))
    return f"{show(gate.estimate, gate.unit)} ({' to '.join(ends)})"


class Row(NamedTuple):
    """A run in the table of its experiment: its number there, and the link to its page ('' for none)."""

    number: int
    run: ListedRun
    link: str


class GateChart(NamedTuple):
    """A gate from run to run; ``note``: what the chart leaves out ('' for nothing)."""

    title: str
    chart: Markup
    note: str = ""


class Section(NamedTuple):
    """One experiment: its runs and its gates."""

    title: str
    rows: list[Row]
    charts: list[GateChart]


def history_to_html(runs: Sequence[ListedRun], results: Path, page: Path) -> str:
    """One page over all runs, a section per experiment; it opens offline.

    ``page`` is where the document will lie, for its links.
    """
    way = os.path.relpath(os.path.realpath(results), Path(os.path.realpath(page)).parent)
    by_experiment: dict[tuple[str, str | None], list[ListedRun]] = {}
    for run in runs:
        if run.experiment is not None:
            apart = f", {run.kind}" if run.kind in ("capacity", "rates") else ""
            by_experiment.setdefault((run.experiment + apart, run.model), []).append(run)
    names = Counter(name for name, _ in by_experiment)
    sections = [
        _section(f"{name}, model {model or '–'}" if names[name] > 1 else name, of_it, way)
        for (name, model), of_it in by_experiment.items()
    ]
    unreadable = [run for run in runs if run.experiment is None]
    return (
        templates()
        .get_template("history.html.j2")
        .render(sections=sections, unreadable=unreadable, figures=figures, state=state)
    )


def _section(title: str, runs: Sequence[ListedRun], way: str) -> Section:
    rows = [
        Row(number, run, quote(f"{way}/{run.report}") if run.report else "")
        for number, run in enumerate(runs, start=1)
    ]
    seen: dict[tuple[str, str, bool, str], list[tuple[Row, ListedGate]]] = {}
    for row in rows:
        for gate in row.run.gates:
            seen.setdefault(gate.series, []).append((row, gate))
    return Section(title, rows, [_gate_chart(points, len(rows)) for points in seen.values()])


def _gate_chart(points: Sequence[tuple[Row, ListedGate]], count: int) -> GateChart:
    drawn = [(row, gate) for row, gate in points if _can_be_drawn(gate)]
    left = [f"{row.number}" for row, gate in points if not _can_be_drawn(gate)]
    note = f"not drawn, with a figure of {LARGEST:g} or more: run{'s' * (len(left) > 1)} {', '.join(left)}"
    title = points[-1][1].title
    return GateChart(title, gate_chart(drawn, count) if drawn else Markup(), note if left else "")


def _can_be_drawn(gate: ListedGate) -> bool:
    """Whether an axis can hold its figures; what was damaged may be of any size."""
    figures = (gate.estimate, gate.margin, *gate.interval)
    return all(figure is None or abs(figure) < LARGEST for figure in figures)


def gate_chart(points: Sequence[tuple[Row, ListedGate]], count: int) -> Markup:
    """Estimates with intervals and limits, run by run; what lies beyond the chart ends at its edge.

    ``count`` is how many runs there are in the section.
    """
    last = points[-1][1]
    y, highest = _vertical(points)
    step = max(1, -(-count // _MOST_TICKS))
    ticks = [(float(i), str(i)) for i in range(1, count + 1, step)]
    chart = Chart(
        f"{last.title}: estimate and interval from run to run", Axis(0.5, count + 0.5, ticks, "run"), y
    )
    if last.is_difference and y.low < 0 < y.high:
        chart.across(0.0, "zero")
    x = np.array([row.number for row, _ in points], dtype=np.float64)
    margins = [gate.margin for _, gate in points]
    chart.line(np.column_stack([x - 0.5, x + 0.5]).ravel(), np.repeat(margins, 2), "limit")
    for number, word in marks(points, count):
        chart.note(number, y.high, MARKS[word])
    for row, gate in points:
        number, word = float(row.number), _shown(row, gate)
        if gate.estimate is None:
            continue
        low, high = gate.interval
        if gate.interval != (None, None):
            ends = [y.low if low is None else low, highest if high is None else min(high, highest)]
            chart.line([number, number], ends, word)
        run = row.run
        title = (
            f"run {row.number}, {run.began:%Y-%m-%d %H:%M} UTC: "
            f"{run.candidate or '–'} beside {run.stable or '–'}, {word}; {gate.title}: {figure(gate)}"
        )
        chart.dots([number], [gate.estimate], word, [title])
    return chart.render()


def marks(points: Sequence[tuple[Row, ListedGate]], count: int) -> list[tuple[float, Word]]:
    """Where the verdicts' marks stand, in runs: of neighbours that have no room for one each, the worst."""
    width = max(1, -(-count // _MOST_MARKS))
    slots: dict[int, list[tuple[Row, ListedGate]]] = {}
    for row, gate in points:
        slots.setdefault((row.number - 1) // width, []).append((row, gate))
    placed = []
    for slot in slots.values():
        word = min((_shown(row, gate) for row, gate in slot), key=_WORST.index)
        placed.append((sum(row.number for row, _ in slot) / len(slot), word))
    return placed


def _shown(row: Row, gate: ListedGate) -> Word:
    """A run that measured nothing trustworthy shows as such, whatever its gates said."""
    return Word.INVALID if row.run.verdict is Word.INVALID else gate.verdict


def _vertical(points: Sequence[tuple[Row, ListedGate]]) -> tuple[Axis, float]:
    """An axis on which estimates and limits can be told apart, however wide one interval is.

    Returns:
        The axis, and the value up to which shapes may reach: above it are the marks.
    """
    gates = [gate for _, gate in points]
    inner = [gate.margin for gate in gates] + [g.estimate for g in gates if g.estimate is not None]
    inner += [0.0] if gates[-1].is_difference else []
    spread = (max(inner) - min(inner)) or abs(inner[0]) or 1.0
    ends = [end for gate in gates for end in gate.interval if end is not None]
    low = max(min([*inner, *ends]), min(inner) - _REACH * spread)
    high = min(max([*inner, *ends]), max(inner) + _REACH * spread)
    unit, what = gates[-1].unit, "candidate − stable" if gates[-1].is_difference else "candidate"
    # a tenth of room above, for the marks
    return Axis.linear(low, high + 0.1 * (high - low), f"{what}, {unit}" if unit else what), high
