"""Threads that a library starts when a model first runs, and that do not survive the fork of the worker."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from services.model_server.errors import VersionError

_POLARS = re.compile(r"polars-\d")
_TASKS = Path("/proc/self/task")


def refuse_lost_threads(path: Path, tasks: Path = _TASKS) -> None:
    """Refuse a model that ran polars: in a forked worker it waits for its threads for ever.

    ``tasks`` is the kernel's list of this process's threads; where there is none, nothing is found.

    Raises:
        VersionError: polars has threads here.
    """
    names = []
    for task in tasks.glob("*/comm"):
        # a thread may end between being listed and being read
        with suppress(OSError):
            names.append(task.read_text(encoding="utf-8", errors="replace"))
    # its import alone starts another one, which does no harm
    if any(map(_POLARS.match, names)):
        raise VersionError(
            f"{path}: runs polars, whose threads do not survive the fork of the server's worker, so that it "
            "would never answer; let its steps give pandas frames: set_output(transform='pandas')"
        )
