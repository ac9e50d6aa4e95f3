"""CPU and memory limits that the kernel of this machine really enforces."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.lab.processes.limits import PERIOD_US, Cgroup, limits_for
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration

BUSY = """
import json, time
began, used = time.monotonic(), time.process_time()
while time.process_time() < used + 0.3: pass
print(json.dumps([time.process_time() - used, time.monotonic() - began]))
"""
GREEDY = "held = bytearray(512 * 2**20); print(len(held))"


@pytest.fixture
def limits():
    limits = limits_for("test", 0.25, 128 * 2**20)
    if limits.how == "none":
        pytest.skip("no CPU limit can be had on this machine")
    yield limits
    limits.remove()


def started(limits, command, **options):
    """What runs under the limits, once the launcher is inside of all its cgroups and has become it."""
    process = subprocess.Popen(limits.command(command), **options)
    told = b"".join(os.fsencode(word) + b"\0" for word in command)
    # not its name: that is still Python's for a moment after Popen has returned
    eventually(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes() == told)
    return process


def test_a_busy_loop_gets_no_more_than_the_share_that_is_reported(limits):
    process = started(limits, [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert limits.cpus(process.pid) == 0.25
    used, seconds = json.loads(process.communicate(timeout=HUNG)[0])
    usage = limits.cpu_usage()
    print(f"a busy loop got {used / seconds:.3f} of a core; {usage}")
    # a period at each end may be cut short, and each core may keep a slice of 5 ms of what it was lent
    period = PERIOD_US / 1e6
    assert used <= 0.25 * (seconds + 2 * period) + 0.02
    if isinstance(limits, Cgroup):
        # it was stopped, unless other work of the machine left it less than its share
        assert usage.periods >= usage.throttled_periods
        assert usage.throttled_periods >= 1 or used < 0.25 * seconds


def test_a_process_is_inside_before_its_first_instruction(limits):
    done = subprocess.run(
        limits.command(["cat", "/proc/self/cgroup"]), capture_output=True, text=True, check=True
    )
    own = Path("/proc/self/cgroup").read_text()
    assert "loadproof-test-" in done.stdout
    assert "loadproof-test-" not in own


def test_memory_is_limited_where_the_kernel_says_so(limits):
    with started(limits, ["sleep", "300"]) as idle:
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
    with started(limits, ["sleep", "300"], start_new_session=True) as forgotten:
        limits.remove()
        assert forgotten.wait(timeout=HUNG) == -9
    assert not any(folder.exists() for folder in limits.folders)
    limits.remove()
