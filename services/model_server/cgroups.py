"""The CPU limit of this process, and how often the kernel enforced it: cgroup v1 and v2.

Which folder is ours follows from two files: ``/proc/self/cgroup`` names our cgroup, ``/proc/self/mountinfo``
says which part of the hierarchy is mounted where. Without a private cgroup namespace (Docker's default on
v1) a container's own cgroup is the root of its mount; with one the path is ``/``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.metric_names import CPU_LIMIT_CORES, CPU_PERIODS, CPU_THROTTLED_PERIODS, CPU_THROTTLED_SECONDS


@dataclass(frozen=True)
class CpuLimit:
    """A CPU limit in force, and its counters since the cgroup was made.

    Args:
        cores: the limit in cores.
        periods: enforcement periods in which the cgroup wanted to run.
        throttled_periods: those in which it was stopped for the rest of the period.
        throttled_seconds: for how long it was stopped, summed over CPUs.
    """

    cores: float
    periods: int
    throttled_periods: int
    throttled_seconds: float


def read_cpu_limit(proc: Path = Path("/proc/self")) -> CpuLimit | None:
    """The nearest CPU limit above the process of a folder in procfs; None where there is none."""
    try:
        cgroups = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (proc / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in cgroups:
        _, controllers, own = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root, mount in _mounts(mounts, v2=not controllers):
            for folder in _upwards(PurePosixPath(own), root, mount):
                limit = _read(folder)
                if limit:
                    return limit
    return None


def _mounts(lines: list[str], *, v2: bool) -> Iterator[tuple[PurePosixPath, Path]]:
    """(root within the hierarchy, mount point) of each mount that holds the CPU controller."""
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == ("cgroup2" if v2 else "cgroup") and (v2 or "cpu" in options.split(",")):
            root, mount = before.split(" ")[3:5]
            yield PurePosixPath(root), Path(mount)


def _upwards(own: PurePosixPath, root: PurePosixPath, mount: Path) -> Iterator[Path]:
    """Our folder below the mount point, then its parents up to the mount point."""
    inside = own.is_relative_to(root) and ".." not in own.parts
    relative = own.relative_to(root) if inside else PurePosixPath()
    for part in (relative, *relative.parents):
        yield mount / part


def _read(folder: Path) -> CpuLimit | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8")
        if quota in ("max", "-1"):
            return None
        pairs = (line.split() for line in (folder / "cpu.stat").read_text(encoding="utf-8").splitlines())
        stat = {name: int(value) for name, value in pairs}
    except OSError:
        return None
    micros = stat.get("throttled_usec", stat.get("throttled_time", 0) / 1000)
    return CpuLimit(
        cores=int(quota) / int(period),
        periods=stat["nr_periods"],
        throttled_periods=stat["nr_throttled"],
        throttled_seconds=micros / 1e6,
    )


class CpuLimitCollector(Collector):
    """Reads the limit at scrape time; without a limit its metrics are absent, not zero."""

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc = proc

    def collect(self) -> Iterator[Metric]:
        """The four metrics of the limit in force."""
        limit = read_cpu_limit(self._proc)
        if limit is None:
            return
        yield GaugeMetricFamily(CPU_LIMIT_CORES, "CPU limit in force, in cores.", value=limit.cores)
        wanted = "Periods of the CPU limit in which this server wanted to run."
        stopped = "Periods in which the kernel stopped this server for the rest of the period."
        for name, text, value in (
            (CPU_PERIODS, wanted, limit.periods),
            (CPU_THROTTLED_PERIODS, stopped, limit.throttled_periods),
            (
                CPU_THROTTLED_SECONDS,
                "Time for which the kernel stopped this server.",
                limit.throttled_seconds,
            ),
        ):
            yield CounterMetricFamily(name.removesuffix("_total"), text, value=value)
