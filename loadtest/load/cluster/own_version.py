"""Which Loadproof this is, so that a worker of another one does not send another one's load."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from loadtest import __version__

_ROOT = Path(__file__).parents[3]
_FOLDERS = ("contract", "loadtest/data", "loadtest/experiment", "loadtest/load")
"""What decides what is sent, and what is said of it."""
_SHOWN = 8


@cache
def own_version() -> str:
    """Such as ``0.1.0 (1f3a9c0d)``: two checkouts of one release may differ, so their files count, too."""
    digest = hashlib.sha256()
    for folder in _FOLDERS:
        for path in sorted((_ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(_ROOT).as_posix()}\0".encode())
            # a checkout on Windows ends its lines in its own way
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return f"{__version__} ({digest.hexdigest()[:_SHOWN]})"
