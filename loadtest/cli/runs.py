"""``loadproof runs``: what is in the results folder."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from contract.counted import counted
from loadtest.cli.console import console
from loadtest.data.run_folder import remove_abandoned
from loadtest.errors import UsageError
from loadtest.judge.history import ListedRun
from loadtest.report.history import print_runs
from loadtest.workflows.history import read_history, remove, to_remove

_HOURS = {"h": 1, "d": 24, "w": 168}
_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30}
_LIST = TypeAdapter(list[ListedRun])


def runs(
    results: Annotated[Path, typer.Argument(help="The folder of all runs.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    delete_older_than: Annotated[
        str | None,
        typer.Option(help="Show the runs that are older, such as 30d, and delete them with --yes."),
    ] = None,
    delete_beyond: Annotated[
        str | None,
        typer.Option(
            help="The same for the oldest runs, until the rest takes this size or less, such as 5g."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what would be deleted.")] = False,
) -> None:
    """List stored runs, the oldest first; delete old ones where asked."""
    age = None if delete_older_than is None else _age(delete_older_than)
    size = None if delete_beyond is None else _size(delete_beyond)
    deleting = age is not None or size is not None
    if yes and not deleting:
        raise UsageError("--yes: nothing is to be deleted; name --delete-older-than or --delete-beyond")
    now = datetime.now(UTC)
    remove_abandoned(results, lambda line: typer.echo(f"loadproof: {line}", err=True))
    found = read_history(results, now)
    shown = to_remove(results, found, now, age, size) if deleting else found
    if yes:
        remove(results, shown)
    if as_json:
        typer.echo(_LIST.dump_json(shown, indent=2).decode())
        return
    if shown:
        print_runs(console, shown)
    many = counted(len(shown), "run")
    if not deleting:
        console.print(f"{many} in {results}", soft_wrap=True)
    elif yes:
        console.print(f"{many} deleted from {results}", soft_wrap=True)
    else:
        console.print(f"{many} would be deleted from {results}; add --yes to delete", soft_wrap=True)


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([hdw])", text.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"--delete-older-than {text!r}: write an age in hours, days or weeks, such as 30d")
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([kmg])", text.strip().lower(), re.ASCII)
    if match is None:
        raise UsageError(f"--delete-beyond {text!r}: write a size such as 500m or 5g")
    return int(match[1]) * _BYTES[match[2]]
