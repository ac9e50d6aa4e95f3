"""Limits through systemd: a transient scope of the user's manager."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from loadtest.lab.interface import CpuUsage
from loadtest.lab.local.cgroups import Group, group_of, kill_group


class Scope:
    """Limits by a transient scope of the user's systemd, which owns the cgroup."""

    how = "systemd-run"
    folders: tuple[Path, ...] = ()

    def __init__(self, unit: str, cpus: float | None, memory: int | None) -> None:
        self._unit = unit
        self._properties = [_share(cpus)] if cpus else []
        self._properties += [f"MemoryMax={memory}"] if memory else []
        self._group: Group | None = None

    def command(self, argv: Sequence[str]) -> list[str]:
        """``systemd-run --scope``, which moves itself into the scope and then becomes ``argv``."""
        properties = [part for prop in self._properties for part in ("-p", prop)]
        return [
            "systemd-run", "--user", "--scope", "--quiet", "--collect", f"--unit={self._unit}", *properties,
            "--", *argv,
        ]  # fmt: skip

    def lift(self) -> None:
        """Nothing to do: the scope is systemd's."""

    def enforce(self) -> None:
        """Nothing to do: it never was lifted."""

    def change(self, cpus: float) -> None:
        """Tell systemd, which owns the cgroup."""
        runs(["systemctl", "--user", "set-property", "--runtime", f"{self._unit}.scope", _share(cpus)])

    def cpus(self, pid: int) -> float | None:
        """The limit of the scope, if the process is in it."""
        group = self._find(pid)
        return group.cpus() if group else None

    def memory(self, pid: int) -> int | None:
        """The limit of the scope, if the process is in it."""
        group = self._find(pid)
        return group.memory() if group else None

    def cpu_usage(self) -> CpuUsage | None:
        """The counters of the scope while it lives."""
        return self._group.cpu_usage() if self._group else None

    def remove(self) -> None:
        """Kill what still runs in the scope; systemd then removes it by itself."""
        if self._group:
            kill_group(self._group.folder)

    def _find(self, pid: int) -> Group | None:
        group = group_of("cpu", Path(f"/proc/{pid}"))
        self._group = group if group and group.folder.name == f"{self._unit}.scope" else self._group
        return self._group


def runs(command: Sequence[str]) -> bool:
    """Whether a command can be run and ends well within 10 s."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _share(cpus: float) -> str:
    return f"CPUQuota={cpus * 100:g}%"
