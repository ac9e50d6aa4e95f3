"""What a model's own code says while it is loaded or run: warnings, and what it prints.

Neither may get between the lines of an answer on standard output, and neither may be lost: a model that was
saved by another scikit-learn only warns. Each is said once, with the file that it is about.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.counted import counted
from services.model_server.trained_with import AnotherVersion

_MOST = 8
_LONGEST = 300
_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?")
"""As a logger writes it before each line."""


@contextmanager
def warnings_of(path: Path) -> Iterator[list[str]]:
    """Collect the warnings that are given within, each once, as lines of the list that it yields."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # a matrix comes without names on purpose
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        try:
            yield said
        finally:
            lines = (f"{path}: {_of_a_warning(one.message)}" for one in caught)
            said += _once(lines)


@contextmanager
def printed_by(path: Path) -> Iterator[list[str]]:
    """Collect what is printed within, from Python or C, on both standard streams, in the same way."""
    said: list[str] = []
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            yield said
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, original in zip((1, 2), kept, strict=True):
                os.dup2(original, stream)
                os.close(original)
            file.seek(0)
            text = file.read(2**20).decode("utf-8", "replace")
            said += _once(f"{path}: prints {line.strip()!r}" for line in text.splitlines() if line.strip())


def _of_a_warning(warning: Warning | str) -> str:
    kind = type(warning).__name__
    saved = getattr(warning, "original_sklearn_version", None)
    if saved:
        here = getattr(warning, "current_sklearn_version", "another")
        return f"saved by scikit-learn {saved}, served by {here}: its answers may differ ({kind})"
    if isinstance(warning, AnotherVersion):
        return str(warning)
    return f"{kind}: {' '.join(str(warning).split())}"


def once(lines: Iterable[str]) -> list[str]:
    """Each line once; those that differ in the time alone are one."""
    return list({_TIME.sub("", line): line for line in reversed(list(lines))}.values())[::-1]


def _once(lines: Iterable[str]) -> list[str]:
    known = once(line[:_LONGEST] for line in lines)
    more = [f"and {counted(len(known) - _MOST, 'more line')}"] if len(known) > _MOST else []
    return known[:_MOST] + more
