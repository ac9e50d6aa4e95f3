"""``python -m benchmarks.judging.cost COMMAND``: what a command takes, measured by a small process.

To the peak of a command Linux adds that of who started it, which has just made a run of a million samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import NamedTuple


class Cost(NamedTuple):
    """What one command took."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    code: int


def measure(command: list[str]) -> Cost:
    """Run a command to its end: wall and CPU time, and the peak of its resident memory."""
    between = [sys.executable, "-m", "benchmarks.judging.cost", *command]
    return Cost(*json.loads(subprocess.run(between, stdout=subprocess.PIPE, check=True).stdout))


def main(command: list[str]) -> int:
    """Measure, and print the four numbers as JSON."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    scale = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    cpu_seconds = usage.ru_utime + usage.ru_stime
    print(json.dumps(Cost(seconds, cpu_seconds, usage.ru_maxrss * scale / 1e6, process.returncode)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
