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
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.processes.cgroups import Group, group_of, kill_group, remove_group

PERIOD_US = 100_000
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""A version's variables for memory in large pages, as in its image: a walk through a forest waits less."""

_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 126; shift; done; shift; exec "$@"'


class Limits:
    """How one version is limited here: not at all, unless a subclass can do better."""

    how = "none"
    folders: tuple[Path, ...] = ()
    """The cgroup folders that ``remove`` removes."""

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` inside the limits from its first instruction on."""
        return list(argv)

    def change(self, cpus: float) -> None:
        """Put another CPU limit into force, in cores. Whether it holds is for ``cpus`` to say."""

    def lift(self) -> None:
        """Hold the CPU limit off, where that can be done: starting is not what is measured."""

    def enforce(self) -> None:
        """Put the CPU limit into force again; the counters then start from what they are."""

    def group(self, controller: str, pid: int) -> Group | None:  # noqa: ARG002 - the port's shape
        """The cgroup that rules a process, where it is the one that was made for it."""
        return None

    def cpus(self, pid: int) -> float | None:
        """The CPU limit in force for the process, in cores; None: none of its own."""
        return group.cpus() if (group := self.group("cpu", pid)) else None

    def memory(self, pid: int) -> int | None:
        """The memory limit in force for the process, in bytes; None: none of its own."""
        return group.memory() if (group := self.group("memory", pid)) else None

    def cpu_usage(self) -> CpuUsage | None:
        """The throttling counters, also after its processes have ended; None where there are none."""
        return None

    def remove(self) -> None:
        """Kill what still runs inside, and remove what was made; idempotent."""


class Cgroup(Limits):
    """Limits by cgroups that this process made: one folder per controller on v1, one for all on v2."""

    def __init__(self, groups: dict[str, Group], cpus: float | None) -> None:
        self._groups, self._cpus = groups, cpus
        self.how = f"cgroup v{next(iter(groups.values())).version}"
        self.folders = tuple(dict.fromkeys(group.folder for group in groups.values()))

    def command(self, argv: Sequence[str]) -> list[str]:
        """A shell that joins the cgroups and then becomes ``argv``."""
        return ["/bin/sh", "-c", _JOIN, "sh", *(str(f / "cgroup.procs") for f in self.folders), "--", *argv]

    def change(self, cpus: float) -> None:
        """Write another quota."""
        self._cpus = cpus
        self.enforce()

    def lift(self) -> None:
        """Take the quota away; the processes stay in the cgroup."""
        self._set_quota(None)

    def enforce(self) -> None:
        """Write the quota again."""
        self._set_quota(self._cpus)

    def group(self, controller: str, pid: int) -> Group | None:
        """See ``Limits.group``."""
        group = group_of(controller, Path(f"/proc/{pid}"))
        return group if group and group == self._groups.get(controller) else None

    def cpu_usage(self) -> CpuUsage | None:
        """See ``Limits.cpu_usage``."""
        return self._groups["cpu"].cpu_usage() if "cpu" in self._groups else None

    def remove(self) -> None:
        """See ``Limits.remove``."""
        for folder in self.folders:
            remove_group(folder)

    def _set_quota(self, cpus: float | None) -> None:
        if group := self._groups.get("cpu"):
            _write(group, _quota(cpus, group.version))


class Scope(Limits):
    """Limits by a transient scope of the user's systemd, which owns the cgroup; they cannot be lifted."""

    how = "systemd-run"

    def __init__(self, unit: str, cpus: float | None, memory: int | None) -> None:
        self._unit = unit
        self._properties = [_share(cpus)] if cpus else []
        self._properties += [f"MemoryMax={memory}"] if memory else []
        self._seen: Group | None = None

    def command(self, argv: Sequence[str]) -> list[str]:
        """``systemd-run --scope``, which moves itself into the scope and then becomes ``argv``."""
        properties = [part for prop in self._properties for part in ("-p", prop)]
        return [
            "systemd-run", "--user", "--scope", "--quiet", "--collect", f"--unit={self._unit}", *properties,
            "--", *argv,
        ]  # fmt: skip

    def change(self, cpus: float) -> None:
        """Tell systemd."""
        runs(["systemctl", "--user", "set-property", "--runtime", f"{self._unit}.scope", _share(cpus)])

    def group(self, controller: str, pid: int) -> Group | None:  # noqa: ARG002 - one group has both
        """See ``Limits.group``."""
        group = group_of("cpu", Path(f"/proc/{pid}"))
        if group and group.folder.name == f"{self._unit}.scope":
            self._seen = group
        return self._seen

    def cpu_usage(self) -> CpuUsage | None:
        """The counters of the scope while it lives."""
        return self._seen.cpu_usage() if self._seen else None

    def remove(self) -> None:
        """Kill what still runs in the scope; systemd then removes it by itself."""
        if self._seen:
            kill_group(self._seen.folder)


Announce = Callable[[Path], None]
"""Is told of a folder before it is made, so that it is removed even if we do not live to do it."""


def limits_for(
    role: str, cpus: float | None, memory: int | None, announce: Announce = lambda _: None
) -> Limits:
    """The best way to limit a version to ``cpus`` cores and ``memory`` bytes here; None: no limit."""
    if cpus is None and memory is None:
        return Limits()
    name = f"loadproof-{role}-{os.getpid()}-{secrets.token_hex(3)}"
    made = make_cgroup(name, cpus, memory, Path("/proc/self"), announce)
    if made:
        return made
    trial = Scope(f"{name}-trial", cpus, memory)
    if shutil.which("systemd-run") and runs(trial.command(["true"])):
        return Scope(name, cpus, memory)
    return Limits()


def make_cgroup(
    name: str, cpus: float | None, memory: int | None, proc: Path, announce: Announce = lambda _: None
) -> Cgroup | None:
    """Make cgroups with these limits below or beside our own; None where that is not allowed.

    A memory limit that cannot be had does not stop the CPU limit: ``Cgroup.memory`` then says None.
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


def runs(command: Sequence[str]) -> bool:
    """Whether a command can be run and ends well within 10 s."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


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


def _share(cpus: float) -> str:
    return f"CPUQuota={cpus * 100:g}%"
