"""The coordinator: runs on the master (or the only process), hands out the shares and concludes the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import MasterRunner

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import run_name
from loadtest.data.samples import SampleSet
from loadtest.errors import ExperimentError, LabError, LoadproofError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.baseline.asking import ask_baseline, ask_first_rows
from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.load_summary import LoadSummary
from loadtest.load.cluster.messages import (
    DatasetContent,
    DatasetWanted,
    Go,
    Job,
    Joined,
    Report,
    Stop,
    encode_answers,
)
from loadtest.load.cluster.run_inputs import RunInputs
from loadtest.load.cluster.run_state import GRACE, RunInProgress
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.protocols import Codec
from loadtest.load.sending.driver import PINNED
from loadtest.load.sending.target import ask_target, base_url

TICK = 0.5
_LEAD = 0.5

logger = logging.getLogger(__name__)


class FinishedRun(NamedTuple):
    """A run that is over."""

    experiment: Experiment
    samples: SampleSet
    summary: LoadSummary


class RunHooks(NamedTuple):
    """What a way to start runs gives to the coordinator, and takes from it.

    Args:
        resolve: gives the experiment of the run that starts now, with its data's path on this machine.
        conclude: takes every run that is over.
        show: takes live figures about once a second.
        metrics: counts along, for Prometheus.
        pass_on: takes samples as they come, as ``SampleSet.to_bytes`` encodes them; None: nobody wants them.
    """

    resolve: Callable[[], Experiment]
    conclude: Callable[[FinishedRun], None]
    show: Callable[[dict[str, Any]], None]
    metrics: LoadMetrics | None = None
    pass_on: Callable[[bytes], None] | None = None


class Coordinator:
    """Follows Locust's own events: a test that starts begins a run, one that stops concludes it."""

    def __init__(self, environment: Environment, inputs: RunInputs, hooks: RunHooks) -> None:
        self._environment = environment
        self._inputs = inputs
        self._hooks = hooks
        self._run: RunInProgress | None = None
        self.result: FinishedRun | None = None
        self.error: LoadproofError | None = None
        self.closed = Event()
        self._runner: Any = environment.runner
        self._joined: set[str] = set()
        self._channel = Channel(self._runner, inputs.settings.worker_token)
        self._channel.listen(Joined, self._on_joined)
        self._channel.listen(Report, self._on_report)
        self._channel.listen(DatasetWanted, self._on_dataset_wanted)
        events: Any = environment.events
        events.test_start.add_listener(self._begin)
        events.test_stopping.add_listener(self._stop)
        events.test_stop.add_listener(self._close)

    @property
    def workers(self) -> list[str]:
        """Locust's ids of the workers, in order; the only process is a worker, too."""
        runner = self._runner
        if not isinstance(runner, MasterRunner):
            return [runner.client_id]
        nodes = runner.clients.ready + runner.clients.spawning + runner.clients.running
        there = {node.id for node in nodes}
        if self._inputs.settings.worker_token is not None:
            there &= self._joined
        return sorted(there, key=runner.get_worker_index)

    @property
    def over(self) -> bool:
        """The run that was begun has ended, or could not begin, and waits to be concluded."""
        if self.closed.is_set():
            return False
        return self.error is not None or (self._run is not None and self._run.over.is_set())

    @contextmanager
    def _failing(self, what: str, run: RunInProgress | None = None) -> Iterator[None]:
        """End ``run`` on any error, which Locust would swallow; ``what`` says what failed."""
        try:
            yield
        except Exception as error:
            if not isinstance(error, LoadproofError):
                error = LabError(f"{what} ({type(error).__name__}: {error})")
            if self.error is None:
                self.error = error
                logger.error("%s", error)
                self._runner.log_exception("loadproof", str(error), "")  # for Locust's pages
            if run is not None:
                run.over.set()

    def _begin(self, **_: object) -> None:
        self.result, self.error = None, None
        self.closed.clear()
        with self._failing("the load could not be prepared"):
            experiment = self._hooks.resolve()
            dataset, digest = self._inputs.dataset(experiment.data)
            host = self._environment.host or ""
            if experiment.target is None:
                host = base_url(host)
            codecs = ask_target(experiment, host, dataset)
            if experiment.load.traffic not in PINNED and len(set(codecs.values())) > 1:
                raise ExperimentError(
                    f"{experiment.load.traffic} traffic sends the same bytes whoever answers, but the "
                    "versions do not take the same input tensor; give it one name and datatype"
                )
            run = self._run = RunInProgress(experiment, self.workers, digest)
            # a listener that takes its time would hold up Locust's pages
            gevent.spawn(self._lead, run, host, codecs, dataset)

    def _lead(self, run: RunInProgress, host: str, codecs: dict[Role, Codec], dataset: Dataset) -> None:
        """Ask for baseline answers, hand out the shares, and watch the run to its end."""
        baseline = b""
        with self._failing("the baseline answers could not be had", run):
            if run.experiment.load.baseline_time:
                baseline = self._ask_baseline(run, host, codecs, dataset)
            elif run.experiment.load.traffic == "duet":
                run.first_rows = ask_first_rows(run.experiment, dataset, codecs, host, run.name)
        if run.stopped_after is not None:
            run.reports.call_off()
            run.over.set()
        if run.over.is_set():
            return
        experiment = self._inputs.to_toml(run.experiment)
        for share in run.reports.shares:
            job = Job(
                run=run.name,
                worker=share.worker,
                workers=len(run.reports.shares),
                host=host,
                experiment=experiment,
                codecs={role: codec.words for role, codec in codecs.items()},
                baseline=baseline,
                digest=run.digest,
            )
            self._channel.send(job, share.client)
        self._watch(run)

    def _ask_baseline(
        self, run: RunInProgress, host: str, codecs: dict[Role, Codec], dataset: Dataset
    ) -> bytes:
        baseline, run.baseline = ask_baseline(
            run.experiment,
            dataset,
            codecs,
            host,
            run.name,
            len(run.reports.shares),
            is_wanted=lambda: run.stopped_after is None,
            show=lambda asked, rows: self._hooks.show(
                run.figures() | {"baseline": {"asked": asked, "rows": rows}}
            ),
        )
        return encode_answers(baseline)

    def _on_joined(self, joined: Joined, sender: str) -> None:
        if joined.worker == sender and sender not in self._joined:
            logger.info("worker %s knows the token and takes part", sender)
            self._joined.add(sender)

    def _on_report(self, report: Report, sender: str) -> None:
        run = self._run
        if run is None or not run.reports.is_of(sender, report.worker):
            return
        with self._failing("recording failed at the master", run):
            samples = run.reports.accept(report)
            if samples is not None:
                run.counts.add(samples)
                if self._hooks.pass_on is not None and len(samples):
                    # what follows the run judges no scores before its end
                    self._hooks.pass_on(
                        samples.without_scores().to_bytes() if samples.scored else report.samples
                    )
            if run.waits_for_go:
                self._go(run)
            self._check(run)

    def _go(self, run: RunInProgress) -> None:
        run.began_at = time.time() + _LEAD + run.experiment.load.warmup
        if self._hooks.metrics is not None:
            began = datetime.fromtimestamp(run.began_at, UTC)
            self._hooks.metrics.begin(run_name(run.experiment.name, began), run.experiment, run.counts)
        self._tell(run, Go(run.name, run.began_at, run.began_at - time.time()))

    def _on_dataset_wanted(self, wanted: DatasetWanted, sender: str) -> None:
        run = self._run
        if run is None or run.name != wanted.run or not run.reports.is_of(sender, wanted.worker):
            return
        with self._failing("the evaluation set could not be sent", run):
            try:
                content = DatasetContent(run.name, run.experiment.data.path.read_bytes())
            except OSError as error:
                raise LabError(f"the evaluation set is gone ({error})") from None
            self._channel.send(content, run.reports.shares[wanted.worker].client)

    def _tell(self, run: RunInProgress, message: Go | Stop) -> None:
        for share in run.reports.shares:
            if not share.over:
                self._channel.send(message, share.client)

    def _check(self, run: RunInProgress) -> None:
        """End a run that cannot go on, and notice the end of one that is over."""
        if run.cannot_go_on:
            self._end_early(run)
        run.give_up_late_workers()

    def _end_early(self, run: RunInProgress) -> None:
        if run.stopped_after is None:
            run.stopped_after = run.elapsed
            self._tell(run, Stop(run.name))

    def _watch(self, run: RunInProgress) -> None:
        ticks = 0
        while not run.over.wait(TICK):
            run.reports.tick()
            self._check(run)
            ticks += 1
            if ticks % 2 == 0:
                self._show_progress(run)

    def _show_progress(self, run: RunInProgress) -> None:
        if self._hooks.metrics is not None:
            self._hooks.metrics.progress(run.measured_seconds, run.reports.scheduled, run.reports.sent)
        self._hooks.show(run.figures())

    def _stop(self, **_: object) -> None:
        """The test is being stopped: nothing in flight is given up."""
        run = self._run
        if run is None or run.over.is_set():
            return
        self._end_early(run)
        if not run.over.wait(run.experiment.load.timeout + GRACE):
            run.reports.give_up("it did not finish when the run was stopped")
            run.over.set()

    def _close(self, **_: object) -> None:
        run, self._run = self._run, None
        if run is not None:
            with self._failing("the run could not be concluded"):
                samples = run.reports.samples()
                self.result = FinishedRun(run.experiment, samples, run.summary(samples))
                self._show_progress(run)
                if self.result.summary.reason:
                    logger.error("%s", self.result.summary.reason)
                self._hooks.conclude(self.result)
        self.closed.set()
