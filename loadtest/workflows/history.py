"""The history of ``results/``: what each run folder holds, and the removal of old ones on request."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loadtest.data.cut_off_run import is_cut_off
from loadtest.data.run_folder import EXPERIMENT, LOAD, RATES, SAMPLES, STREAM, VERDICT, holds_samples
from loadtest.errors import LoadproofError, UsageError
from loadtest.judge.history import ListedGate, ListedRun, beyond_size
from loadtest.workflows.capacity import CAPACITY

STATE = "state.json"
"""What a canary leaves beside its experiment."""

_NAME = re.compile(r"\.?(\d{8}T\d{6}Z)-.+")
_STILL = timedelta(seconds=60)
_LONGEST_RUN = timedelta(days=1)
"""A folder that is not whole is deleted only when its run began earlier: it may go on without writing."""
_GATES = TypeAdapter(tuple[ListedGate, ...])


def read_history(results: Path, now: datetime) -> list[ListedRun]:
    """All runs of a results folder, the oldest first; folders that are no runs are left out.

    ``now`` tells a run that was cut off from one that is under way.

    Raises:
        UsageError: there is no such folder, it cannot be listed, or it is a run itself.
    """
    if (results / EXPERIMENT).is_file() and holds_samples(results):
        raise UsageError(f"{results}: is a run itself; name the folder that holds it")
    try:
        folders = sorted(path for path in results.iterdir() if not path.is_symlink() and path.is_dir())
    except OSError as error:
        raise UsageError(
            f"{results}: {error.strerror}; name the folder that holds the run folders"
        ) from error
    runs = [run for folder in folders if (run := _read(folder, now)) is not None]
    return sorted(runs, key=lambda run: (run.began, run.name))


def _read(folder: Path, now: datetime) -> ListedRun | None:
    """One folder; None: it is no run."""
    named = _NAME.fullmatch(folder.name)
    try:
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        known = any((folder / name).is_file() for name in (SAMPLES, STREAM)) or (
            (folder / EXPERIMENT).is_file()
            and (
                any(holds_samples(place) for place in {path.parent for path in files})
                or any((folder / name).is_file() for name in (VERDICT, RATES, CAPACITY, STATE))
            )
        )
        if not known and not named:
            return None
        status = [path.stat() for path in files]
        written = [one.st_mtime for one in status] or [folder.stat().st_mtime]
        began = (_began(named[1]) if named else None) or _load_began(folder)
        facts: dict[str, Any] = {
            "name": folder.name,
            "size_bytes": sum(one.st_size for one in status),
            "began": began or datetime.fromtimestamp(min(written), UTC),
        }
    except OSError as error:
        began = (_began(named[1]) if named else None) or datetime.fromtimestamp(0, UTC)
        return ListedRun(
            name=folder.name,
            state="unreadable",
            began=began,
            size_bytes=0,
            reason=error.strerror or str(error),
        )
    partial = folder.name.startswith(".") and folder.name.endswith(".partial")
    still = now - datetime.fromtimestamp(max(written), UTC) > _STILL
    if partial and not still:
        facts["state"] = "unfinished"
    elif partial or is_cut_off(folder):
        facts["state"] = "cut off"
    else:
        facts["state"] = "whole"
    try:
        return ListedRun.model_validate(facts | _content(folder))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = "half written" if facts["state"] != "whole" else _in_words(error)
        state = facts["state"] if facts["state"] == "unfinished" else "unreadable"
        return ListedRun.model_validate(facts | {"state": state, "reason": reason})


def _began(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None  # digits that are no time


def _load_began(folder: Path) -> datetime | None:
    """When the load of a folder that a person named began: a copy's files may all be of today."""
    try:
        facts = json.loads((folder / LOAD).read_text(encoding="utf-8-sig"))
        return datetime.fromtimestamp(facts["began_at"], UTC)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _content(folder: Path) -> dict[str, Any]:
    """What the files of a run say.

    Raises:
        ValueError: one of them is damaged; the message names it.
    """
    kind = "canary" if (folder / STATE).is_file() else "compare"
    content: dict[str, Any] = {"kind": kind} | _understood(folder / EXPERIMENT, _experiment)
    for kind, file in (("rates", RATES), ("capacity", CAPACITY), (content["kind"], VERDICT)):
        if (folder / file).is_file():
            content |= {"kind": kind} | _understood(folder / file, _verdict)
            break
    for page in ("report.html", "capacity.html"):
        if (folder / page).is_file():
            content["report"] = f"{folder.name}/{page}"
    return content


