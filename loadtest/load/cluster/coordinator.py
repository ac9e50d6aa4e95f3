"""The coordinator: runs on the master (or the only process), hands out the shares and concludes the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
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
from loadtest.load.baseline.asking import ask_baseline
from loadtest.load.baseline.row_choice import to_bytes
from loadtest.load.cluster.dataset_digest import digest
from loadtest.load.cluster.load_summary import Outcome, conclude
from loadtest.load.cluster.messages import GO, JOB, REPORT, ROWS, STOP, WANT, Go, Job, Report, Rows, Want
from loadtest.load.cluster.run_state import RunInProgress
from loadtest.load.cluster.settings import locate_data
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.protocols import Codec
from loadtest.load.sending.driver import PINNED
from loadtest.load.sending.target_check import ask, base_url

TICK = 0.5
_LEAD = 0.5
_GRACE = 10.0

logger = logging.getLogger(__name__)


class Result(NamedTuple):
    """A run that is over."""

    experiment: Experiment
    samples: SampleSet
    outcome: Outcome


class Coordinator:
    """Follows Locust's own events: a test that starts begins a run, one that stops concludes it.

    Args:
        environment: Locust's, with its runner.
        resolve: gives the experiment of the run that starts now.
        conclude_run: takes the result of every run.
        show: takes live figures about once a second.
        metrics: counts along, for Prometheus.
        pass_on: takes samples as they come, as ``SampleSet.to_bytes`` encodes them; None: nobody wants them.
    """

    def __init__(
        self,
        environment: Environment,
        resolve: Callable[[], Experiment],
        conclude_run: Callable[[Result], None],
        show: Callable[[dict[str, Any]], None],
        metrics: LoadMetrics | None = None,
        pass_on: Callable[[bytes], None] | None = None,
    ) -> None:
        self._environment = environment
        self._resolve = resolve
        self._conclude_run = conclude_run
        self._show = show
        self._metrics = metrics
        self._pass_on = pass_on
        self._run: RunInProgress | None = None
        self.result: Result | None = None
        self.error: LoadproofError | None = None
        self.closed = Event()
        runner: Any = environment.runner
        self._runner = runner
        runner.register_message(REPORT, self._on_report)
        runner.register_message(WANT, self._on_want)
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
        return sorted((node.id for node in nodes), key=runner.get_worker_index)

    @property
    def over(self) -> bool:
        """The run that was begun has ended, or could not begin, and waits to be concluded."""
        if self.closed.is_set():
            return False
        return self.error is not None or (self._run is not None and self._run.over.is_set())

    def _begin(self, **_: object) -> None:
        self.result, self.error = None, None
        self.closed.clear()
        try:
            experiment = locate_data(self._resolve())
            dataset = Dataset.read(experiment.data)
            evaluation_set = digest(experiment.data.path)
            host = self._environment.host or ""
            if experiment.target is None:
                host = base_url(host)
            codecs = ask(experiment, host, dataset)
            if experiment.load.traffic not in PINNED and len(set(codecs.values())) > 1:
                raise ExperimentError(
                    f"{experiment.load.traffic} traffic sends the same bytes whoever answers, but the "
                    "versions do not take the same input tensor; give it one name and datatype"
                )
        except LoadproofError as error:
            self._fail(error)
            return
        except Exception as error:
            self._fail(LabError(f"the load could not be prepared ({type(error).__name__}: {error})"))
            return
        run = self._run = RunInProgress(experiment, self.workers, evaluation_set)
        # a listener that takes its time would hold up Locust's pages
        gevent.spawn(self._lead, run, host, codecs, dataset)

    def _lead(self, run: RunInProgress, host: str, codecs: dict[Role, Codec], dataset: Dataset) -> None:
        """Ask for baseline answers, hand out the shares, and watch the run to its end."""
        try:
            baseline = self._ask_baseline(run, host, codecs, dataset)
        except Exception as error:
            self._fail(LabError(f"the baseline answers could not be had ({type(error).__name__}: {error})"))
            run.over.set()
            return
        if run.stopped_after is not None:
            run.gathering.call_off()
            run.over.set()
            return
        shares = run.gathering.shares
        for share in shares:
            job = Job(
                run=run.gathering.run,
                worker=share.worker,
                workers=len(shares),
                host=host,
                experiment=run.experiment.to_toml(),
                codecs={role: codec.words for role, codec in codecs.items()},
                baseline=baseline,
                digest=run.digest,
            )
            self._runner.send_message(JOB, job._asdict(), share.client)
        self._watch(run)

    def _ask_baseline(
        self, run: RunInProgress, host: str, codecs: dict[Role, Codec], dataset: Dataset
    ) -> bytes:
        def show(asked: int, rows: int) -> None:
            event = run.progress.event(run.elapsed, sent=0)
            self._show(event | {"baseline": {"asked": asked, "rows": rows}})

        load = run.experiment.load
        if not load.baseline_time:
            return b""
        baseline, run.baseline = ask_baseline(
            run.experiment,
            dataset,
            codecs,
            host,
            run.gathering.run,
            len(run.gathering.shares),
            is_wanted=lambda: run.stopped_after is None,
            show=show,
        )
        return to_bytes(baseline)

    def _fail(self, error: LoadproofError) -> None:
        if self.error is None:
            self.error = error
            logger.error("%s", error)
            self._runner.log_exception("loadproof", str(error), "")  # for Locust's pages

    def _on_report(self, msg: Any, **_: object) -> None:
        run = self._run
        if run is None:
            return
        try:
            report = Report(**msg.data)
            samples = run.gathering.accept(report)
            if samples is not None:
                run.progress.add(samples)
                if self._metrics is not None:
                    self._metrics.add(samples)
                if self._pass_on is not None and len(samples):
                    self._pass_on(report.samples)
        except Exception as error:
            # Locust would swallow it, and the samples with it
            self._fail(LabError(f"recording failed at the master ({type(error).__name__}: {error})"))
            run.over.set()
            return
        if run.began_at is None and run.stopped_after is None and run.gathering.ready:
            run.began_at = time.time() + _LEAD + run.experiment.load.warmup
            if self._metrics is not None:
                began = datetime.fromtimestamp(run.began_at, UTC)
                self._metrics.begin(run_name(run.experiment.name, began), run.experiment)
            go = Go(run.gathering.run, run.began_at, run.began_at - time.time())
            self._tell(run, GO, go._asdict())
        self._check(run)

    def _on_want(self, msg: Any, **_: object) -> None:
        run, want = self._run, Want(**msg.data)
        if run is None or run.gathering.run != want.run:
            return
        try:
            rows = Rows(want.run, run.experiment.data.path.read_bytes())
        except OSError as error:
            self._fail(LabError(f"the evaluation set is gone ({error})"))
            run.over.set()
            return
        self._runner.send_message(ROWS, rows._asdict(), run.gathering.shares[want.worker].client)

    def _tell(self, run: RunInProgress, kind: str, data: dict[str, Any] | None = None) -> None:
        for share in run.gathering.shares:
            if not share.over:
                self._runner.send_message(kind, data, share.client)

    def _check(self, run: RunInProgress) -> None:
        """End a run that cannot go on, and notice the end of one that is over."""
        load = run.experiment.load
        if run.gathering.problem is not None or (
            run.began_at is None and any(share.missing for share in run.gathering.shares)
        ):
            self._end_early(run)
        if run.elapsed > load.duration + load.timeout + _GRACE:
            run.gathering.give_up("it did not finish in time")
        if run.gathering.over:
            run.over.set()

    def _end_early(self, run: RunInProgress) -> None:
        if run.stopped_after is None:
            run.stopped_after = run.elapsed
            self._tell(run, STOP)

    def _watch(self, run: RunInProgress) -> None:
        ticks = 0
        while not run.over.wait(TICK):
            run.gathering.tick()
            self._check(run)
            ticks += 1
            if ticks % 2 == 0:
                self._show_progress(run)

    def _show_progress(self, run: RunInProgress) -> None:
        reports = [share.last for share in run.gathering.shares if share.last]
        sent = sum(report.sent for report in reports)
        if self._metrics is not None:
            end = run.experiment.load.duration if run.stopped_after is None else run.stopped_after
            seconds = min(max(run.elapsed, 0.0), max(end, 0.0))
            self._metrics.progress(seconds, sum(report.scheduled for report in reports), sent)
        self._show(run.progress.event(run.elapsed, sent))

    def _stop(self, **_: object) -> None:
        """The test is being stopped: nothing in flight is given up."""
        run = self._run
        if run is None or run.over.is_set():
            return
        self._end_early(run)
        if not run.over.wait(run.experiment.load.timeout + _GRACE):
            run.gathering.give_up("it did not finish when the run was stopped")
            run.over.set()

    def _close(self, **_: object) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._conclude(run)
        self.closed.set()

    def _conclude(self, run: RunInProgress) -> None:
        try:
            samples = run.gathering.samples()
            began_at = run.began_at if run.began_at is not None else time.time()
            outcome = conclude(
                run.experiment.load, run.gathering, samples, began_at, run.stopped_after, run.baseline
            )
            self.result = Result(run.experiment, samples, outcome)
            self._show_progress(run)
            if outcome.reason:
                logger.error("%s", outcome.reason)
            self._conclude_run(self.result)
        except LoadproofError as error:
            self._fail(error)
        except Exception as error:
            self._fail(LabError(f"the run could not be concluded ({type(error).__name__}: {error})"))
