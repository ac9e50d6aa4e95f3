"""The gates of a run in Locust's web UI while it lasts, judged by ``loadproof live`` in a separate process.

An analysis keeps the processor busy; in Locust's own process the answers of the load would wait for it, and
count as slow.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.fileobject import FileObject
from gevent.queue import Full, Queue

from loadtest.data.sample_lines import sample_line
from loadtest.experiment.experiment import Experiment

COMMAND = (sys.executable, "-m", "loadtest", "live", "--experiment")
_WAITING = 120
_PATIENCE = 5.0
_GONE = "the gates are not seen live any more (%s)"

logger = logging.getLogger(__name__)


class LiveGates:
    """Hands samples to a judge beside this process and shows what it sees::

        gates = LiveGates(experiment, page.show_gates)
        gates.add(samples)      # bytes of SampleSet.to_bytes; never waits
        gates.close()

    What goes wrong here is logged and costs the live view only, never the run.

    Args:
        experiment: resolved, with an evaluation set that is on this machine.
        show: takes the gates after every analysis.
        command: what is run, followed by the path of the experiment.
        patience: seconds that it may take to end, once no more samples come.
    """

    def __init__(
        self,
        experiment: Experiment,
        show: Callable[[list[dict[str, Any]]], None],
        command: Sequence[str] = COMMAND,
        patience: float = _PATIENCE,
    ) -> None:
        self._patience = patience
        self._show = show
        self._closed = False
        # a judge that cannot keep up is given up, rather than the memory filled
        self._lines: Queue[str | None] = Queue(_WAITING)
        self._greenlets = [gevent.spawn(self._run, experiment, command)]

    def add(self, samples: bytes) -> None:
        """More samples."""
        with contextlib.suppress(Full):
            self._lines.put_nowait(sample_line(samples))

    def close(self) -> None:
        """No more samples come; returns when the last analysis was shown, or after a few seconds."""
        with contextlib.suppress(Full):
            self._lines.put_nowait(None)
        self._closed = True
        gevent.joinall(self._greenlets, timeout=self._patience)
        if not all(greenlet.dead for greenlet in self._greenlets):
            logger.warning(_GONE, f"the judge did not end within {self._patience:g} s")
            gevent.killall(self._greenlets)

    def _run(self, experiment: Experiment, command: Sequence[str]) -> None:
        try:
            self._follow(experiment, command)
        except Exception as error:  # whatever it is, the run goes on
            logger.warning(_GONE, error)

    def _follow(self, experiment: Experiment, command: Sequence[str]) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(experiment.to_toml())
            file.flush()
            with _judge([*command, file.name]) as (end, samples, lines):
                writer = gevent.spawn(self._write, samples)
                try:
                    for line in lines:
                        self._show(json.loads(line)["gates"])
                    with gevent.Timeout(self._patience, False):
                        if code := end.get():
                            raise ChildProcessError(f"the judge ended with code {code}")
                        if not self._closed:
                            raise ChildProcessError("the judge ended before the run")
                finally:
                    writer.kill()

    def _write(self, pipe: Any) -> None:
        # an end of the judge closes the pipe; what it says goes to Locust's log
        with contextlib.suppress(OSError), pipe:
            while (line := self._lines.get()) is not None:
                pipe.write(line.encode() + b"\n")
                pipe.flush()


@contextlib.contextmanager
def _judge(command: Sequence[str]) -> Iterator[tuple[AsyncResult[int], Any, Any]]:
    """A process: its exit code once it has ended, its standard input and output; it is ended with the block.

    ``gevent.subprocess`` runs Python code between fork and exec, which never ends where another thread held a
    lock at the fork; this does not.
    """
    (stdin, samples), (lines, stdout) = os.pipe(), os.pipe()
    ends = FileObject(samples, "wb"), FileObject(lines, "rb")
    loop, end = gevent.get_hub().loop, AsyncResult()
    # gevent reaps every child once anybody watched one, so that only a watcher learns the code
    loop.install_sigchld()
    try:
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)]
        pid = os.posix_spawnp(command[0], [*command], os.environ, file_actions=actions)
        watcher = loop.child(pid)
        watcher.start(lambda: end.set(os.waitstatus_to_exitcode(watcher.rstatus)))
    except OSError:
        for stream in ends:
            stream.close()
        raise
    finally:
        os.close(stdin)
        os.close(stdout)
    try:
        yield end, *ends
    finally:
        if not end.ready():
            os.kill(pid, signal.SIGKILL)
        for stream in ends:
            with contextlib.suppress(OSError):
                stream.close()
        end.wait()
        watcher.close()
