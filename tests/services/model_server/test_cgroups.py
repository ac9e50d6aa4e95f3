"""The CPU limit, read from fake trees of both versions, with and without a namespace of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.model_server.cgroups import CpuLimit, CpuLimitCollector, read_cpu_limit

V1 = {
    "cpu.cfs_quota_us": "25000\n",
    "cpu.cfs_period_us": "100000\n",
    "cpu.stat": "nr_periods 40\nnr_throttled 10\nthrottled_time 1500000000\n",
}
V1_FREE = V1 | {"cpu.cfs_quota_us": "-1\n"}
V2 = {
    "cpu.max": "50000 100000\n",
    "cpu.stat": "usage_usec 9\nuser_usec 5\nnr_periods 40\nnr_throttled 10\nthrottled_usec 1500000\n",
}
V2_FREE = {"cpu.max": "max 100000\n", "cpu.stat": "usage_usec 9\n"}
V1_LINES = "5:memory:/m\n2:cpuacct:{0}\n1:cpu:{0}\n0::/"
QUARTER = CpuLimit(0.25, 40, 10, 1.5)
HALF = CpuLimit(0.5, 40, 10, 1.5)


@pytest.fixture
def tree(tmp_path: Path) -> Any:
    """Write ``/proc/self`` and the hierarchy; gives the folder of procfs."""

    def write(cgroup: str, mounts: list[str], files: dict[str, dict[str, str]]) -> Path:
        for folder, contents in files.items():
            (tmp_path / folder).mkdir(parents=True)
            for name, text in contents.items():
                (tmp_path / folder / name).write_text(text)
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "cgroup").write_text(cgroup + "\n")
        lines = ["22 1 0:5 / /proc rw,nosuid shared:12 - proc proc rw"]
        for mount in mounts:
            root, point, kind, options = mount.split()
            lines.append(f"30 23 0:26 {root} {tmp_path}/{point} rw,nosuid shared:9 - {kind} {kind} {options}")
        (proc / "mountinfo").write_text("\n".join(lines) + "\n")
        return proc

    return write


@pytest.mark.parametrize(
    ("cgroup", "mounts", "files", "limit"),
    [
        # v2, a process in a cgroup of the machine
        ("0::/lab/stable", ["/ cg cgroup2 rw"], {"cg/lab/stable": V2}, HALF),
        # v2, a container with a namespace of its own (Docker's default)
        ("0::/", ["/ cg cgroup2 rw"], {"cg": V2}, HALF),
        # v2, a container in the machine's namespace: the root of its mount is its own cgroup
        ("0::/docker/abc", ["/docker/abc cg cgroup2 rw"], {"cg": V2}, HALF),
        # v2, moved out of the root of its namespace
        ("0::/../other", ["/ cg cgroup2 rw"], {"cg": V2}, HALF),
        # v2, no limit of its own, but its parent has one
        ("0::/lab/stable", ["/ cg cgroup2 rw"], {"cg/lab": V2, "cg/lab/stable": V2_FREE}, HALF),
        # v2, no limit anywhere
        ("0::/lab", ["/ cg cgroup2 rw"], {"cg/lab": V2_FREE}, None),
        # v1, a process in a cgroup of the machine; the memory hierarchy is another
        (
            V1_LINES.format("/lab/stable"),
            ["/ mem cgroup rw,memory", "/ cpu cgroup rw,cpu"],
            {"cpu/lab/stable": V1, "mem/m": {}},
            QUARTER,
        ),
        # v1, controllers mounted together
        ("3:cpu,cpuacct:/lab", ["/ cpu cgroup rw,cpu,cpuacct"], {"cpu/lab": V1}, QUARTER),
        # v1, cpuacct alone is another hierarchy
        ("3:cpuacct:/lab", ["/ cpu cgroup rw,cpuacct"], {"cpu/lab": V1}, None),
        # v1, a container in the machine's namespace (Docker's default)
        (V1_LINES.format("/docker/abc"), ["/docker/abc cpu cgroup rw,cpu"], {"cpu": V1}, QUARTER),
        # v1, a container with a namespace of its own
        (V1_LINES.format("/"), ["/ cpu cgroup rw,cpu"], {"cpu": V1}, QUARTER),
        # v1, no limit
        (V1_LINES.format("/lab"), ["/ cpu cgroup rw,cpu"], {"cpu/lab": V1_FREE}, None),
        # hybrid: the limit is on v1, v2 is mounted beside it without controllers
        (
            V1_LINES.format("/lab"),
            ["/ unified cgroup2 rw", "/ cpu cgroup rw,cpu"],
            {"cpu/lab": V1, "unified": {}},
            QUARTER,
        ),
        # the hierarchy is not mounted here
        ("0::/lab", [], {}, None),
    ],
)
def test_read_cpu_limit(
    tree: Any, cgroup: str, mounts: list[str], files: dict[str, Any], limit: CpuLimit | None
) -> None:
    assert read_cpu_limit(tree(cgroup, mounts, files)) == limit


def test_without_procfs_there_is_no_limit(tmp_path: Path) -> None:
    assert read_cpu_limit(tmp_path / "none") is None


def test_metrics_are_read_at_scrape_time(tree: Any, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(CpuLimitCollector(tree("0::/", ["/ cg cgroup2 rw"], {"cg": V2})))
    assert registry.get_sample_value("loadproof_cpu_limit_cores") == 0.5
    (tmp_path / "cg/cpu.stat").write_text("nr_periods 50\nnr_throttled 20\nthrottled_usec 2500000\n")
    assert registry.get_sample_value("loadproof_cpu_periods_total") == 50
    assert registry.get_sample_value("loadproof_cpu_throttled_periods_total") == 20
    assert registry.get_sample_value("loadproof_cpu_throttled_seconds_total") == 2.5


def test_metrics_are_absent_without_a_limit(tree: Any) -> None:
    registry = CollectorRegistry()
    registry.register(CpuLimitCollector(tree("0::/", ["/ cg cgroup2 rw"], {"cg": V2_FREE})))
    assert generate_latest(registry) == b""
