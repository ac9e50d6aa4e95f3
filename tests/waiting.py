"""Waiting for a condition: the deadline only says that something hangs, never how fast it has to be."""

import time

import psutil

HUNG = 120.0
"""Seconds after which nobody waits any longer: for a condition, an answer, or the end of a process."""


def eventually(condition):
    """Wait until ``condition()`` is true, and return what it returned."""
    deadline = time.monotonic() + HUNG
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {HUNG:g} s"
        time.sleep(0.01)
    return result


def runs(pid):
    """Whether a process has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
