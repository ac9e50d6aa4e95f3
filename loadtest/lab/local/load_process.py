"""The load generator as a local process."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator

from loadtest.errors import ExitCode
from loadtest.lab.local.process_stop import stop_families
from loadtest.lab.local.supervisor import Service, Supervisor

LOAD_CODES = (ExitCode.PASS, ExitCode.INVALID)
"""Exit codes of a load generator that did its job."""

_STOP_SECONDS = 30.0


class LocalLoad:
    """A ``LoadProcess``: a supervised process whose standard output is a pipe.

    Args:
        service: the running process; its standard error goes to its log.
        supervisor: stops it.
        limit: seconds after which a generator that hangs is killed, so that a run always ends.
    """

    def __init__(self, service: Service, supervisor: Supervisor, limit: float) -> None:
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

    def failure(self) -> str | None:
        """How it ended without having done its job, in words; None while it runs or when all is well."""
        done = self._service.process.poll() in (*LOAD_CODES, *([ExitCode.INTERRUPTED] if self._asked else []))
        return None if done else self._service.ended()

    def tail(self) -> tuple[str, ...]:
        """The last lines of its log."""
        return self._service.tail()

    def close(self) -> None:
        """Let go of it after the supervisor has stopped it."""
        self._watchdog.cancel()
        self._stdout.close()

    def _kill(self) -> None:
        # from a timer's thread: the process is ended here and let go of in ``wait``
        stop_families([self._service.handle], grace=0.0)
