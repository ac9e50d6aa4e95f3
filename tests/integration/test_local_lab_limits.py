"""CPU and memory limits that the kernel of this machine really enforces."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.lab.local.limits import Cgroup, limits_for

pytestmark = pytest.mark.integration

BUSY = """
import time
end = time.monotonic() + 2
while time.monotonic() < end: pass
print(time.process_time() / 2)
"""
GREEDY = "held = bytearray(512 * 2**20); print(len(held))"


@pytest.fixture
def limits():
    limits = limits_for("test", 0.25, 128 * 2**20)
    if limits.how == "none":
        pytest.skip("no CPU limit can be had on this machine")
    yield limits
    limits.remove()


def joined(limits, process):
    """Wait until the launcher is inside, which takes it some milliseconds."""
    deadline = time.monotonic() + 5
    while limits.cpus(process.pid) is None:
        assert time.monotonic() < deadline, "not inside in time"
        time.sleep(0.01)


@pytest.mark.alone
def test_a_busy_loop_gets_the_share_that_is_reported(limits):
    process = subprocess.Popen(
        limits.command([sys.executable, "-c", BUSY]), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    joined(limits, process)
    assert limits.cpus(process.pid) == 0.25
    share = float(process.communicate()[0])
    print(f"a busy loop got {share:.3f} of a core; {limits.cpu_usage()}")
    # 2 s touch up to 21 periods and the kernel accounts in slices; less only where the machine is busy
    assert 0.10 <= share <= 0.30
    usage = limits.cpu_usage()
    if isinstance(limits, Cgroup):
        assert usage is not None
        assert usage.periods >= usage.throttled_periods >= 1


def test_a_process_is_inside_before_its_first_instruction(limits):
    done = subprocess.run(
        limits.command(["cat", "/proc/self/cgroup"]), capture_output=True, text=True, check=True
    )
    own = Path("/proc/self/cgroup").read_text()
    assert "loadproof-test-" in done.stdout
    assert "loadproof-test-" not in own


def test_memory_is_limited_where_the_kernel_says_so(limits):
    with subprocess.Popen(limits.command(["sleep", "30"])) as idle:
        joined(limits, idle)
        memory = limits.memory(idle.pid)
        idle.kill()
    if memory is None:
        pytest.skip("no memory limit can be had on this machine")
    assert memory == 128 * 2**20
    done = subprocess.run(limits.command([sys.executable, "-c", GREEDY]), capture_output=True)
    assert done.returncode == -9


def test_nothing_of_a_limit_remains_even_when_something_runs_inside():
    limits = limits_for("test", 0.25, None)
    if not isinstance(limits, Cgroup):
        pytest.skip("no cgroup can be made on this machine")
    with subprocess.Popen(limits.command(["sleep", "300"]), start_new_session=True) as forgotten:
        joined(limits, forgotten)
        limits.remove()
        assert forgotten.wait(timeout=5) == -9
    assert not any(folder.exists() for folder in limits.folders)
    limits.remove()
