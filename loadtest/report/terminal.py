"""A run in the terminal: a live line while it lasts, then the verdict table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loadtest.data.timings import PARTS
from loadtest.experiment.role import ROLES, ROLES_WITH_CONTROL
from loadtest.judge.live_view import LiveView
from loadtest.judge.verdict import GateResult, Verdict, Word
from loadtest.report.number_format import (
    MARKS,
    OPEN,
    QUANTILES,
    STYLES,
    accuracy_row,
    changed,
    control_of,
    count,
    drawn,
    errors,
    estimate,
    foreign,
    interval,
    latency,
    limit,
    limit_of,
    look_cached,
    memory,
    not_answers,
    part_quantiles,
    phase_errors,
    phase_quantiles,
    phase_rate,
    quantity,
    rows,
    share,
    worst_slice,
)

_WIDE = 110


class TerminalProgress:
    """Steps as lines, the load as one live line; plain lines every ten seconds where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._last_plain = -10.0
        self._last_gates = ""

    def step(self, text: str) -> None:
        """Say that a step began."""
        self.close()
        self._last_plain, self._last_gates = -10.0, ""
        self._console.print(Text(f"• {text}", style="dim"), soft_wrap=True)

    def tick(self, event: dict[str, Any], view: LiveView | None) -> None:
        """Show what the load generator just reported, and the gates as the last analysis saw them."""
        line = progress_line(event)
        if "workers" in event or "clocks" in event:
            self.step(line)
            return
        if not self._console.is_terminal:
            baseline = event.get("baseline")
            if baseline and baseline["asked"] == baseline["rows"]:
                self._console.print(line, highlight=False, soft_wrap=True)
            elif self._is_due(event):
                self._last_plain = event.get("elapsed", 0.0)
                self._console.print(line, highlight=False, soft_wrap=True)
                if view is not None and gates_text(view) != self._last_gates:
                    self._last_gates = gates_text(view)
                    self._console.print(gates_line(view), highlight=False, soft_wrap=True)
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(Group(Text(line), *([live_table(view)] if view else [])), refresh=True)

    def _is_due(self, event: dict[str, Any]) -> bool:
        elapsed: float = event.get("elapsed", 0.0)
        # while nothing is answered there is nothing to show, unless it stays so
        return elapsed - self._last_plain >= 10 and (bool(event.get("done")) or elapsed >= 10)

    def close(self) -> None:
        """End the live line, so that other output does not mix with it; idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def progress_line(event: dict[str, Any]) -> str:
    """One line from a report of the load generator."""
    if baseline := event.get("baseline"):
        when = "after" if baseline.get("when") == "after" else "before"
        return f"{when} the load │ {baseline['asked']:,} of {baseline['rows']:,} rows answered without load"
    if workers := event.get("workers"):
        there = f"{workers['joined']} of {workers['expected']} workers have joined at {workers['at']}"
        there += f"; {workers['refused']}" if "refused" in workers else ""
        missing = workers["joined"] < workers["expected"]
        return f"{there}; on every other machine: {workers['start']}" if missing else there
    if clocks := event.get("clocks"):
        off = (
            f"worker {worker}'s is {abs(skew):,.0f} s {'ahead' if skew > 0 else 'behind'}"
            for worker, skew in clocks.items()
        )
        return f"clocks differ from this machine's, and no time was taken from them: {', '.join(off)}"
    parts = [f"{event.get('elapsed', 0.0):5.0f} s", f"{event.get('done', 0):,} answers"]
    for role, seen in event.get("versions", {}).items():
        accuracy = "" if seen.get("accuracy") is None else f" accuracy {share(seen['accuracy'])}"
        errors = f" errors {seen['errors']}" if seen.get("errors") else ""
        p50, p99 = (quantity(seen.get(q), "ms") for q in ("p50", "p99"))
        parts.append(f"{role}: p50 {p50} p99 {p99}{accuracy}{errors}")
    return "  │ ".join(parts)


def gates_line(view: LiveView) -> str:
    """One line: when the gates were analysed, and what came of it."""
    return f"{view.elapsed:5.0f} s  │ gates: {gates_text(view)}"


def gates_text(view: LiveView) -> str:
    """The gates that are decided, and the intervals of those that are open."""
    parts = []
    for gate in view.gates:
        open_ = gate.verdict is Word.INCONCLUSIVE
        between = f" {interval(gate)} of {limit_of(gate)}" if open_ and gate.estimate is not None else ""
        parts.append(f"{OPEN if open_ else MARKS[gate.verdict]} {gate.gate.measured}{between}")
    return ", ".join(parts)


def live_table(view: LiveView) -> Table:
    """The gates while the load lasts: each interval closing in, drawn against its limit."""
    shown = table(("", "gate", "estimate", "interval", ""), ("", "gate"), wrapped=["gate"])
    for gate in view.gates:
        open_ = gate.verdict is Word.INCONCLUSIVE
        mark = Text(OPEN if open_ else f"{MARKS[gate.verdict]} {gate.verdict}", style=STYLES[gate.verdict])
        shown.add_row(mark, Text(gate.name), estimate(gate), interval(gate), Text(drawn(gate)))
    return shown


def gate_table(verdict: Verdict, *, wide: bool) -> Table:
    """The gates of a verdict, one a row; the versions' own values where there is room."""
    against = ("control against stable",) if verdict.control else ()
    headings = ("", "gate", *(ROLES if wide else ()), "estimate", "interval", *against)
    shown = table(headings, ("", "gate"), wrapped=["gate", *against])
    for gate in verdict.gates:
        mark = Text(f"{MARKS[gate.verdict]} {gate.verdict}", style=STYLES[gate.verdict])
        own = [quantity(value, gate.value_unit) for value in (gate.stable, gate.candidate)]
        noise = (control_of(verdict, gate),) if verdict.control else ()
        shown.add_row(mark, Text(gate.name), *(own if wide else ()), estimate(gate), interval(gate), *noise)
    return shown


