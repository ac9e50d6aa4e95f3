"""CPU and memory limits of a local version: by a cgroup of our own, or by a scope of the user's systemd.

``limits_for`` takes the first of these that works here and falls back to no limit at all. What is in force
is always read back from the kernel, never repeated from the request::

    limits = limits_for("stable", cpus=0.25, memory=2**29)
    process = subprocess.Popen(limits.command([...]))  # joins its cgroup, then execs
    limits.cpus(process.pid), limits.cpu_usage()
    limits.remove()
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from loadtest.lab.interface import CpuUsage
from loadtest.lab.local.cgroups import Group, group_of, remove_group
from loadtest.lab.local.systemd_scope import Scope, runs

PERIOD_US = 100_000
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""A version's variables for memory in large pages, as in its image: a walk through a forest waits less."""

_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 126; shift; done; shift; exec "$@"'


class Limits(Protocol):
    """How one version is limited here."""

    how: str

    @property
    def folders(self) -> tuple[Path, ...]:
        """The cgroup folders that ``remove`` removes."""

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` inside the limits from its first instruction on."""

    def lift(self) -> None:
        """Hold the CPU limit off, where that can be done: starting is not what is measured."""

    def enforce(self) -> None:
        """Put the CPU limit into force again; the counters then start from what they are."""

    def change(self, cpus: float) -> None:
        """Put another CPU limit into force. Whether it holds is for ``cpus`` to say."""

    def cpus(self, pid: int) -> float | None:
        """The CPU limit in force for the process, in cores; None: none of its own."""

    def memory(self, pid: int) -> int | None:
        """The memory limit in force for the process, in bytes; None: none of its own."""

    def cpu_usage(self) -> CpuUsage | None:
        """The throttling counters; None where there are none."""

    def remove(self) -> None:
        """Kill what still runs inside, and remove what was made; idempotent."""


class Unlimited:
    """No limit could be had, or none was asked for."""

    how = "none"
    folders: tuple[Path, ...] = ()

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv`` itself."""
        return list(argv)

    def lift(self) -> None:
        """Nothing to do."""

    def enforce(self) -> None:
        """Nothing to do."""

    def change(self, cpus: float) -> None:
        """Nothing to do."""

    def cpus(self, pid: int) -> None:
        """None."""

    def memory(self, pid: int) -> None:
        """None."""

    def cpu_usage(self) -> None:
        """None."""

    def remove(self) -> None:
        """Nothing to do."""


class Cgroup:
    """Limits by cgroups that this process made: one folder per controller on v1, one for all on v2."""

    def __init__(self, groups: dict[str, Group], cpus: float | None) -> None:
        self._groups = groups
        self._cpus = cpus
        self.how = f"cgroup v{next(iter(groups.values())).version}"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders, each once."""
        return tuple(dict.fromkeys(group.folder for group in self._groups.values()))

    def command(self, argv: Sequence[str]) -> list[str]:
        """A shell that joins the cgroups and then becomes ``argv``."""
        return ["/bin/sh", "-c", _JOIN, "sh", *(str(f / "cgroup.procs") for f in self.folders), "--", *argv]

    def lift(self) -> None:
        """Take the quota away; the processes stay in the cgroup."""
        self._set_quota(None)

    def enforce(self) -> None:
        """Write the quota again. Whether it holds is for ``cpus`` to say."""
        self._set_quota(self._cpus)

    def change(self, cpus: float) -> None:
        """Write another quota."""
        self._cpus = cpus
        self.enforce()

    def cpus(self, pid: int) -> float | None:
        """The limit of the process's own cgroup, if it is the one made for it."""
        group = self._group_of(pid, "cpu")
        return group.cpus() if group else None

    def memory(self, pid: int) -> int | None:
        """The limit of the process's own cgroup, if it is the one made for it."""
        group = self._group_of(pid, "memory")
        return group.memory() if group else None

    def cpu_usage(self) -> CpuUsage | None:
        """The counters of the cgroup, also after its processes have ended."""
        group = self._groups.get("cpu")
        return group.cpu_usage() if group else None

    def remove(self) -> None:
        """Kill what still runs inside and remove the folders."""
        for folder in self.folders:
            remove_group(folder)

    def _set_quota(self, cpus: float | None) -> None:
        group = self._groups.get("cpu")
        if group:
            _write(group, _quota(cpus, group.version))

    def _group_of(self, pid: int, controller: str) -> Group | None:
        group = group_of(controller, Path(f"/proc/{pid}"))
        return group if group and group == self._groups.get(controller) else None


Announce = Callable[[Path], None]
"""Is told of a folder before it is made, so that it is removed even if we do not live to do it."""


def limits_for(
    role: str, cpus: float | None, memory: int | None, announce: Announce = lambda _: None
) -> Limits:
    """The best way to limit a version on this machine.

    Args:
        role: the version, for the cgroup's name.
        cpus: cores; None: no limit.
        memory: bytes; None: no limit.
        announce: is told of every folder before it is made.
    """
    if cpus is None and memory is None:
        return Unlimited()
    name = f"loadproof-{role}-{os.getpid()}-{secrets.token_hex(3)}"
    made = make_cgroup(name, cpus, memory, Path("/proc/self"), announce)
    if made:
        return made
    trial = Scope(f"{name}-trial", cpus, memory)
    if shutil.which("systemd-run") and runs(trial.command(["true"])):
        return Scope(name, cpus, memory)
    return Unlimited()


def make_cgroup(
    name: str, cpus: float | None, memory: int | None, proc: Path, announce: Announce = lambda _: None
) -> Cgroup | None:
    """Make cgroups with these limits below or beside our own; None where that is not allowed.

    A memory limit that cannot be had does not stop the CPU limit: ``Cgroup.memory`` then says None.

    Args:
        name: of the new folders.
        cpus: cores; None: no limit.
        memory: bytes; None: no limit.
        proc: our folder in procfs.
        announce: is told of every folder before it is made.
    """
    groups: dict[str, Group] = {}
    for controller, value in (("cpu", cpus), ("memory", memory)):
        # on v2 a process is in one cgroup: the second controller must do with the folder of the first
        made = [group for group in groups.values() if group.version == 2]
        candidates = made or (Group(p.version, p.folder / name) for p in _parents(controller, proc))
        group = value and next((g for g in candidates if _limit(g, controller, value, announce)), None)
        if group:
            groups[controller] = group
    if not groups:
        return None
    cgroup = Cgroup(groups, cpus)
    if (cpus is None or "cpu" in groups) and runs(cgroup.command(["true"])):
        return cgroup
    cgroup.remove()
    return None


def _parents(controller: str, proc: Path) -> Iterator[Group]:
    own = group_of(controller, proc)
    if own is None:
        return iter(())
    if own.version == 1:
        return iter((own,))
    # on v2 a group with processes cannot limit its children: go up to one that hands the controller down
    above = (Group(2, folder) for folder in (own.folder, *own.folder.parents))
    return (group for group in above if group.hands_down(controller))


def _limit(group: Group, controller: str, value: float, announce: Announce) -> bool:
    announce(group.folder)
    existed = group.folder.is_dir()
    try:
        group.folder.mkdir(exist_ok=True)
        memory = {"memory.max" if group.version == 2 else "memory.limit_in_bytes": str(int(value))}
        _write(group, _quota(value, group.version) if controller == "cpu" else memory)
    except OSError:
        if not existed:
            remove_group(group.folder)
        return False
    return True


def _quota(cpus: float | None, version: int) -> dict[str, str]:
    if version == 2:
        return {"cpu.max": f"{'max' if cpus is None else round(cpus * PERIOD_US)} {PERIOD_US}"}
    quota = -1 if cpus is None else round(cpus * PERIOD_US)
    return {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)}


def _write(group: Group, settings: dict[str, str]) -> None:
    for file, text in settings.items():
        (group.folder / file).write_text(text)
