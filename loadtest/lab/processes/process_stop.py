"""Stopping processes with everything that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator

import psutil

_POLL = 0.02


def stop_families(roots: Iterable[psutil.Process], grace: float, first: int = signal.SIGTERM) -> None:
    """Ask ``roots`` to end, wait, and kill what is left of them, their descendants and their process groups.

    Only the roots are asked: a server that has workers ends them itself, in its own order.
    """
    roots = list(roots)
    family = {*roots, *(child for root in roots for child in _descendants(root)), *_groups(roots)}
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            root.send_signal(first)
    _await(roots, grace)
    for root in roots:
        # those that were forked meanwhile
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(root.pid, signal.SIGKILL)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _await(family, 2.0)


def _await(processes: Iterable[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not all(_gone(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(_POLL)


def _gone(process: psutil.Process) -> bool:
    # a zombie is gone: it only waits for its parent to look
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _groups(leaders: list[psutil.Process]) -> Iterator[psutil.Process]:
    # a group outlives its leader: after a crash its members are no longer the leader's descendants
    pids = {leader.pid for leader in leaders}
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) in pids:
                yield process


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []
