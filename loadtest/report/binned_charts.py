"""Bins with intervals on a chart, and how many rows a chart is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadtest.experiment.role import Role
from loadtest.judge.answered_rows import MOST_ROWS
from loadtest.report.svg import Chart
from loadtest.stats.curves import Binned

TALL = 300
"""The height of a chart whose axes are alike."""


def percent(share: float) -> str:
    """A share of 1 on an axis."""
    return f"{100 * share:g}%"


def drawn_rows(counts: Sequence[int]) -> str:
    """How many distinct rows of each version a chart is of."""
    if max(counts) >= MOST_ROWS:
        return f"{MOST_ROWS:,} distinct rows drawn by lot"
    return f"{min(counts):,} distinct rows that were answered"


def draw_bins(chart: Chart, found: Binned, role: Role, show: Callable[[float], str]) -> None:
    """What happened by what was predicted: a line, its bins as dots, and their intervals."""
    chart.whiskers(found.predicted, found.low, found.high, role)
    chart.line(found.predicted, found.happened, role)
    titles = [
        f"{role}: predicted {show(x)}, was {show(y)} ({show(low)} to {show(high)}) of {rows:,} rows"
        for x, y, low, high, rows in zip(*found, strict=True)
    ]
    chart.dots(found.predicted, found.happened, role, titles)
