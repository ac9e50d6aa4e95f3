"""A run without Locust's pages: what ``python -m loadtest.load`` does."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Self, TextIO

import gevent
from gevent.event import Event
from locust import runners
from locust.env import Environment
from locust.exception import RPCError

from loadtest.data.run_folder import EXPERIMENT
from loadtest.data.sample_lines import sample_line
from loadtest.errors import ExitCode, LabError, StartError
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.joining import Joining, worker_command
from loadtest.load.cluster.locust_messages import survive_strangers
from loadtest.load.cluster.members import lives
from loadtest.load.cluster.run_hooks import FinishedRun, RunHooks
from loadtest.load.cluster.run_inputs import RunInputs
from loadtest.load.cluster.wiring import Arrivals, coordinate
from loadtest.load.cluster.worker import Worker
from loadtest.load.protocols import protocol_named
from loadtest.load.sending.driver import Generator
from loadtest.load.sending.recorder import MakeRecorder, Recorder
from loadtest.load.sending.target import base_url
from loadtest.load.settings import Settings

_CONNECT = 60.0
_QUIT = 5.0
_PORT = 2
_POLL = 0.25
_LOOPBACK = "127.0.0.1"
_LOST = (
    "a worker process ended before the load began, and nothing was measured; if nobody killed it, the "
    "machine is out of memory: free some, or take fewer workers"
)


def run(
    job: Path,
    host: str,
    workers: int | None,
    out: TextIO = sys.stdout,
    recorder: MakeRecorder = Recorder,
    *,
    stream: bool = False,
    joining: Joining | None = None,
) -> ExitCode:
    """Run the load of a job folder and write its files there.

    Args:
        job: folder with ``experiment.toml``.
        host: base URL of the target.
        workers: number of worker processes; 1: this one; None: the experiment's.
        out: takes live figures, one JSON object a line.
        recorder: makes the recorder of a share, where this process sends.
        stream: print the samples too, as ``loadtest.data.samples``.
        joining: workers on other machines, instead of ``workers`` of this one.

    Returns:
        PASS: measured (whether anything may go live is not said here); INVALID: measured badly;
        INTERRUPTED: ended early by a signal.

    Raises:
        UsageError: the job, the evaluation set or the URL cannot be used.
        LabError: the target does not answer, workers did not join, or the generator broke.
    """
    inputs = RunInputs(Settings.read())
    experiment = inputs.locate(Experiment.load_file(str(job / EXPERIMENT)))
    if experiment.target is not None:
        protocol_named(experiment.target.protocol).check_target(experiment.target)
    url = base_url(host)
    workers = 0 if joining else workers or experiment.load.workers
    interrupted = Event()

    def show(event: dict[str, Any]) -> None:
        print(json.dumps(event), file=out, flush=True)

    with _Workers(0 if workers == 1 else workers) as processes:
        inputs.dataset(experiment.data)
        environment = Environment(user_classes=[Generator], shape_class=Arrivals(), host=url)
        hooks = RunHooks(
            resolve=lambda: experiment,
            folder=lambda *_: job,
            conclude=lambda _: None,
            show=show,
            pass_on=(lambda *kept: print(sample_line(*kept), file=out, flush=True)) if stream else None,
            gateway=joining.gateway if joining else None,
            introduced=joining is not None,
        )
        runner: Any
        if workers == 1:
            runner = environment.create_local_runner()
            coordinator = coordinate(environment, inputs, hooks)
            Worker(environment, inputs, recorder)
        else:
            runner = _listening(environment, joining)
            coordinator = coordinate(environment, inputs, hooks)

        def interrupt() -> None:
            if not interrupted.is_set():
                interrupted.set()
                gevent.spawn(runner.stop)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            gevent.signal_handler(number, interrupt)
        try:
            processes.connect(runner, interrupted)
            if joining:
                joining.wait(coordinator.members, worker_command(joining, experiment, url), show, interrupted)
        except StartError:
            runner.quit()
            raise
        if not interrupted.is_set():
            runner.start_shape()
        while not coordinator.closed.wait(_POLL):
            if interrupted.is_set() and runner.state == runners.STATE_INIT:
                break  # nothing began yet
            if processes.lost:
                coordinator.call_off(StartError(_LOST))  # once the load has begun, the others finish it
        runner.quit()
    if joining and coordinator.result is not None:
        joining.note_clocks(coordinator.result.summary.clock_skew_s, show)
    if coordinator.error is not None:
        raise coordinator.error
    return _exit_code(coordinator.result, interrupted.is_set())


def _listening(environment: Environment, joining: Joining | None) -> Any:
    """Locust's master; without workers elsewhere it listens for those of this machine alone."""
    survive_strangers()
    if joining is None:
        return environment.create_master_runner(_LOOPBACK, 0)
    try:
        return environment.create_master_runner(joining.host, joining.port)
    except (RPCError, SystemExit) as error:  # Locust ends the process where the port is taken
        raise StartError(f"{joining.host}:{joining.port}: the master cannot listen there ({error})") from None


def _exit_code(result: FinishedRun | None, interrupted: bool) -> ExitCode:
    if result is not None and result.summary.exit_code not in (ExitCode.PASS, ExitCode.INVALID):
        raise LabError(result.summary.reason or "the load generator broke")
    if interrupted:
        return ExitCode.INTERRUPTED
    return result.summary.exit_code if result is not None else ExitCode.LAB


class _Workers:
    """Worker processes of this master, forked before it has read or opened anything."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._alive: list[int] = []
        receive, self._send = os.pipe()
        for _ in range(count):
            if child := gevent.fork():
                self._alive.append(child)
            else:
                os.close(self._send)
                _be_worker(receive)
        os.close(receive)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Wait for them to end, which the master told them or the closed pipe tells them."""
        os.close(self._send)
        for _ in range(int(_QUIT / _POLL)):
            if not self._still_alive():
                return
            gevent.sleep(_POLL)
        for child in self._alive:
            with suppress(ProcessLookupError, ChildProcessError):  # it has ended by now
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    def connect(self, runner: Any, interrupted: Event) -> None:
        """Tell them the master's port and wait until all are connected (or ``interrupted``).

        Raises:
            StartError: one ended or did not connect.
        """
        if self._count:
            os.write(self._send, runner.server.port.to_bytes(_PORT, "big") * self._count)
        for _ in range(int(_CONNECT / _POLL)):
            if not self._count or runner.worker_count == self._count or interrupted.is_set():
                return
            if self.lost:
                raise StartError(_LOST)
            gevent.sleep(_POLL)
        raise StartError(f"only {runner.worker_count} of {self._count} workers connected in {_CONNECT:g} s")

    @property
    def lost(self) -> bool:
        """Whether one has ended."""
        return self._still_alive() < self._count

    def _still_alive(self) -> int:
        self._alive = list(filter(lives, self._alive))
        return len(self._alive)


def _be_worker(receive: int) -> NoReturn:
    """Be a worker until the master says to quit, or is gone."""
    code = ExitCode.LAB
    try:
        # Ctrl-C reaches all processes of a terminal; the master ends the run in order
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a worker prints is no progress line
        if port := os.read(receive, _PORT):
            environment = Environment(user_classes=[Generator])
            runner = environment.create_worker_runner(_LOOPBACK, int.from_bytes(port, "big"))
            Worker(environment, RunInputs(Settings.read()))
            gevent.spawn(_watch, os.getppid())
            runner.greenlet.join()
        code = ExitCode.PASS
    finally:
        os._exit(code)


def _watch(master: int) -> NoReturn:
    while os.getppid() == master:
        gevent.sleep(1)
    os._exit(ExitCode.LAB)
