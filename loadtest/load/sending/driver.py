"""Users: what is done with an arrival.

Locust's users wait for their answers, so that a slow server slows them down. Here one ``Driver`` per worker
process sends every arrival when its time has come, each request from a greenlet of its own, whatever became
of the ones before. Locust's user only stands for it in Locust's pages.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter

import gevent
from gevent.event import Event
from locust import User, task

from loadtest.data.local_errors import LOCAL_ERRORS, overfull
from loadtest.errors import ExitCode
from loadtest.experiment.role import ROLES_WITH_CONTROL
from loadtest.load.protocols import Codec
from loadtest.load.sending.arrivals import Schedule
from loadtest.load.sending.fan_out import duet
from loadtest.load.sending.http_client import Answer, Client
from loadtest.load.sending.recorder import Recorder
from loadtest.load.sending.response import read_rows
from loadtest.load.sending.task_answers import NotAnswers, TaskAnswers
from loadtest.load.sending.timer import Timer

HOPELESS = 5.0
"""Seconds behind schedule at which the generator gives up."""

_MAX_IN_FLIGHT = 10_000
_OTHER_FILES = 256
_POLL = 0.25

Log = Callable[[str, float, int, str | None], None]
"""Tells Locust's own statistics: version, latency in seconds, bytes of the answer, error."""
Trace = Callable[[int, float, int], bytes]
"""The trace context of a request: by its row, its intended send and the index of its role."""


class Generator(User):
    """Stands for the load generator of one process; the number of users changes nothing."""

    @task
    def generate(self) -> None:
        """Nothing: the driver sends."""
        gevent.sleep(1)


