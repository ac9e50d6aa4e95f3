"""The load generator from outside: started as a process, so that nothing here patches the interpreter.

::

    process = launch(job, "http://127.0.0.1:8080")
    for line in process.lines():
        print(json.loads(line)["elapsed"])
    code = process.wait()  # samples.parquet and load.json now lie in the job folder
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def command(job: Path, host: str, workers: int | None = None, *, stream: bool = False) -> list[str]:
    """The command line of the load generator.

    Args:
        job: folder with ``experiment.toml``.
        host: base URL of the target.
        workers: number of worker processes; None: the experiment's.
        stream: print the samples too.
    """
    arguments = [sys.executable, "-m", "loadtest.load", "--job", str(job), "--host", host]
    arguments += ["--stream"] if stream else []
    return arguments if workers is None else [*arguments, "--workers", str(workers)]


class LoadRun:
    """A load generator that runs on this machine; a ``loadtest.lab.interface.LoadProcess``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def lines(self) -> Iterator[str]:
        """Its standard output, line by line, until it ends."""
        if self.process.stdout is not None:
            yield from self.process.stdout

    def stop(self) -> None:
        """Ask it to end early and keep what was measured; idempotent."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def launch(
    job: Path,
    host: str,
    workers: int | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    stream: bool = False,
) -> LoadRun:
    """Start the load generator; its log goes to ``load.log`` in the job folder.

    Args:
        job: folder with ``experiment.toml``.
        host: base URL of the target.
        workers: number of worker processes; None: the experiment's.
        environment: variables beside this process's own.
        stream: print the samples too.
    """
    with (job / "load.log").open("w", encoding="utf-8") as log:
        return LoadRun(
            subprocess.Popen(
                command(job, host, workers, stream=stream),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C in a terminal is for the caller, which then calls stop
            )
        )
