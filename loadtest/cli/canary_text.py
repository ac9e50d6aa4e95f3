"""How the canary's state reads in a terminal; light to import, for the rollback that must be fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.counted import counted
from loadtest.canary.state import Deployment, Entry, State

if TYPE_CHECKING:
    from rich.console import Console

    from loadtest.canary.shadow_summary import Shadow
    from loadtest.canary.split_check import TrueShares

LAST = 8
"""Entries of the history that a status shows."""


def describe(entry: Entry) -> str:
    """What is in force, in a line: ``candidate v2 gets 10% of unpinned traffic; stable is v1``."""
    candidate, stable = _name(entry.candidate), _name(entry.stable)
    match entry.mode:
        case "split":
            share = f"gets {entry.percent:g}% of unpinned traffic"
            share += ", and what stable fails at" if entry.fallback else ""
        case "shadow":
            share = "is sent a copy of unpinned traffic"
        case "off":
            share = "gets no unpinned traffic"
    return f"candidate {candidate} {share}; stable is {stable}"


def describe_change(before: State, after: State) -> str:
    """What a command did, in a line."""
    if after.now.serial == before.now.serial:
        nothing = "already promoted" if after.is_promoted else "nothing to roll back"
        return f"{nothing}: {describe(after.now)}"
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


def describe_shadow(shadow: Shadow) -> list[str]:
    """What both versions answered to the same requests, in lines."""
    from loadtest.canary.shadow_summary import QUANTILES

    lines = [f"shadow: {shadow.pairs:,} answers joined; of the candidate's copies {shadow.lost}"]
    if shadow.agreement is not None:
        low, high = shadow.interval
        among = f"{shadow.agreement:.1%} of {shadow.users:,} users"
        lines.append(f"  agreement  {among} (95% between {low:.1%} and {high:.1%})")
    if shadow.accuracy:
        shares = ", ".join(f"{role} {share:.1%}" for role, share in shadow.accuracy.items())
        lines.append(f"  accuracy   {shares} of {counted(shadow.judged, 'row')} with feedback")
    for place, quantile in enumerate(QUANTILES) if shadow.latency else ():
        values = ", ".join(f"{role} {v[place] * 1000:.1f} ms" for role, v in shadow.latency.items())
        lines.append(f"  {f'p{quantile * 100:g}':9}  {values}, in the server")
    return lines


def describe_arms(arms: TrueShares, full: bool) -> list[str]:
    """What both arms truly got at this split, in lines; ``full``: more users than a server notes."""
    from loadtest.experiment.role import Role

    lines = []
    for what, counts in (("users", arms.users), ("requests", arms.requests)):
        total = sum(counts.values())
        share = f" ({counts[Role.CANDIDATE] / total:.2%})" if total else ""
        noted = "; later users are not noted" if full and what == "users" else ""
        lines.append(f"{what}: {counts[Role.CANDIDATE]:,} of {total:,} at the candidate{share}{noted}")
    if arms.covered:
        lines.append(
            f"the candidate answered {arms.covered:,} requests of stable's users; they are no evidence"
        )
    return [*lines, *filter(None, (arms.problem, arms.disputed))]


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
