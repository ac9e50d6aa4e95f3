"""Locks between processes, which end with whoever holds them."""

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

_SHARED = os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir()
ENGINE = Path(_SHARED) / f"loadproof-tests-{os.getuid()}.lock"
"""Shared by all test runs on this machine that have a lab on its Engine; held alone to make a swarm of it."""


@contextmanager
def locked(path, how=fcntl.LOCK_EX):
    """Hold a lock on a file, which is made where it is missing: ``with locked(folder / "name"): ...``."""
    with path.open("w") as file:
        fcntl.flock(file, how)
        try:
            yield file
        finally:
            # a child that was forked may hold the file, but not the lock
            fcntl.flock(file, fcntl.LOCK_UN)