def _understood(path: Path, read: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What a file says; a person's editor may have put a byte order mark before it."""
    try:
        return read(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path.name}: {_in_words(error)}") from error


def _experiment(text: str) -> dict[str, Any]:
    experiment = _printable(tomllib.loads(text))
    versions = experiment.get("versions", {})
    return {
        "experiment": experiment["name"],
        "model": experiment.get("model", {}).get("name"),
        "stable": versions.get("stable"),
        "candidate": versions.get("candidate"),
    }


def _verdict(text: str) -> dict[str, Any]:
    verdict = _printable(json.loads(text, parse_constant=_no_number))
    return {
        "verdict": verdict["verdict"],
        "reason": verdict["reason"],
        "gates": _GATES.validate_python(tuple(_gates(verdict))),
        "duration_s": _seconds(verdict),
    }


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no figure")


def _printable(content: Any) -> Any:
    """The same without what a terminal would take for a command, or could not show."""
    if isinstance(content, dict):
        return {key: _printable(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_printable(value) for value in content]
    if not isinstance(content, str):
        return content
    shown = "".join(" " if unicodedata.category(one) == "Cc" else one for one in content)
    return shown.encode("utf-8", "replace").decode("utf-8")


def _gates(verdict: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The gates of a run, of all its rates, or of all its CPU limits."""
    for at in verdict.get("rates", ()):
        for gate in at["verdict"]["gates"]:
            yield gate | {"where": f"at {at['rate']:g}/s"}
    for gate in verdict.get("gates", ()):
        limit = gate.get("cpus")
        yield gate | ({"where": f"on {limit:g} CPUs"} if limit is not None else {})


def _seconds(verdict: dict[str, Any]) -> float | None:
    parts = [at["verdict"] for at in verdict.get("rates", ())] or [verdict]
    loads = [part["load"]["duration_s"] for part in parts if "load" in part]
    return sum(loads) if loads else None


def _in_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"lacks {error.args[0]!r}"
    if isinstance(error, FileNotFoundError):
        return "it is missing"
    if isinstance(error, (TypeError, AttributeError, RecursionError)):
        return "not what a run writes there"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return " ".join(str(error).split())[:120]


def to_remove(
    results: Path,
    runs: Sequence[ListedRun],
    now: datetime,
    older_than: timedelta | None = None,
    size_bytes: int | None = None,
) -> list[ListedRun]:
    """The runs that are too old or too many, the oldest first.

    Never the run that ``latest`` points at, one that may be under way, or a folder that cannot be read.

    ``size_bytes`` is what all runs may take together. None: age, or size, is no reason.
    """
    latest = Path(os.path.realpath(results / "latest")).name
    over = [r for r in runs if r.state == "whole" or (r.state == "cut off" and now - r.began > _LONGEST_RUN)]
    free = [run for run in over if run.name != latest]
    gone = [run for run in free if older_than is not None and now - run.began > older_than]
    if size_bytes is not None:
        kept = [run for run in free if run not in gone]
        fixed = sum(run.size_bytes for run in runs if run not in free)
        gone += beyond_size(kept, max(size_bytes - fixed, 0))
    return sorted(gone, key=lambda run: run.began)


def remove(results: Path, runs: Sequence[ListedRun]) -> None:
    """Delete run folders.

    Raises:
        LoadproofError: one cannot be deleted; those before it are gone.
    """
    for run in runs:
        try:
            shutil.rmtree(results / run.name)
        except OSError as error:
            raise LoadproofError(
                f"{results / run.name}: not deleted ({error.strerror}); delete it by hand"
            ) from error