class Driver:
    """Sends one worker's arrivals as pinned traffic and records what comes back.

    Codecs, bodies (as ``schedule.requests`` names them) and clients are stable's, the candidate's and any
    control's; ``ids`` is what request ids begin with, before the request's serial; ``timeout`` is a
    request's, in seconds; ``task`` says what can be an answer; ``trace`` gives trace contexts (None: none are
    sent); for ``versions`` see ``fan_out``.
    """

    def __init__(
        self,
        schedule: Schedule,
        codecs: Sequence[Codec],
        bodies: Sequence[Mapping[int, bytes]],
        clients: Sequence[Client],
        recorder: Recorder,
        log: Log,
        timeout: float,
        ids: str,
        task: TaskAnswers,
        versions: Callable[[bool], tuple[int, ...]] = duet,
        trace: Trace | None = None,
    ) -> None:
        self._schedule = schedule
        self._groups = schedule.groups
        self._codecs = codecs
        self._bodies = bodies
        self._clients = clients
        self._recorder = recorder
        self._log = log
        self._timeout = timeout
        self._ids = ids.encode()
        self._task = task
        self.not_answers = [NotAnswers() for _ in clients]
        self._serial = 0
        self._heads = [
            client.head(codec.path, role)
            for client, codec, role in zip(clients, codecs, ROLES_WITH_CONTROL, strict=False)
        ]
        self._versions = versions
        self._trace = trace
        self._files = _raise_file_limit()
        self._capacity = min(self._files - _OTHER_FILES, _MAX_IN_FLIGHT)
        self._in_flight: dict[int, float] = {}
        """When each request without an answer was scheduled, by its serial, in the order of sending."""
        self._drained = Event()
        self._until = float("inf")
        self._origin = float("inf")
        self.sent = 0
        self.warmup = [0] * len(ROLES_WITH_CONTROL)
        self.warmup_errors = [0] * len(ROLES_WITH_CONTROL)
        self.resent = [0] * len(ROLES_WITH_CONTROL)
        self.problem: str | None = None
        self.code = ExitCode.PASS

    @property
    def scheduled(self) -> int:
        """Measured arrivals whose time has come (had come, when sending was ended early)."""
        arrivals = self._schedule.scheduled_at
        elapsed = min(perf_counter(), self._until) - self._origin
        return max(int(arrivals.searchsorted(elapsed)) - int(arrivals.searchsorted(0.0)), 0)

    @property
    def settled(self) -> float | None:
        """When the first arrival is scheduled that was not sent or not answered yet; None: all were."""
        for scheduled_at in self._in_flight.values():
            return scheduled_at
        arrivals = self._schedule.scheduled_at
        unsent = int(arrivals.searchsorted(0.0)) + self.sent
        return float(arrivals[unsent]) if unsent < len(arrivals) else None

    def stop(self) -> None:
        """No more arrivals from this instant on; what is late is still sent, what is in flight waited for."""
        self._until = min(self._until, perf_counter())

    def fail(self, problem: str, code: ExitCode) -> None:
        """End the run, nothing more is sent; the first problem is the one that is told."""
        if self.problem is None:
            self.problem, self.code = problem, code
        self.stop()

    def drive(self, origin: float) -> None:
        """Send everything; returns when every request is answered or timed out.

        Args:
            origin: the run's time zero on the ``perf_counter`` clock.
        """
        self._origin = origin
        with _calm_collector():
            self._send_all()
            self._drained.clear()
            if self._in_flight and not self._drained.wait(self._timeout + HOPELESS):
                self.fail(f"{len(self._in_flight)} requests did not end at their time-out", ExitCode.LAB)
        for client in self._clients:
            client.close()

    def _send_all(self) -> None:
        schedule, origin, timer = self._schedule, self._origin, Timer()
        try:
            arrivals = zip(
                schedule.scheduled_at.tolist(),
                schedule.requests,
                schedule.candidate_first.tolist(),
                strict=True,
            )
            for scheduled_at, request, candidate_first in arrivals:
                moment = origin + scheduled_at
                late = perf_counter() - moment
                if late >= 0:
                    gevent.sleep(0)  # behind: answers must still be read
                while late < 0 and self._is_wanted(moment):
                    timer.wait_until(min(moment, perf_counter() + _POLL))
                    late = perf_counter() - moment
                if self._is_wanted(moment):
                    self._check(late)
                if not self._is_wanted(moment):
                    return
                self._arrive(scheduled_at, request, candidate_first)
        finally:
            timer.close()

    def _is_wanted(self, moment: float) -> bool:
        return self.problem is None and moment <= self._until

    def _check(self, late: float) -> None:
        if late > HOPELESS:
            self.fail(
                f"the load generator was {late:.1f} s behind its schedule and gave up: "
                "the rate is beyond it; lower the rate or add workers",
                ExitCode.INVALID,
            )
        elif len(self._in_flight) + len(self._clients) > self._capacity:
            few_files = self._files if self._capacity < _MAX_IN_FLIGHT else None
            self.fail(overfull(len(self._in_flight), few_files), ExitCode.INVALID)

    def _arrive(self, scheduled_at: float, request: int, candidate_first: bool) -> None:
        if scheduled_at >= 0:
            self.sent += 1
        for role in self._versions(candidate_first):
            if scheduled_at < 0:
                self.warmup[role] += 1
            self._serial += 1
            self._in_flight[self._serial] = scheduled_at
            gevent.spawn_raw(self._follow, role, scheduled_at, request, self._serial)

    def _follow(self, role: int, scheduled_at: float, request: int, serial: int) -> None:
        """Send one request, which is in flight until this ends."""
        try:
            self._send(role, scheduled_at, request, serial)
        except Exception as error:
            # a sample that is lost must not go unnoticed
            self.fail(f"recording failed ({type(error).__name__}: {error})", ExitCode.LAB)
        finally:
            del self._in_flight[serial]
            if not self._in_flight:
                self._drained.set()

    def _send(self, role: int, scheduled_at: float, request: int, serial: int) -> None:
        request_id = b"%b%d" % (self._ids, serial)
        traceparent = self._trace(request, scheduled_at, role) if self._trace else b""
        answer = self._clients[role].post(
            self._heads[role], self._bodies[role][request], request_id, traceparent
        )
        self._note(answer, role, scheduled_at)
        if scheduled_at >= 0:
            self._record(answer, role, scheduled_at, request, serial)

    def _note(self, answer: Answer, role: int, scheduled_at: float) -> None:
        """Count what no sample tells; end a run in which this process itself cannot send."""
        self.resent[role] += answer.resent
        self.warmup_errors[role] += scheduled_at < 0 and (answer.error is not None or answer.status != 200)
        if answer.error in LOCAL_ERRORS:
            self.fail(
                f"requests fail in the load generator itself ({answer.error}): {LOCAL_ERRORS[answer.error]}",
                ExitCode.INVALID,
            )

    def _record(self, answer: Answer, role: int, scheduled_at: float, request: int, serial: int) -> None:
        """A sample per row."""
        name, origin = ROLES_WITH_CONTROL[role], self._origin
        rows = (request,) if self._groups is None else self._groups[request]
        told = read_rows(answer, name, self._codecs[role], self._task, len(rows), self.not_answers[role])
        done_at = answer.done_at - origin
        for place, (row, reading) in enumerate(zip(rows, told, strict=True)):
            self._recorder.add(
                row,
                role,
                scheduled_at,
                answer.sent_at - origin,
                done_at,
                answer.status,
                reading.error,
                reading.prediction,
                serial,
                reading.scores,
                place,
                len(rows),
                answer.timings,
            )
        self._log(name, done_at - scheduled_at, len(answer.body), told[0].error)


def _raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS does not allow every hard limit
            return soft
    return hard if hard != resource.RLIM_INFINITY else 2**20


@contextmanager
def _calm_collector() -> Iterator[None]:
    """Keep the garbage collector from looking through everything that the worker prepared."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
