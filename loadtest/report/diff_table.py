"""What changed between two runs, as tables in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.judge.diff_lines import ROLES_AND_BOTH, Change, Changes
from loadtest.judge.diff_quantiles import QuantileChanges
from loadtest.report.number_format import quantity, signed
from loadtest.report.terminal import table

_STYLES = {"worse": "red", "slower": "red", "better": "green", "faster": "green"}


def print_changes(console: Console, changes: Changes) -> None:
    """A table for each version and one for the candidate against stable, then what to keep in mind."""
    for role in ROLES_AND_BOTH:
        console.print(_table(role, [c for c in changes.changes if c.role == role]))
        console.print()
    arrivals = "the same arrivals and rows" if changes.same_arrivals else "other arrivals"
    for line in (*changes.conditions, arrivals):
        console.print(Text(f"• {line}", style="dim"), soft_wrap=True)
    console.print(
        Text(
            "Both versions of a run share its machine: what changed for stable alike is the machine's or the "
            "load's doing; 'candidate against stable' is free of it.",
            style="dim",
        )
    )


def print_quantiles(console: Console, changes: QuantileChanges) -> None:
    """One table of quantiles, then what each side measured."""
    shown = table(("before", "after", "", "before", "after", "change"), ("before", "after", ""))
    for change in changes.changes:
        shown.add_row(
            change.before,
            change.after,
            change.quantile,
            quantity(change.before_ms, "ms"),
            quantity(change.after_ms, "ms"),
            signed(change.change, "%"),
        )
    console.print(shown)
    for line in changes.conditions:
        console.print(Text(f"• {line}", style="dim"), soft_wrap=True)


def _table(title: str, changes: list[Change]) -> Table:
    headings = (title, "before", "after", "change", "interval", "", "compared")
    shown = table(headings, (title, "", "compared"), wrapped=["compared"])
    for change in changes:
        if change.before is None and change.after is None and change.estimate is None:
            continue
        shown.add_row(
            change.metric,
            quantity(change.before, change.value_unit),
            quantity(change.after, change.value_unit),
            signed(change.estimate, change.unit),
            _interval(change),
            Text(change.reading, style=_STYLES.get(change.reading, "")),
            Text(change.compared, style="dim"),
        )
    return shown


def _interval(change: Change) -> str:
    low, high = change.interval
    if low is None or high is None:
        return "–"
    return f"{signed(low, change.unit)} to {signed(high, change.unit)}"
