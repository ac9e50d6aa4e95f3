"""A canary in the terminal: what is in force and what is known, live; every decision as a line that stays."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loadtest.canary.event import Event

_BAR = 20
_PLAIN_EVERY = 10.0
_STYLES = {
    "shadow": "green",
    "step": "green",
    "promote": "bold green",
    "hold": "",
    "pause": "yellow",
    "rollback": "bold red",
    "stay": "yellow",
}


class CanaryDisplay:
    """An outlet of the controller: ``CanaryDisplay(console).show(event)``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._last_plain = -_PLAIN_EVERY

    def show(self, event: Event) -> None:
        """Show one event; without a terminal, holding is told every ten seconds."""
        decision = event.decision
        if decision.verb != "hold":
            line = f"{event.at:5.0f} s  {decision.verb:8} {decision.split:5g}%  {decision.why}"
            self._console.print(Text(line, style=_STYLES[decision.verb]), soft_wrap=True)
            self._last_plain = event.at
        elif not self._console.is_terminal and event.at - self._last_plain >= _PLAIN_EVERY:
            self._last_plain = event.at
            self._console.print(
                Text(f"{event.at:5.0f} s  at {event.before.split:g}%: {decision.why}"), soft_wrap=True
            )
        if self._console.is_terminal:
            self._update(event)

    def close(self) -> None:
        """End the live part; idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _update(self, event: Event) -> None:
        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(Group(_head(event), _gates(event)), refresh=True)


def _head(event: Event) -> Text:
    split = event.decision.split
    full = round(split / 100 * _BAR)
    since = event.at - event.before.since
    bar = "█" * full + "░" * (_BAR - full)
    return Text(f"{bar} candidate {split:g}% for {since:.0f} s · {event.decision.why}")


def _gates(event: Event) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for alarm in event.evidence.alarms:
        share = "" if alarm.evidence is None else f"{min(alarm.evidence, 1):.0%} of an alarm"
        table.add_row(Text(f"rollback {alarm.gate}"), alarm.finding, share, Text(alarm.text))
    if shadow := event.evidence.shadow:
        agreed = "-" if shadow.agreement is None else f"{shadow.agreement:.1%}"
        joined = Text(f"{shadow.pairs:,} joined, {shadow.lost}")
        table.add_row(Text("shadow"), "", f"{agreed} agree", joined)
    for proof in event.evidence.proofs:
        table.add_row(Text(f"gate     {proof.gate}"), "", f"{proof.shown[-1]:.0%} shown", Text(proof.text))
    return table
