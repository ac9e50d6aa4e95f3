"""The coordinator: runs on the master (or the only process), hands out the shares and concludes the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import MasterRunner

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import run_name
from loadtest.errors import ExperimentError, LabError, LoadproofError, OtherColumns
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.load.baseline.before_and_after import AFTER_A_STOP, Baseline
from loadtest.load.cluster.channel import Channel
from loadtest.load.cluster.gathering import Gathering
from loadtest.load.cluster.members import Members
from loadtest.load.cluster.messages import (
    DatasetContent,
    DatasetWanted,
    Go,
    Job,
    Report,
    Stop,
    encode_answers,
)
from loadtest.load.cluster.own_version import own_version
from loadtest.load.cluster.run_hooks import FinishedRun, RunHooks
from loadtest.load.cluster.run_inputs import RunInputs
from loadtest.load.cluster.run_state import GRACE, RunInProgress
from loadtest.load.protocols import Codec
from loadtest.load.sending.fan_out import PINNED
from loadtest.load.sending.target import ask_target, base_url

TICK = 0.5
_LEAD = 0.5

logger = logging.getLogger(__name__)


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
        self._channel = Channel(self._runner, inputs.settings.worker_token)
        introduced = hooks.introduced or inputs.settings.worker_token is not None
        self.members = Members(self._runner, self._channel, own_version(), introduced=introduced)
        self._channel.listen(Report, self._on_report)
        self._channel.listen(DatasetWanted, self._on_dataset_wanted)
        events: Any = environment.events
        events.test_start.add_listener(self._begin)
        events.test_stopping.add_listener(self._stop)
        events.test_stop.add_listener(self._close)

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
                run.end()

    def call_off(self, error: LabError) -> None:
        """End a run whose load has not begun, for ``error``; one that sends goes on."""
        run = self._run
        if run is not None and run.began_at is None and self.error is None:
            with self._failing("", run):
                raise error

    def _begin(self, **_: object) -> None:
        self.result, self.error = None, None
        self.closed.clear()
        with self._failing("the load could not be prepared"):
            experiment = self._hooks.resolve()
            host = self._environment.host or ""
            if experiment.target is None:
                host = base_url(host)
            experiment, dataset, digest, codecs = self._ask(experiment, host)
            if experiment.load.traffic not in PINNED and len(set(codecs.values())) > 1:
                raise ExperimentError(
                    f"{experiment.load.traffic} traffic sends the same bytes whoever answers, but the "
                    "versions do not take the same input tensor; give it one name and datatype"
                )
            run = self._run = RunInProgress(experiment, self.members.workers, digest)
            if isinstance(self._runner, MasterRunner):
                connected, ready = len(self._runner.clients), len(self.members.workers)
                if ready < connected:
                    logger.warning("%d of %d workers are ready; this run is theirs alone", ready, connected)
            # a listener that takes its time would hold up Locust's pages
            gevent.spawn(self._lead, run, host, codecs, dataset)

    def _ask(self, experiment: Experiment, host: str) -> tuple[Experiment, Dataset, str, dict[Role, Codec]]:
        """Ask the versions what they take, with the features that they name where the experiment may not."""
        open_to_models = self._hooks.models_name_columns and not experiment.data.features
        while True:
            dataset, digest = self._inputs.dataset(experiment.data)
            try:
                return experiment, dataset, digest, ask_target(experiment, host, dataset)
            except OtherColumns as error:
                taken = tuple(dict.fromkeys((*experiment.data.features, *error.columns)))
                if not open_to_models or taken == experiment.data.features:
                    raise
                data = experiment.data.model_copy(update={"features": taken})
                experiment = experiment.model_copy(update={"data": data})
                logger.info("the models name the columns that are sent: %s", ", ".join(taken))

    def _lead(self, run: RunInProgress, host: str, codecs: dict[Role, Codec], dataset: Dataset) -> None:
        """Ask for half of the baseline answers, hand out the shares, watch, and ask for the other half."""
        baseline = b""
        with self._failing("the baseline answers could not be had", run):
            run.baseline = Baseline(run.experiment, dataset, codecs, host, run.name, len(run.reports.shares))
            baseline = encode_answers(
                run.baseline.ask_before(
                    lambda: run.stopped_after is None and not run.over.is_set(),
                    self._show_baseline(run, "before"),
                )
            )
        if run.stopped_after is not None:
            run.reports.call_off()
            run.end()
        if run.over.is_set():
            return
        experiment = self._inputs.to_toml(run.experiment)
        for share in run.reports.shares:
            job = Job(
                run=run.name,
                worker=share.worker,
                workers=len(run.reports.shares),
                host=self._hooks.gateway or host,
                experiment=experiment,
                codecs={role: codec.words for role, codec in codecs.items()},
                baseline=baseline,
                digest=run.digest,
            )
            self._channel.send(job, share.client)
        self._watch(run)
        with self._failing("the baseline answers could not be had", run):
            if not (run.cannot_go_on or run.over.is_set()):
                run.baseline.ask_after(
                    run.stopped_after,
                    lambda: not run.called_off,
                    self._show_baseline(run, "after"),
                )
        run.end()

    def _show_baseline(self, run: RunInProgress, when: str) -> Callable[[int, int], None]:
        return lambda asked, rows: self._hooks.show(
            run.figures() | {"baseline": {"asked": asked, "rows": rows, "when": when}}
        )

    def _on_report(self, report: Report, sender: str) -> None:
        run = self._run
        if run is None or not run.reports.is_of(sender, report.worker):
            return
        with self._failing("recording failed at the master", run):
            samples = run.reports.accept(report)
            if samples is not None and len(samples):
                run.counts.add(samples)
                self._keep(run, report.samples)
            if run.waits_for_go:
                self._go(run)
            self._check(run)

    def _keep(self, run: RunInProgress, samples: bytes) -> None:
        facts = run.facts()
        gathering = self._gathering(run)
        gathering.add(samples, facts)
        if gathering.trouble is not None and run.stopped_after is None:
            logger.error("nothing more can be recorded, so the run ends (%s)", gathering.trouble)
            self._end_early(run)
        if self._hooks.pass_on is not None:
            self._hooks.pass_on(samples, facts)

    def _gathering(self, run: RunInProgress) -> Gathering:
        if run.gathering is None:
            began = datetime.now(UTC) if run.began_at is None else datetime.fromtimestamp(run.began_at, UTC)
            run.folder = self._hooks.folder(run.experiment, began)
            run.gathering = Gathering(run.folder)
        return run.gathering

    def _go(self, run: RunInProgress) -> None:
        began_at = run.begin(_LEAD + run.experiment.load.warmup)
        self._gathering(run)  # a folder that cannot be written ends the run before it measures
        if self._hooks.metrics is not None:
            began = datetime.fromtimestamp(began_at, UTC)
            self._hooks.metrics.begin(run_name(run.experiment.name, began), run.experiment, run.counts)
        self._tell(run, Go(run.name, began_at, -run.elapsed))

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
        if run.stopped_after is None and not run.sent.is_set():
            run.stopped_after = run.elapsed
            self._tell(run, Stop(run.name))

    def _watch(self, run: RunInProgress) -> None:
        ticks = 0
        while not (run.over.is_set() or run.sent.wait(TICK)):
            run.reports.tick(began=run.began_at is not None)
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
        run.called_off = run.sent.is_set()
        self._end_early(run)
        if not run.sent.wait(run.experiment.load.timeout + GRACE):
            run.reports.give_up("it did not finish when the run was stopped")
            run.end()
        # the last row that is asked for may take as long as any other
        if not run.over.wait(AFTER_A_STOP + run.experiment.load.timeout + GRACE):
            run.end()

    def _close(self, **_: object) -> None:
        run, self._run = self._run, None
        if run is not None:
            with self._failing("the run could not be concluded"):
                summary = self._gathering(run).conclude(run.totals, run.summary, run.compared)
                self.result = FinishedRun(run.experiment, run.folder, summary)
                self._show_progress(run)
                if self.result.summary.reason:
                    logger.error("%s", self.result.summary.reason)
                self._hooks.conclude(self.result)
        self.closed.set()
