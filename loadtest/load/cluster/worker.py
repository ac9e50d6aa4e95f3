"""A worker: carries out its share of a run and reports to the master, which may be the same process."""

from __future__ import annotations

import time
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import RLock
from locust.env import Environment

from loadtest.data.dataset import Dataset
from loadtest.errors import ExitCode, LabError, LoadproofError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role
from loadtest.load.baseline.row_choice import from_bytes
from loadtest.load.cluster.dataset_digest import is_here
from loadtest.load.cluster.messages import (
    GO,
    JOB,
    REPORT,
    ROWS,
    STOP,
    WANT,
    Go,
    Job,
    Report,
    Rows,
    State,
    Want,
)
from loadtest.load.cluster.settings import locate_data, parse_toml, target_here
from loadtest.load.protocols import OpenInference, from_words
from loadtest.load.sending.arrivals import draw
from loadtest.load.sending.driver import PINNED, Driver
from loadtest.load.sending.recorder import MakeRecorder, Recorder
from loadtest.load.sending.request_bodies import Payloads
from loadtest.load.sending.role_clients import clients_of
from loadtest.load.sending.target_check import reach
from loadtest.load.sending.user_traffic import UnpinnedDriver

REPORT_EVERY = 1.0
_METHOD = "POST"
_ROWS_WITHIN = 60.0
_CLOCKS_AGREE = 0.5
"""Seconds; a worker whose clock is further off begins when it is told to, not when its clock says so."""


class Worker:
    """Listens for jobs: ``Worker(environment)`` once per process that sends.

    Args:
        environment: Locust's; its runner connects to the master (or is both).
        recorder: makes the recorder of a share.
    """

    def __init__(self, environment: Environment, recorder: MakeRecorder = Recorder) -> None:
        self._environment = environment
        self._make_recorder = recorder
        self._share: _Share | None = None
        runner: Any = environment.runner
        events: Any = environment.events
        runner.register_message(JOB, self._on_job)
        runner.register_message(ROWS, self._on_rows)
        runner.register_message(GO, self._on_go)
        runner.register_message(STOP, self._on_stop)
        events.test_stopping.add_listener(self._drain)
        # before Locust's own listener, which says goodbye to the master
        events.quitting.add_listener(self._drain)

    def _on_job(self, msg: Any, **_: object) -> None:
        job = Job(**msg.data)
        if self._share is not None:
            self._share.stop()
        self._share = _Share(job, self._environment, self._make_recorder)

    def _on_rows(self, msg: Any, **_: object) -> None:
        rows = Rows(**msg.data)
        if self._share is not None and self._share.job.run == rows.run:
            self._share.take_rows(rows.content)

    def _on_go(self, msg: Any, **_: object) -> None:
        go = Go(**msg.data)
        if self._share is not None and self._share.job.run == go.run:
            self._share.go(go)

    def _on_stop(self, **_: object) -> None:
        if self._share is not None:
            self._share.stop()

    def _drain(self, **_: object) -> None:
        if self._share is not None:
            self._share.stop()
            self._share.join()


