"""An exception that nobody expected: a bug of Loadproof, and never a FAIL of the candidate."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

from loadtest import __version__
from loadtest.errors import ExitCode


def report_bug(error: BaseException) -> ExitCode:
    """Write the traceback to a file, say in one line on standard error where, and return the exit code."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    try:
        descriptor, path = tempfile.mkstemp(prefix="loadproof-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"loadproof {__version__}, Python {sys.version}, {sys.platform}\n{sys.argv}\n\n")
            traceback.print_exception(error, file=file)
    except OSError as disk:
        path = f"nowhere ({disk.strerror})"
    sys.stderr.write(
        f"loadproof: {what}; this is a bug of Loadproof and says nothing of the candidate; the traceback is "
        f"in {path}; please report it with that file to Loadproof's issue tracker\n"
    )
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"loadproof: {note}\n")
    return ExitCode.BUG
