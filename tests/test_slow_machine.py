"""A slow machine made for tests: a single core, or busy loops beside, of which none is left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.slow_machine import LOOP

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here: not Linux")


def slow(how, code):
    """A process that runs code in a process of its own, as on a slow machine."""
    command = [sys.executable, "-m", "tests.slow_machine", how, sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes)


def loops_of(process):
    return [child for child in psutil.Process(process.pid).children() if LOOP in child.cmdline()]


def test_one_core_and_the_command_s_own_exit_code():
    code = "import os, sys; print(len(os.sched_getaffinity(0))); sys.exit(7)"
    with slow("one-core", code) as process:
        assert process.communicate()[0] == "1\n"
    assert process.returncode == 7


@pytest.mark.parametrize("signal", ["ends by itself", "killed"])
def test_a_loop_a_core_that_ends_with_the_command(signal):
    with slow("busy", "print('runs', flush=True); input()") as process:
        assert process.stdout.readline() == "runs\n"
        loops = loops_of(process)
        assert len(loops) == len(os.sched_getaffinity(0))
        if signal == "killed":
            process.kill()
        else:
            process.communicate("\n")
            assert process.returncode == 0
        # after a kill each sees for itself that nobody wants it any more
        _, alive = psutil.wait_procs(loops, timeout=60)
        assert alive == []


def test_a_loop_keeps_a_core_busy():
    with subprocess.Popen([sys.executable, "-c", LOOP, str(os.getpid())]) as process:
        deadline = time.monotonic() + 60
        while (
            psutil.Process(process.pid).cpu_times().user + psutil.Process(process.pid).cpu_times().system
            < 0.2
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
