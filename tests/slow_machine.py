"""Run a command as on a slow machine: ``python -m tests.slow_machine busy make test``.

busy      beside one busy loop per core that this process may use
one-core  bound to a single core

The loops end with this process, however it ends, and after two hours in any case. The exit code is that of
the command.
"""

import os
import subprocess
import sys

LOOP = """
import os, sys, time
parent, end = int(sys.argv[1]), time.monotonic() + 7200
while os.getppid() == parent and time.monotonic() < end:
    pass
"""


def main(how, *command):
    """Run it; 2 where this machine cannot."""
    if not hasattr(os, "sched_setaffinity"):
        print("slow_machine: this system tells and sets no affinity; it needs Linux", file=sys.stderr)
        return 2
    cores = os.sched_getaffinity(0)
    if how == "one-core":
        os.sched_setaffinity(0, {min(cores)})
        return subprocess.run(command, check=False).returncode
    loops = [subprocess.Popen([sys.executable, "-c", LOOP, str(os.getpid())]) for _ in cores]
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("busy", "one-core"):
        sys.exit("slow_machine: say busy or one-core, and a command")
    sys.exit(main(*sys.argv[1:]))
