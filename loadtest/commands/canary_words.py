"""How the canary's state reads in a terminal; light to import, for the rollback that must be fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.canary.state import Deployment, Entry, State

if TYPE_CHECKING:
    from rich.console import Console

LAST = 8
"""Entries of the history that a status shows."""


def describe(entry: Entry) -> str:
    """What is in force, in a line: ``candidate v2 gets 10% of unpinned traffic; stable is v1``."""
    candidate, stable = _name(entry.candidate), _name(entry.stable)
    match entry.mode:
        case "split":
            share = f"gets {entry.percent:g}% of unpinned traffic"
        case "shadow":
            share = "is sent a copy of unpinned traffic"
        case "off":
            share = "gets no unpinned traffic"
    return f"candidate {candidate} {share}; stable is {stable}"


def describe_change(before: State, after: State) -> str:
    """What a command did, in a line."""
    if after.now.serial == before.now.serial:
        return f"nothing to roll back: {describe(after.now)}"
    return f"{_DONE[after.now.action]}: {describe(after.now)}"


def print_status(console: Console, lab: str, state: State) -> None:
    """Print what is in force, and the end of the history."""
    from rich.table import Table

    now = state.now
    console.print(f"{lab}: {describe(now)}", soft_wrap=True)
    console.print(
        f"since {state.since:%Y-%m-%d %H:%M:%S} UTC by {now.note.by}: {now.note.why}", soft_wrap=True
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "at (UTC)", "by", "action", "split", "stable", "candidate", "why"):
        table.add_column(heading, overflow="fold")
    for entry in state.history[-LAST:]:
        share = f"{entry.percent:g}%" if entry.mode == "split" else entry.mode
        names = _name(entry.stable), _name(entry.candidate)
        at = f"{entry.note.at:%m-%d %H:%M:%S}"
        table.add_row(str(entry.serial), at, entry.note.by, entry.action, share, *names, entry.note.why)
    console.print(table)


_DONE = {
    "begin": "begun",
    "set": "set",
    "shadow": "shadowed",
    "hold": "held",
    "promote": "promoted",
    "rollback": "rolled back",
}


def _name(deployment: Deployment) -> str:
    return deployment.version or f"in service {deployment.service}"
