"""A run in the terminal: a live line while it lasts, then the verdict table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loadtest.judge.verdict import Verdict, Word
from loadtest.report.words import MARKS, QUANTILES, estimate, interval, limit, quantity, share

_STYLES = {Word.PASS: "green", Word.FAIL: "red", Word.INCONCLUSIVE: "yellow", Word.INVALID: "magenta"}


class TerminalProgress:
    """Steps as lines, the load as one live line; plain lines every ten seconds where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._last_plain = -10.0

    def step(self, text: str) -> None:
        """Say that a step began."""
        self.close()
        self._console.print(Text(f"• {text}", style="dim"))

    def tick(self, event: dict[str, Any]) -> None:
        """Show what the load generator just reported."""
        line = progress_line(event)
        if not self._console.is_terminal:
            if event.get("elapsed", 0.0) - self._last_plain >= 10:
                self._last_plain = event.get("elapsed", 0.0)
                self._console.print(line, highlight=False)
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(Text(line), refresh=True)

    def close(self) -> None:
        """End the live line, so that other output does not mix with it; idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def progress_line(event: dict[str, Any]) -> str:
    """One line from a report of the load generator."""
    parts = [f"{event.get('elapsed', 0.0):5.0f} s", f"{event.get('done', 0):,} answers"]
    for role, seen in event.get("versions", {}).items():
        accuracy = "" if seen.get("accuracy") is None else f" accuracy {share(seen['accuracy'])}"
        errors = f" errors {seen['errors']}" if seen.get("errors") else ""
        p50, p99 = (quantity(seen.get(q), "ms") for q in ("p50", "p99"))
        parts.append(f"{role}: p50 {p50} p99 {p99}{accuracy}{errors}")
    return "  │ ".join(parts)


def gate_table(verdict: Verdict) -> Table:
    """The gates of a verdict, one a row."""
    table = _table("", "gate", "estimate", "interval", "why", left=("", "gate", "why"))
    for gate in verdict.gates:
        mark = Text(f"{MARKS[gate.verdict]} {gate.verdict}", style=_STYLES[gate.verdict])
        table.add_row(mark, Text(gate.name), estimate(gate), interval(gate), Text(gate.reason, style="dim"))
    return table


def version_table(verdict: Verdict) -> Table:
    """Both versions side by side."""
    table = _table(
        *(
            "version",
            "requests",
            "errors",
            *QUANTILES,
            "accuracy",
            "value/1,000",
            "goodput",
            "CPU limit",
            "throttled",
        ),
        left=("version",),
    )
    for role, seen in verdict.versions.items():
        table.add_row(
            role,
            f"{seen.requests:,}",
            f"{seen.errors:,}",
            *(quantity(getattr(seen.latency_ms, q), "ms") for q in QUANTILES),
            share(seen.accuracy),
            quantity(seen.value_per_1000, ""),
            quantity(seen.goodput_rps, "/s"),
            limit(seen.cpus),
            share(seen.cpu_throttled_ratio),
        )
    return table


def _table(*headings: str, left: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", overflow="fold")
    return table


def print_verdict(console: Console, verdict: Verdict, folder: str | None) -> None:
    """The tables, where the run lies, and as the last line the verdict with its exit code."""
    console.print()
    console.print(version_table(verdict))
    console.print()
    console.print(gate_table(verdict))
    console.print()
    if folder:
        console.print(Text(f"run folder: {folder}", style="dim"), soft_wrap=True)
    line = Text(f"{MARKS[verdict.verdict]} {verdict.verdict}", style=f"bold {_STYLES[verdict.verdict]}")
    console.print(
        line + Text(f": {verdict.reason} (exit code {int(verdict.verdict.exit_code)})"), soft_wrap=True
    )
