"""The state file: JSON that a person can read, what is in force first and the newest entry last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from loadtest.canary.state import Action, Deployment, Entry, Mode, Note, State
from loadtest.errors import StateError
from loadtest.experiment.role import Role

SCHEMA = 1
STATE_FILE = "state.json"


def encode(state: State) -> str:
    """The file's text. ``history`` is the record; the fields before it repeat its last entry."""
    history = [_encode(entry) for entry in state.history]
    head = {**history[-1], "since": _stamp(state.since)}
    lines = ",\n".join("  " + json.dumps(entry, allow_nan=False) for entry in history)
    top = json.dumps({"schema": SCHEMA, **head}, indent=1, allow_nan=False)
    return f'{top.removesuffix("}").rstrip()},\n "history": [\n{lines}\n ]\n}}\n'


def decode(text: str, source: str) -> State:
    """Read a state back; ``source`` names the file in messages.

    Raises:
        StateError: it is no state, or its history has a gap.
    """
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise StateError(f"{source}: schema {document['schema']!r} is not {SCHEMA}; update loadproof")
        history = tuple(_decode(entry) for entry in document["history"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{source}: not a canary state ({type(error).__name__}: {error}); "
            "move it away and the lab begins a new one"
        ) from None
    serials = [entry.serial for entry in history]
    if not history or serials != list(range(1, len(history) + 1)):
        raise StateError(f"{source}: the history has a gap; move the file away and the lab begins a new one")
    return State(history)


def _encode(entry: Entry) -> dict[str, Any]:
    note = entry.note
    document = {
        "serial": entry.serial,
        "at": _stamp(note.at),
        "by": note.by,
        "action": entry.action,
        "mode": entry.mode,
        "percent": entry.percent,
        "stable": entry.stable._asdict(),
        "candidate": entry.candidate._asdict(),
        "why": note.why,
    }
    if entry.fallback:
        document["fallback"] = True
    return document | ({"evidence": dict(note.evidence)} if note.evidence else {})


def _decode(document: Mapping[str, Any]) -> Entry:
    if document["action"] not in get_args(Action) or document["mode"] not in get_args(Mode):
        raise ValueError(f"action {document['action']!r} in mode {document['mode']!r}")
    return Entry(
        serial=document["serial"],
        action=document["action"],
        mode=document["mode"],
        percent=float(document["percent"]),
        stable=_deployment(document["stable"]),
        candidate=_deployment(document["candidate"]),
        note=Note(
            by=document["by"],
            why=document["why"],
            at=datetime.fromisoformat(document["at"]),
            evidence=document.get("evidence", {}),
        ),
        fallback=document.get("fallback", False) is True,
    )


def _deployment(document: Mapping[str, Any]) -> Deployment:
    return Deployment(Role(document["service"]), document["version"])


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
