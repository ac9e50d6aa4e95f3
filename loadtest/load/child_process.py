"""Whether a process that this one forked still runs."""

from __future__ import annotations

import os


def lives(child: int) -> bool:
    """Whether a child runs; a minute after one has ended, gevent has forgotten it, and it is nobody's."""
    try:
        return bool(os.waitpid(child, os.WNOHANG) == (0, 0))
    except ChildProcessError:
        return False
