"""Reading and making cgroups, on trees of plain files that look like v1 and v2."""

import subprocess

import pytest

from loadtest.lab.cpu_usage import CpuUsage
from loadtest.lab.processes.cgroups import Group, group_of
from loadtest.lab.processes.limits import Limits, Scope, limits_for, make_cgroup


def v2_tree(
    tmp_path,
    own="/user.slice/app.slice/me.scope",
    hands_down=("/user.slice/app.slice",),
    controllers="cpu memory",
):
    """A cgroup v2 mount and the procfs folder of a process in ``own``."""
    mount = tmp_path / "cgroup"
    folder = mount / own.lstrip("/")
    folder.mkdir(parents=True)
    (mount / "cgroup.controllers").write_text(controllers)
    for path in hands_down:
        (mount / path.lstrip("/") / "cgroup.subtree_control").write_text(f"{controllers}\n")
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(f"0::{own}\n")
    (proc / "mountinfo").write_text(f"30 24 0:26 / {mount} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n")
    return mount, proc


def v1_tree(tmp_path, root="/", own="/"):
    """Mounts of the cpu and memory hierarchies and the procfs folder of a process in ``own``."""
    proc = tmp_path / "proc"
    proc.mkdir()
    lines = []
    for controllers in ("cpu,cpuacct", "memory"):
        folder = tmp_path / controllers
        folder.mkdir()
        lines.append(f"30 24 0:26 {root} {folder} rw,relatime - cgroup cgroup rw,{controllers}\n")
    (proc / "cgroup").write_text(f"4:memory:{own}\n2:cpu,cpuacct:{own}\n0::/\n")
    (proc / "mountinfo").write_text("".join(lines))
    return tmp_path, proc


@pytest.mark.parametrize(
    ("root", "own", "inside"),
    [
        # a plain machine
        ("/", "/", "."),
        ("/", "/jobs/7", "jobs/7"),
        # a container without a cgroup namespace: its own cgroup is the root of the mount
        ("/docker/abc", "/docker/abc", "."),
        ("/docker/abc", "/docker/abc/job", "job"),
    ],
)
def test_the_cgroup_of_a_process_on_v1(tmp_path, root, own, inside):
    mount, proc = v1_tree(tmp_path, root, own)
    assert group_of("cpu", proc) == Group(1, mount / "cpu,cpuacct" / inside)
    assert group_of("memory", proc) == Group(1, mount / "memory" / inside)


def test_the_cgroup_of_a_process_on_v2(tmp_path):
    mount, proc = v2_tree(tmp_path, own="/a/b", hands_down=())
    assert group_of("cpu", proc) == Group(2, mount / "a/b")


@pytest.mark.parametrize("controllers", ["", "io pids"])
def test_a_hierarchy_that_lacks_the_controller_is_not_taken(tmp_path, controllers):
    _, proc = v2_tree(tmp_path, controllers=controllers)
    assert group_of("cpu", proc) is None
    assert make_cgroup("lab", 0.25, None, proc) is None


def test_a_process_that_is_gone_has_no_cgroup(tmp_path):
    assert group_of("cpu", tmp_path / "no-such-process") is None


@pytest.mark.parametrize(
    ("version", "files", "cpus", "memory", "usage"),
    [
        # v2, limited
        (
            2,
            {
                "cpu.max": "25000 100000",
                "memory.max": "536870912",
                "cpu.stat": "usage_usec 9\nnr_periods 40\nnr_throttled 7",
            },
            0.25,
            2**29,
            CpuUsage(40, 7),
        ),
        # v2, unlimited; without the cpu controller cpu.stat lacks the counters
        (2, {"cpu.max": "max 100000", "memory.max": "max", "cpu.stat": "usage_usec 9"}, None, None, None),
        # v1, limited
        (
            1,
            {
                "cpu.cfs_quota_us": "150000",
                "cpu.cfs_period_us": "100000",
                "memory.limit_in_bytes": "1048576",
                "cpu.stat": "nr_periods 3\nnr_throttled 1\nthrottled_time 5",
            },
            1.5,
            2**20,
            CpuUsage(3, 1),
        ),
        # v1, unlimited
        (
            1,
            {
                "cpu.cfs_quota_us": "-1",
                "cpu.cfs_period_us": "100000",
                "memory.limit_in_bytes": "9223372036854771712",
            },
            None,
            None,
            None,
        ),
        # gone
        (1, {}, None, None, None),
        (2, {}, None, None, None),
    ],
)  # fmt: skip
def test_what_is_in_force_is_read_back(tmp_path, version, files, cpus, memory, usage):
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    group = Group(version, tmp_path)
    assert (group.cpus(), group.memory(), group.cpu_usage()) == (cpus, memory, usage)


