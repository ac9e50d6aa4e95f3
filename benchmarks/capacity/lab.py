"""A lab that is only a double: two queues with fixed service times, behind one address, without limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from benchmarks.load.run import LoadRun, launch
from loadtest.lab.interface import Endpoints


class DoubleLab:
    """Runs nothing itself; see ``running``.

    Args:
        url: of the double.
    """

    backend = "local"

    def __init__(self, url: str) -> None:
        self.endpoints = Endpoints(url, url, url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing to stop."""

    def enforced_cpus(self, _role: str) -> float | None:
        """There is no limit."""
        return None

    def launch_load(self, job: Path) -> LoadRun:
        """Start the load generator as a process."""
        return launch(job, self.endpoints.gateway)

    def check(self) -> None:
        """Nothing to look after."""

    def environment(self) -> dict[str, object]:
        """What ran."""
        return {"backend": self.backend}


@contextmanager
def running(service: Mapping[str, float]) -> Iterator[DoubleLab]:
    """The double, with a service time in seconds for each version."""
    command = [sys.executable, str(Path(__file__).with_name("double.py")), json.dumps(dict(service))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            yield DoubleLab(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()