def version_table(verdict: Verdict) -> Table:
    """The versions side by side, with the control where there is one."""
    roles = [role for role in ROLES_WITH_CONTROL if role in verdict.versions]
    shown = table(("", *roles), ("",))
    both = [verdict.versions[role] for role in roles]
    shown.add_row("requests", *(f"{v.requests:,}" for v in both))
    if any(v.rows for v in both):
        shown.add_row("rows in them", *(f"{v.rows or v.requests:,}" for v in both))
    shown.add_row("errors", *(errors(v) for v in both))
    if any(v.warmup_errors for v in both):
        shown.add_row("errors in the warm-up", *(count(v.warmup_errors) for v in both))
    if any(v.not_answer_examples for v in both):
        shown.add_row("no answers of this model", *(not_answers(v) for v in both))
    shown.add_row("mismatches", *(changed(v) for v in both))
    if any(v.resent for v in both):
        shown.add_row("sent once more", *(count(v.resent) for v in both))
    if any(v.foreign_answers for v in both):
        shown.add_row("answers that are no label", *(foreign(v) for v in both))
    for q in QUANTILES:
        shown.add_row(f"{q} latency", *(latency(v, q) for v in both))
    if any(v.accuracy is not None for v in both):
        shown.add_row(accuracy_row(verdict), *(share(v.accuracy) for v in both))
    if both[0].value_per_1000 is not None:
        shown.add_row("value per 1,000", *(quantity(v.value_per_1000, "") for v in both))
    shown.add_row("goodput", *(quantity(v.goodput_rps, "/s") for v in both))
    shown.add_row("CPU limit", *(limit(v.cpus) for v in both))
    shown.add_row("CPU throttled", *(share(v.cpu_throttled_ratio) for v in both))
    if any(v.memory_bytes is not None for v in both):
        shown.add_row("memory", *(memory(v.memory_bytes) for v in both))
    return shown


def timing_table(verdict: Verdict) -> Table:
    """Where the versions' time went, one part of a request a row; empty where it was not recorded."""
    roles = [role for role in ROLES_WITH_CONTROL if role in verdict.versions]
    headings = ("part", *(f"{role} p50 · p95 · p99" for role in roles))
    shown = table(headings, ("part",), wrapped=headings)
    timings = [verdict.versions[role].timings for role in roles]
    for part in PARTS:
        if any(part in each for each in timings):
            shown.add_row(part, *(part_quantiles(each.get(part)) for each in timings))
    return shown


def phase_table(verdict: Verdict) -> Table:
    """The phases of the load, one a row; quantiles are p50, p95 and p99."""
    headings = ("phase", "rate", "achieved", *(f"{role} p50 · p95 · p99" for role in ROLES), "errors")
    shown = table(headings, ("phase",), wrapped=headings)
    for phase in verdict.phases:
        shown.add_row(
            Text(phase.name),
            phase_rate(phase),
            f"{quantity(phase.achieved_rps, '')} of {quantity(phase.offered_rps, '/s')}",
            *(phase_quantiles(phase, role) for role in ROLES),
            phase_errors(phase),
        )
    return shown


def table(headings: Sequence[str], left: Sequence[str], wrapped: Sequence[str] = ()) -> Table:
    """An empty table without lines; figures stand on the right, and only what is ``wrapped`` breaks."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        justify: Literal["left", "right"] = "left" if heading in left else "right"
        made.add_column(heading, justify=justify, no_wrap=heading not in wrapped)
    return made


def print_verdict(console: Console, verdict: Verdict, folder: str | None) -> None:
    """The tables, where the run lies, and as the last line the verdict with its exit code."""
    console.print()
    console.print(version_table(verdict))
    if (timings := timing_table(verdict)).row_count:
        console.print()
        console.print(timings)
    if verdict.phases:
        console.print()
        console.print(phase_table(verdict))
    console.print()
    console.print(gate_table(verdict, wide=console.width >= _WIDE))
    console.print()
    if verdict.rows is not None:
        console.print(Text(rows(verdict.rows), style="dim"), soft_wrap=True)
    for line in look_cached(verdict):
        console.print(Text(line), soft_wrap=True)
    if (worst := worst_slice(verdict)) is not None:
        console.print(Text(worst), soft_wrap=True)
    print_unmet(console, verdict.gates)
    print_last_line(console, verdict.verdict, verdict.reason, folder)


def print_unmet(console: Console, gates: Sequence[GateResult], where: str = "") -> None:
    """Why each gate that is not met is not."""
    for gate in gates:
        if gate.verdict is not Word.PASS:
            why = Text(f"{MARKS[gate.verdict]} {where}{gate.name}: ", style=STYLES[gate.verdict])
            console.print(why + Text(gate.reason, style="default"), soft_wrap=True)


def print_last_line(console: Console, word: Word, reason: str, folder: str | None) -> None:
    """Where the run lies, and as the last line the verdict with its exit code."""
    if folder:
        console.print(Text(f"run folder: {folder}", style="dim"), soft_wrap=True)
    line = Text(f"{MARKS[word]} {word}", style=f"bold {STYLES[word]}")
    console.print(line + Text(f": {reason} (exit code {int(word.exit_code)})"), soft_wrap=True)
