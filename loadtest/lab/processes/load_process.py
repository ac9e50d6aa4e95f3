"""The load generator as a local process."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from loadtest.data.run_folder import EXPERIMENT
from loadtest.experiment.experiment import Experiment
from loadtest.lab.processes.process_stop import stop_families
from loadtest.lab.processes.supervisor import Supervisor
from loadtest.lab.remote_workers import RemoteWorkers
from loadtest.lab.services.load_generator import did_its_job, load_ended, longest

COMMAND = (sys.executable, "-m", "loadtest.load", "--stream")
_STOP_SECONDS = 30.0
_SSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""OpenSSL's own variables, of the authorities that it trusts."""


class LocalLoad:
    """A ``LoadProcess``: a supervised process whose standard output is a pipe.

    Its standard error goes to ``load.log``. A generator that hangs is killed, so that a run always ends.

    Raises:
        ExperimentError: the job's experiment cannot be read.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        command: Sequence[str],
        job: Path,
        host: str,
        env: Mapping[str, str] | None = None,
        workers: RemoteWorkers | None = None,
    ) -> None:
        limit = longest(Experiment.load_file(str(job / EXPERIMENT)))
        argv = [*command, "--job", str(job.absolute()), "--host", host]
        if workers is not None:
            limit += workers.max_wait
            argv += workers.options()
        self._elsewhere = workers is not None
        # it runs in another folder than the command whose variable names a path
        authorities = {name: str(Path(os.environ[name]).absolute()) for name in _SSL if os.environ.get(name)}
        environment = {**authorities, **(env or {})}
        service = supervisor.start("load", argv, stdout=subprocess.PIPE, env=environment, essential=False)
        assert service.process.stdout is not None  # noqa: S101 - for the type checker
        self._service = service
        self._supervisor = supervisor
        self._stdout = io.TextIOWrapper(service.process.stdout, encoding="utf-8", errors="replace")
        self._asked = False
        self._watchdog = threading.Timer(limit, self._kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def lines(self) -> Iterator[str]:
        """Its standard output, line by line, until it ends."""
        for line in self._stdout:
            yield line.rstrip("\n")

    def stop(self) -> None:
        """Ask it to end early and keep what was measured; idempotent."""
        if not self._asked and self._service.ended() is None:
            self._asked = True
            self._service.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code. After ``stop`` it gets 30 s to write its files, then it is killed."""
        killer = threading.Timer(_STOP_SECONDS, self._kill)
        killer.daemon = True
        if self._asked:
            killer.start()
        try:
            if not self._stdout.closed:
                # unread lines must not keep it from ending
                for _ in self._stdout:
                    pass
                self._stdout.close()
            code = self._service.process.wait()
        finally:
            killer.cancel()
        self._watchdog.cancel()
        self._supervisor.stop(self._service)
        return code

    def check(self, *, elsewhere: bool = False) -> None:
        """See that it runs, or did its job.

        Raises:
            LoadproofError: it did not; see ``load_ended``.
        """
        how = self._service.ended()
        if how and not did_its_job(self._service.process.poll(), asked=self._asked):
            raise load_ended(how, self._service.tail(), elsewhere=elsewhere or self._elsewhere)

    def close(self) -> None:
        """Let go of it after the supervisor has stopped it."""
        self._watchdog.cancel()
        self._stdout.close()

    def _kill(self) -> None:
        # from a timer's thread: the process is ended here and let go of in ``wait``
        stop_families([self._service.handle], grace=0.0)
