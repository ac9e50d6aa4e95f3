"""Which stored verdict answers a rollout that asks about one version: the newest of a results folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from loadtest.data.run_folder import RATES, VERDICT
from loadtest.errors import LoadproofError, UsageError
from loadtest.experiment.units import seconds
from loadtest.publish.stored_verdict import document, read_verdict

MAX_AGE = timedelta(hours=24)
MOST_RUNS = 500
"""Runs that are looked at, the newest first."""
_NAME = re.compile(r"(\d{8}T\d{6}Z)-.+")
_KEYS = ("candidate", "experiment", "max_age")


class Question(NamedTuple):
    """Whose verdict is asked for: a candidate's, perhaps by one experiment, no older than ``max_age``."""

    candidate: str
    experiment: str | None = None
    max_age: timedelta = MAX_AGE

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """Read ``{"candidate": "v3", "experiment": "compare", "max_age": "2h"}``.

        Raises:
            UsageError: no candidate is named, or a key is unknown.
        """
        unknown = sorted(set(given) - set(_KEYS))
        if unknown:
            raise UsageError(f"{unknown[0]!r} is unknown; give {', '.join(_KEYS)}")
        if not given.get("candidate"):
            raise UsageError("name the candidate: a verdict on another version answers nothing")
        try:
            age = timedelta(seconds=seconds(given["max_age"])) if given.get("max_age") else MAX_AGE
        except (ValueError, OverflowError):
            raise UsageError("max_age: write 30m or 24h") from None
        return cls(given["candidate"], given.get("experiment") or None, age)


def find_verdict(results: Path, question: Question, now: datetime) -> dict[str, Any] | None:
    """The document of the newest whole run that answers; None where there is none yet.

    A run that cannot be read is passed over: it answers nothing.
    """
    for began, folder in _runs(results):
        if now - began > question.max_age:
            return None
        path = next((folder / name for name in (RATES, VERDICT) if (folder / name).is_file()), None)
        if path is None:
            continue
        try:
            told: dict[str, Any] = json.loads(_document(folder, path.stat().st_mtime_ns))
        except (OSError, LoadproofError):
            continue
        if told["candidate"] == question.candidate and question.experiment in (None, told["experiment"]):
            return told
    return None


def _runs(results: Path) -> Iterator[tuple[datetime, Path]]:
    """When each run began, and its folder; the newest first."""
    try:
        names = sorted((path.name for path in results.iterdir() if _NAME.fullmatch(path.name)), reverse=True)
    except OSError:
        return
    for name in names[:MOST_RUNS]:
        try:
            began = datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%SZ")
        except ValueError:
            continue  # digits that are no time
        yield began.replace(tzinfo=UTC), results / name


@lru_cache(MOST_RUNS)
def _document(folder: Path, _written_ns: int) -> str:
    return json.dumps(document(read_verdict(folder)))
