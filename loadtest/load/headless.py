"""A run without Locust's pages: what ``python -m loadtest.load`` does."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import gevent
from gevent.event import Event
from locust import runners
from locust.env import Environment

from loadtest.config import Experiment
from loadtest.dataset import Dataset
from loadtest.errors import ExitCode, LabError, StartError
from loadtest.load import files
from loadtest.load.coordinator import Result
from loadtest.load.experiment import locate_data
from loadtest.load.recorder import Recorder
from loadtest.load.shapes import Arrivals
from loadtest.load.target import base_url
from loadtest.load.users import Generator
from loadtest.load.wiring import wire

_CONNECT = 60.0
_LOOK_UP = 0.25
_LOOPBACK = "127.0.0.1"


def run(
    job: Path,
    host: str,
    workers: int | None,
    out: TextIO = sys.stdout,
    recorder: Callable[[Dataset, int], Recorder] = Recorder,
) -> ExitCode:
    """Run the load of a job folder and write its files there.

    Args:
        job: folder with ``experiment.toml``.
        host: base URL of the target.
        workers: number of worker processes; 1: this one; None: the experiment's.
        out: takes live figures, one JSON object a line.
        recorder: makes the recorder of a share, where this process sends.

    Returns:
        PASS: measured (whether anything may go live is not said here); INVALID: measured badly;
        INTERRUPTED: ended early by a signal.

    Raises:
        UsageError: the job, the evaluation set or the URL cannot be used.
        LabError: the target does not answer, or the generator broke.
    """
    experiment = Experiment.load_file(str(job / files.EXPERIMENT))
    Dataset.read(locate_data(experiment).data)
    workers = workers or experiment.load.workers
    environment = Environment(user_classes=[Generator], shape_class=Arrivals(), host=base_url(host))
    runner: Any = (
        environment.create_local_runner() if workers == 1 else environment.create_master_runner(_LOOPBACK, 0)
    )
    coordinator = wire(
        environment,
        resolve=lambda: experiment,
        conclude_run=lambda result: files.write(job, result.samples, result.outcome),
        show=lambda event: print(json.dumps(event), file=out, flush=True),
        recorder=recorder,
    )
    if coordinator is None:
        raise LabError("this process coordinates no run")
    interrupted = Event()

    def interrupt() -> None:
        if not interrupted.is_set():
            interrupted.set()
            gevent.spawn(runner.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, interrupt)
    with _workers(job, host, 0 if workers == 1 else workers, runner) as connected:
        if not connected(interrupted):
            return ExitCode.INTERRUPTED
        runner.start_shape()
        while not coordinator.closed.wait(_LOOK_UP):
            if interrupted.is_set() and runner.state == runners.STATE_INIT:
                break  # nothing began yet
        runner.quit()
    if coordinator.error is not None:
        raise coordinator.error
    return _exit_code(coordinator.result, interrupted.is_set())


def _exit_code(result: Result | None, interrupted: bool) -> ExitCode:
    if result is not None and result.outcome.exit_code not in (ExitCode.PASS, ExitCode.INVALID):
        raise LabError(result.outcome.reason or "the load generator broke")
    if interrupted:
        return ExitCode.INTERRUPTED
    return result.outcome.exit_code if result is not None else ExitCode.LAB


@contextmanager
def _workers(job: Path, host: str, count: int, runner: Any) -> Iterator[Callable[[Event], bool]]:
    """Worker processes of this master; the value waits until all are connected (False: interrupted)."""
    command = [sys.executable, "-m", "loadtest.load", "--job", str(job), "--host", host]
    port = runner.server.port if count else 0
    processes = [
        # what a worker prints is no progress line
        subprocess.Popen(
            [*command, "--join", str(port)], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
        )
        for _ in range(count)
    ]

    def connected(interrupted: Event) -> bool:
        for _ in range(int(_CONNECT / 0.1)):
            if interrupted.is_set():
                return False
            if not count or runner.worker_count == count:
                return True
            if any(process.poll() is not None for process in processes):
                raise StartError("a worker process of the load generator ended while it started")
            gevent.sleep(0.1)
        raise StartError(f"only {runner.worker_count} of {count} workers connected within {_CONNECT:g} s")

    try:
        yield connected
    finally:
        for process in processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def join(port: int) -> ExitCode:
    """Be a worker of the master at ``port`` until it says to quit, or is gone."""
    # Ctrl-C reaches all processes of a terminal; the master ends the run in order
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment = Environment(user_classes=[Generator])
    runner = environment.create_worker_runner(_LOOPBACK, port)
    wire(environment, resolve=_no_master, conclude_run=_no_master)
    master = os.getppid()

    def watch_master() -> None:
        while os.getppid() == master:
            gevent.sleep(1)
        logging.getLogger(__name__).error("the master is gone")
        os._exit(ExitCode.LAB)

    gevent.spawn(watch_master)
    runner.greenlet.join()
    return ExitCode.PASS


def _no_master(*_: object) -> Any:
    raise LabError("a worker concludes no run")
