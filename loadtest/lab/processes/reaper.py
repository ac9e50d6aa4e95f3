"""The reaper: a separate process that cleans up behind a lab whose process was killed.

The lab tells it on standard input what runs (``+pid``), what was stopped (``-pid``) and which cgroups exist
(``cgroup <folder>``). When the lab's process ends, however it ends, the pipe closes and the reaper stops
whatever is left. After an orderly end nothing is left and it just goes.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from loadtest.lab.processes.cgroups import remove_group
from loadtest.lab.processes.process_stop import stop_families

_GRACE = 3.0
_POLL = 0.5


class Reaper:
    """The lab's end of the pipe.

    Args:
        root: folder from which ``loadtest`` can be imported.
    """

    def __init__(self, root: Path) -> None:
        # its own session: Ctrl-C at the terminal must not end it before its work
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.lab.processes.reaper", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=root,
            start_new_session=True,
            text=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        self._pipe = self._process.stdin

    def started(self, pid: int) -> None:
        """A service runs."""
        self._tell(f"+{pid}")

    def stopped(self, pid: int) -> None:
        """A service was stopped and reaped."""
        self._tell(f"-{pid}")

    def will_make(self, folder: Path) -> None:
        """A cgroup is about to be made."""
        self._tell(f"cgroup {folder}")

    def close(self) -> None:
        """Let it go, after it has stopped what may be left."""
        with contextlib.suppress(OSError):
            self._pipe.close()
        try:
            self._process.wait(timeout=2 * _GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._pipe.write(line + "\n")
            self._pipe.flush()


def watch(lab: int) -> None:
    """Read what the lab tells until its process ends, then stop and remove what is left.

    Args:
        lab: process id of the lab.
    """
    running: dict[int, psutil.Process] = {}
    groups: list[Path] = []
    for line in _lines(lab):
        if line.startswith("+"):
            with contextlib.suppress(psutil.NoSuchProcess):
                running[int(line)] = psutil.Process(int(line))
        elif line.startswith("-"):
            running.pop(-int(line), None)
        else:
            groups.append(Path(line.removeprefix("cgroup ")))
    # the load is started last: what it measures must not show how the lab is stopped
    processes = list(running.values())
    stop_families(processes[-1:], _GRACE)
    stop_families(processes[:-1], _GRACE)
    for folder in groups:
        remove_group(folder)


def _lines(lab: int) -> Iterator[str]:
    rest = b""
    while True:
        if select.select([0], [], [], _POLL)[0]:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode() for line in lines)
        elif os.getppid() != lab:
            # a fork of the lab holds the pipe open although the lab itself is gone
            return


if __name__ == "__main__":
    watch(int(sys.argv[1]))
