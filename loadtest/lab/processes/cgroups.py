"""Cgroups, v1 and v2: which one rules a process, what limit is in force in it, and its removal."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from loadtest.lab.cpu_usage import CpuUsage

_UNLIMITED_V1 = 2**62


class Group(NamedTuple):
    """One cgroup's folder in one hierarchy."""

    version: Literal[1, 2]
    folder: Path

    def hands_down(self, controller: str) -> bool:
        """Whether, on v2, groups made below it can limit ``controller``."""
        return controller in (_read(self.folder / "cgroup.subtree_control") or "").split()

    def cpus(self) -> float | None:
        """Its CPU limit in cores; None: none."""
        if self.version == 2:
            quota, period = (_read(self.folder / "cpu.max") or "max 1").split()
        else:
            quota = _read(self.folder / "cpu.cfs_quota_us") or "-1"
            period = _read(self.folder / "cpu.cfs_period_us") or "1"
        return None if quota in ("max", "-1") else int(quota) / int(period)

    def memory(self) -> int | None:
        """Its memory limit in bytes; None: none."""
        text = _read(self.folder / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")) or "max"
        return None if text == "max" or int(text) >= _UNLIMITED_V1 else int(text)

    def cpu_usage(self) -> CpuUsage | None:
        """Its throttling counters; None where the kernel keeps none."""
        fields = dict(line.split() for line in (_read(self.folder / "cpu.stat") or "").splitlines())
        if "nr_periods" not in fields:
            return None
        return CpuUsage(int(fields["nr_periods"]), int(fields["nr_throttled"]))


def group_of(controller: str, proc: Path) -> Group | None:
    """The cgroup that rules ``controller`` for a process, by its folder in procfs, as it is seen here."""
    paths: dict[str, str] = {}
    for line in (_read(proc / "cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    for version, key in ((1, controller), (2, "")):
        mount = _mount(controller, version, proc) if key in paths else None
        if mount:
            root, folder = mount
            with contextlib.suppress(ValueError):
                inside = PurePosixPath(paths[key]).relative_to(root)
                return Group(1 if version == 1 else 2, folder / inside)
    return None


def kill_group(folder: Path) -> None:
    """Kill every process in a cgroup and wait, up to 2 s, until it is empty."""
    deadline = time.monotonic() + 2
    while pids := (_read(folder / "cgroup.procs") or "").split():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def remove_group(folder: Path) -> None:
    """Kill what still runs in a cgroup and remove it; no error when it is gone already."""
    kill_group(folder)
    deadline = time.monotonic() + 2
    while not _rmdir(folder) and time.monotonic() < deadline:
        time.sleep(0.02)


def _mount(controller: str, version: int, proc: Path) -> tuple[PurePosixPath, Path] | None:
    for line in (_read(proc / "mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        root, folder = left.split()[3:5]
        kind, _, options = right.split(maxsplit=2)
        if version == 1 and kind == "cgroup" and controller in options.split(","):
            return PurePosixPath(root), Path(folder)
        if version == 2 and kind == "cgroup2":
            offered = _read(Path(folder) / "cgroup.controllers") or ""
            if controller in offered.split():
                return PurePosixPath(root), Path(folder)
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