@pytest.mark.parametrize(
    ("hands_down", "parent"),
    [
        # beside our own cgroup, which has processes and so cannot limit its children
        (("/user.slice/app.slice", "/user.slice"), "user.slice/app.slice"),
        # further up
        (("/user.slice",), "user.slice"),
        (("/",), "."),
    ],
)
def test_on_v2_the_cgroup_goes_where_the_controllers_are_handed_down(tmp_path, hands_down, parent):
    mount, proc = v2_tree(tmp_path, hands_down=hands_down)
    made = make_cgroup("lab", 0.25, 2**29, proc)
    assert made is not None
    assert made.folders == (mount / parent / "lab",)
    assert made.how == "cgroup v2"
    assert (mount / parent / "lab/cpu.max").read_text() == "25000 100000"
    assert (mount / parent / "lab/memory.max").read_text() == str(2**29)


def test_on_v2_without_delegation_there_is_no_cgroup(tmp_path):
    _, proc = v2_tree(tmp_path, hands_down=())
    assert make_cgroup("lab", 0.25, 2**29, proc) is None


def test_on_v1_each_controller_has_a_folder_of_its_own(tmp_path):
    mount, proc = v1_tree(tmp_path)
    made = make_cgroup("lab", 0.5, 2**29, proc)
    assert made is not None
    assert made.folders == (mount / "cpu,cpuacct/lab", mount / "memory/lab")
    assert (mount / "cpu,cpuacct/lab/cpu.cfs_quota_us").read_text() == "50000"
    assert (mount / "cpu,cpuacct/lab/cpu.cfs_period_us").read_text() == "100000"


def test_the_command_joins_every_cgroup_before_it_becomes_the_program(tmp_path):
    _, proc = v1_tree(tmp_path)
    made = make_cgroup("lab", 0.5, 2**29, proc)
    assert made is not None
    done = subprocess.run(
        made.command(["sh", "-c", 'echo "$$ $1"', "x", "two words"]),
        capture_output=True,
        text=True,
        check=True,
    )
    pid, _, rest = done.stdout.strip().partition(" ")
    assert rest == "two words"
    for folder in made.folders:
        assert (folder / "cgroup.procs").read_text().strip() == pid


def test_a_limit_that_was_written_but_does_not_hold_the_process_is_not_reported(tmp_path):
    _, proc = v1_tree(tmp_path)
    made = make_cgroup("lab", 0.5, 2**29, proc)
    assert made is not None
    with subprocess.Popen(["sleep", "30"]) as outside:
        assert made.cpus(outside.pid) is None
        assert made.memory(outside.pid) is None
        outside.kill()


def test_the_cpu_limit_is_lifted_while_a_version_starts_and_then_enforced(tmp_path):
    _mount, proc = v2_tree(tmp_path)
    made = make_cgroup("lab", 0.25, 2**29, proc)
    assert made is not None
    group = Group(2, made.folders[0])
    made.lift()
    assert (group.cpus(), group.memory()) == (None, 2**29)
    made.enforce()
    assert (group.cpus(), group.memory()) == (0.25, 2**29)


def test_no_limit_asked_for_is_no_limit():
    limits = limits_for("stable", None, None)
    assert type(limits) is Limits
    assert limits.command(["true"]) == ["true"]
    assert (limits.cpus(1), limits.memory(1), limits.cpu_usage()) == (None, None, None)


def test_another_limit_is_in_force_at_once_and_after_it_was_lifted(tmp_path):
    mount, proc = v2_tree(tmp_path)
    made = make_cgroup("lab", 0.25, None, proc)
    assert made is not None
    quota = mount / "user.slice/app.slice/lab/cpu.max"
    made.change(0.5)
    assert quota.read_text() == "50000 100000"
    made.lift()
    made.enforce()
    assert quota.read_text() == "50000 100000"


def test_a_scope_asks_systemd_for_the_limits_and_reports_none_before_they_hold():
    scope = Scope("loadproof-stable", 0.25, 2**29)
    command = scope.command(["server", "--port", "1"])
    assert command[:3] == ["systemd-run", "--user", "--scope"]
    assert {"CPUQuota=25%", "MemoryMax=536870912", "--unit=loadproof-stable"} <= set(command)
    assert command[-4:] == ["--", "server", "--port", "1"]
    with subprocess.Popen(["sleep", "30"]) as outside:
        assert (scope.cpus(outside.pid), scope.memory(outside.pid), scope.cpu_usage()) == (None, None, None)
        outside.kill()
