"""A worker: carries out its share of a run and reports to the master, which may be the same process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import RLock
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtest.data.dataset import Dataset
from loadtest.data.trace_context import TraceContext
from loadtest.errors import ExitCode, LabError, LoadproofError
from loadtest.experiment.experiment import Data, Experiment
from loadtest.experiment.role import Role
from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.introduction import Introduction
from loadtest.load.cluster.messages import (
    DatasetContent,
    DatasetWanted,
    Go,
    Job,
    Report,
    State,
    Stop,
    decode_answers,
)
from loadtest.load.cluster.permits import Permits
from loadtest.load.cluster.run_inputs import RunInputs
from loadtest.load.protocols import codec_from
from loadtest.load.protocols.oip import OpenInference
from loadtest.load.sending.arrivals import draw, encode_bodies
from loadtest.load.sending.driver import Driver
from loadtest.load.sending.fan_out import pinned
from loadtest.load.sending.recorder import MakeRecorder, Recorder
from loadtest.load.sending.target import check_reachable, clients_of
from loadtest.load.sending.task_answers import TaskAnswers
from loadtest.load.sending.user_traffic import UnpinnedDriver

REPORT_EVERY = 0.75
"""Seconds: with the way of a report to the disk, a death loses less than the last second of samples."""
_METHOD = "POST"
_CONTENT_WITHIN = 60.0


class Worker:
    """Listens for jobs: ``Worker(environment, inputs)`` once per process that sends.

    ``permits`` None: the master may ask for anything, because it started this process itself.
    """

    def __init__(
        self,
        environment: Environment,
        inputs: RunInputs,
        recorder: MakeRecorder = Recorder,
        permits: Permits | None = None,
    ) -> None:
        self._environment = environment
        self._inputs = inputs
        self._make_recorder = recorder
        self._share: _Share | None = None
        runner: Any = environment.runner
        events: Any = environment.events
        self._permits = permits
        channel = self._channel = Channel(runner, inputs.settings.worker_token)
        channel.listen(Job, self._on_job)
        channel.listen(DatasetContent, partial(self._tell_share, _Share.take_content))
        channel.listen(Go, partial(self._tell_share, _Share.go))
        channel.listen(Stop, partial(self._tell_share, _Share.stop))
        if isinstance(runner, WorkerRunner):
            events.heartbeat_received.add_listener(Introduction(channel, runner).on_heartbeat)
        events.test_stopping.add_listener(self._drain)
        # before Locust's own listener, which says goodbye to the master
        events.quitting.add_listener(self._drain)

    def _on_job(self, job: Job, _: str) -> None:
        if self._share is not None:
            self._share.stop()
        self._share = _Share(
            job,
            self._environment,
            self._inputs,
            self._make_recorder,
            self._permits,
            self._channel,
        )

    def _tell_share(self, hear: Callable[[_Share, Any], None], message: Any, _: str) -> None:
        if self._share is not None and self._share.job.run == message.run:
            hear(self._share, message)

    def _drain(self, **_: object) -> None:
        if self._share is not None:
            self._share.stop()
            self._share.join()


class _Share:
    """One worker's part in one run, from the job to the last report."""

    def __init__(
        self,
        job: Job,
        environment: Environment,
        inputs: RunInputs,
        recorder: MakeRecorder,
        permits: Permits | None,
        channel: Channel,
    ) -> None:
        self.job = job
        self._clock_skew: float | None = None
        self._permits = permits
        self._channel = channel
        self._environment = environment
        self._inputs = inputs
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

    def take_content(self, message: DatasetContent) -> None:
        """The evaluation set that was asked for."""
        self._content = message.content
        self._content_came.set()

    def go(self, message: Go) -> None:
        """Send from the run's time zero on."""
        # a wall clock may be off, and may step: it is compared with the master's, and nothing follows from it
        self._clock_skew = time.time() + message.ahead - message.began_at
        self._origin = time.perf_counter() + message.ahead
        self._go.set()

    def stop(self, _: Stop | None = None) -> None:
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
            experiment = self._inputs.from_toml(self.job.experiment)
            if self._permits is not None:
                self._permits.check(experiment, self._inputs.settings.target or self.job.host)
            dataset = self._dataset(experiment.data)
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

    def _dataset(self, data: Data) -> Dataset | None:
        """The master's evaluation set; None: the run was stopped before it came."""
        dataset = self._inputs.dataset_with(data, self.job.digest)
        if dataset is not None:
            return dataset
        self._channel.send(DatasetWanted(self.job.run, self.job.worker))
        self._content_came.wait(_CONTENT_WITHIN)
        if self._content is None and not self._stopping:
            raise LabError(f"the evaluation set did not come from the master within {_CONTENT_WITHIN:g} s")
        if self._content is None:
            return None
        return self._inputs.dataset_from(self._content, data, self.job.digest)

    def _prepare(self, experiment: Experiment, dataset: Dataset) -> Driver:
        job, load, target = self.job, experiment.load, experiment.target
        host = self._inputs.settings.target or job.host
        for base in [host] if target is None else {target.url(role) for role in experiment.roles}:
            check_reachable(base)
        schedules = [
            draw(load, len(dataset), worker, job.workers, dataset.recorded) for worker in range(job.workers)
        ]
        schedule = schedules[job.worker]
        codecs = {role: codec_from(job.codecs[role]) for role in experiment.roles}
        distinct = {
            codec: encode_bodies(dataset, codec, schedule, lambda: gevent.sleep(0))
            for codec in set(codecs.values())
        }
        self._planned = schedule.measured
        ids = f"{job.run}-{job.worker}-"
        # a row that any worker sends in the warm-up may be in a cache
        warmup = {row for share in schedules for row in share.rows_of(share.scheduled_at < 0).tolist()}
        self._recorder = self._make_recorder(dataset, job.worker, decode_answers(job.baseline), ids, warmup)
        clients = clients_of(experiment, host, codecs)
        for client in set(clients):
            client.look_up()  # under load there may be no time for it
        parts: dict[str, Any] = {
            "schedule": schedule,
            "codecs": list(codecs.values()),
            "bodies": [distinct[codec] for codec in codecs.values()],
            "clients": clients,
            "recorder": self._recorder,
            "log": self._log,
            "timeout": load.timeout,
            "ids": ids,
            "task": TaskAnswers(dataset),
            "trace": partial(TraceContext(job.run).traceparent, job.worker) if load.trace else None,
        }
        driver = (
            Driver(**parts, versions=versions)
            if (versions := pinned(load)) is not None
            else UnpinnedDriver(
                load=load,
                dataset=dataset,
                worker=job.worker,
                feedback_path=f"{OpenInference.metadata_path(experiment.model.name)}/feedback",
                feedback_token=self._inputs.settings.feedback_token,
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
            self._report("running")

    def _report(self, state: State, problem: str | None = None, code: ExitCode = ExitCode.LAB) -> None:
        with self._reporting:
            driver, recorder = self._driver, self._recorder
            samples, told = b"", self._told(driver, recorder)
            if recorder is not None:
                try:
                    # even when there are none: what is slow the first time is so during the warm-up
                    taken = recorder.take(_send_others)
                    _send_others()
                    samples = taken.to_bytes()
                    _send_others()
                except Exception as error:
                    problem = problem or f"recording failed ({type(error).__name__}: {error})"
                    code = ExitCode.LAB
            self._number += 1
            self._channel.send(told._replace(state=state, samples=samples, problem=problem, code=code))

    def _told(self, driver: Driver | None, recorder: Recorder | None) -> Report:
        """All but the samples, as it is before they are taken."""
        return Report(
            run=self.job.run,
            worker=self.job.worker,
            number=self._number,
            state="running",
            samples=b"",
            recorded=recorder.recorded if recorder else 0,
            planned=self._planned,
            scheduled=driver.scheduled if driver else 0,
            sent=driver.sent if driver else 0,
            elapsed=None if self._origin is None else time.perf_counter() - self._origin,
            settled=driver.settled if driver else None,
            warmup=_counts(driver.warmup) if driver else (0, 0, 0),
            warmup_errors=_counts(driver.warmup_errors) if driver else (0, 0, 0),
            resent=_counts(driver.resent) if driver else (0, 0, 0),
            not_answers=tuple(dict(kept.texts) for kept in driver.not_answers) if driver else (),
            clock_skew=self._clock_skew,
        )


def _send_others() -> None:
    """Between two steps of about a millisecond: the report of a burst would hold up the rest of it."""
    gevent.sleep(0.001)  # 0 lets nobody in who waits for a socket or a timer


def _counts(of_roles: Sequence[int]) -> tuple[int, int, int]:
    stable, candidate, control = of_roles
    return stable, candidate, control
