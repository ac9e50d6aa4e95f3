"""What one command takes, measured by a small process: ``python -m benchmarks.judging.cost COMMAND``.

Linux counts the memory of the process that starts a command as the command's own until it executes: a peak
below that of its parent cannot be seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import NamedTuple


class Cost(NamedTuple):
    """What one command took: seconds, seconds of CPU, megabytes at the peak of its resident memory."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    code: int


def measure(command: list[str]) -> Cost:
    """Run a command to its end, its output thrown away."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.judging.cost", *command],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return Cost(*json.loads(done.stdout))


def _measured(command: list[str]) -> Cost:
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    scale = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Cost(seconds, cpu_seconds, usage.ru_maxrss * scale / 1e6, process.returncode)


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1:])))