class _Share:
    """One worker's part in one run, from the job to the last report."""

    def __init__(self, job: Job, environment: Environment, recorder: MakeRecorder) -> None:
        self.job = job
        self._environment = environment
        self._make_recorder = recorder
        self._go = Event()
        self._origin: float | None = None
        self._content: bytes | None = None
        self._content_came = Event()
        self._stopping = False
        self._driver: Driver | None = None
        self._recorder: Recorder | None = None
        self._planned = 0
        self._number = 0
        self._reporting = RLock()
        self._greenlet = gevent.spawn(self._work)

    def take_rows(self, content: bytes) -> None:
        """The evaluation set that was asked for."""
        self._content = content
        self._content_came.set()

    def go(self, go: Go) -> None:
        """Send from the run's time zero on."""
        # the wall clock is what workers share; from here on only the monotonic clock counts
        ahead = go.began_at - time.time()
        if abs(ahead - go.ahead) > _CLOCKS_AGREE:
            ahead = go.ahead
        self._origin = time.perf_counter() + ahead
        self._go.set()

    def stop(self) -> None:
        """No more arrivals."""
        self._stopping = True
        self._content_came.set()
        self._go.set()
        if self._driver is not None:
            self._driver.stop()

    def join(self) -> None:
        """Wait until the last report is sent; bounded by the time-outs of the requests."""
        self._greenlet.join()

    def _work(self) -> None:
        try:
            self._report("preparing")
            experiment = parse_toml(self.job.experiment)
            dataset = self._rows(experiment)
            if dataset is not None:
                self._driver = self._prepare(experiment, dataset)
                self._report("ready")
                self._go.wait()
            if self._driver is None or self._origin is None:
                self._report("finished")  # it was stopped before
                return
            if not self._stopping:
                reporter = gevent.spawn(self._report_while_running)
                self._driver.drive(self._origin)
                with self._reporting:
                    reporter.kill()
            self._report("finished", self._driver.problem, self._driver.code)
        except LoadproofError as error:
            self._report("finished", str(error), error.exit_code)
        except Exception as error:
            self._report("finished", f"the load generator failed ({type(error).__name__}: {error})")

    def _rows(self, experiment: Experiment) -> Dataset | None:
        """The master's evaluation set; None: the run was stopped before it came."""
        data = locate_data(experiment).data
        if is_here(data.path, self.job.digest):
            return Dataset.read(data)
        runner: Any = self._environment.runner
        runner.send_message(WANT, Want(self.job.run, self.job.worker)._asdict())
        self._content_came.wait(_ROWS_WITHIN)
        if self._content is None and not self._stopping:
            raise LabError(f"the evaluation set did not come from the master within {_ROWS_WITHIN:g} s")
        return None if self._content is None else Dataset.read(data, self._content)

    def _prepare(self, experiment: Experiment, dataset: Dataset) -> Driver:
        job, load, target = self.job, experiment.load, experiment.target
        host = target_here(job.host)
        for base in [host] if target is None else {target.url(role) for role in ROLES}:
            reach(base)
        schedule = draw(load, len(dataset), job.worker, job.workers)
        spoken = {role: from_words(job.codecs[role]) for role in ROLES}
        codecs = [spoken[role] for role in ROLES]
        payloads = [Payloads(dataset, codec) for codec in codecs]
        if codecs[0] == codecs[1]:
            payloads[1] = payloads[0]
        for bodies in dict.fromkeys(payloads):
            for _ in bodies.prepare(schedule.row):
                gevent.sleep(0)
        self._planned = schedule.measured
        ids = f"{job.run}-{job.worker}-"
        self._recorder = self._make_recorder(dataset, job.worker, from_bytes(job.baseline), ids)
        parts: dict[str, Any] = {
            "schedule": schedule,
            "codecs": codecs,
            "payloads": payloads,
            "clients": clients_of(experiment, host, spoken),
            "recorder": self._recorder,
            "log": self._log,
            "timeout": load.timeout,
            "ids": ids,
        }
        driver = (
            Driver(**parts, versions=PINNED[load.traffic])
            if load.traffic in PINNED
            else UnpinnedDriver(
                load=load,
                dataset=dataset,
                worker=job.worker,
                feedback_path=f"{OpenInference.metadata_path(experiment.model.name)}/feedback",
                **parts,
            )
        )
        if self._stopping:
            driver.stop()
        return driver

    def _log(self, role: Role, latency: float, length: int, error: str | None) -> None:
        stats = self._environment.stats
        stats.log_request(_METHOD, role, round(latency * 1000), length)
        if error:
            stats.log_error(_METHOD, role, error)

    def _report_while_running(self) -> None:
        while True:
            gevent.sleep(REPORT_EVERY)
            with self._reporting:
                self._report("running")

    def _report(self, state: State, problem: str | None = None, code: ExitCode = ExitCode.LAB) -> None:
        driver, recorder = self._driver, self._recorder
        samples = b""
        if recorder is not None:
            try:
                # even when there are none: what is slow the first time is so during the warm-up
                samples = recorder.take().to_bytes()
            except Exception as error:
                problem = problem or f"recording failed ({type(error).__name__}: {error})"
                code = ExitCode.LAB
        report = Report(
            run=self.job.run,
            worker=self.job.worker,
            number=self._number,
            state=state,
            samples=samples,
            recorded=recorder.recorded if recorder else 0,
            planned=self._planned,
            scheduled=driver.scheduled if driver else 0,
            sent=driver.sent if driver else 0,
            elapsed=None if self._origin is None else time.perf_counter() - self._origin,
            warmup=(driver.warmup[0], driver.warmup[1]) if driver else (0, 0),
            problem=problem,
            code=int(code),
        )
        self._number += 1
        runner: Any = self._environment.runner
        runner.send_message(REPORT, report._asdict())
