"""The evaluation set of a run on a worker, which may be another machine: the very bytes of the master's file.

Rows travel as numbers, and labels are looked up on the worker: another version of the file would make wrong
samples. So the master says what its file is (``digest``), and sends it to whoever has not got the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from loadtest.errors import DatasetError


def digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{path}: not readable ({error.strerror})") from None


def is_here(path: Path, wanted: str) -> bool:
    """Whether the file at ``path`` has this digest."""
    try:
        return digest(path) == wanted
    except DatasetError:
        return False
