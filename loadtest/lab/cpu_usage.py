"""What a CPU limit did; the reaper, which needs no experiment, starts without one."""

from __future__ import annotations

from typing import NamedTuple


class CpuUsage(NamedTuple):
    """Counters of a version's CPU limit since its start (cgroup ``cpu.stat``).

    Args:
        periods: enforcement periods in which it wanted to run.
        throttled_periods: those in which it was stopped for the rest of the period.
    """

    periods: int
    throttled_periods: int
