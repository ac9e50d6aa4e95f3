"""What becomes of a run that Locust's web UI or ``locust --headless`` started: its folder and its verdict."""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import gevent

from loadtest.data.run_environment import describe
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, VERDICT, RunFolder
from loadtest.errors import ExitCode
from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.run_hooks import FinishedRun
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.live.gate_view import LiveGates
from loadtest.load.settings import Settings
from loadtest.load.web.live_tab import LivePage
from loadtest.load.web.server_facts import Scrape, lab_facts, scrape, server_facts

_JUDGING = 300.0

logger = logging.getLogger(__name__)


class RunPublisher:
    """Writes the run folder of every run and lets the loadproof command judge it, beside Locust's pages."""

    def __init__(self, settings: Settings, metrics: LoadMetrics, page: LivePage) -> None:
        self._settings = settings
        self._metrics = metrics
        self._page = page
        self._experiment: Experiment | None = None
        self._gates: LiveGates | None = None
        self._judging: gevent.Greenlet | None = None
        self._servers: Scrape = {}
        self._folder: RunFolder
        self.code: ExitCode | None = None
        """The exit code of the last verdict; None: nothing was measured."""

    def begin(self, experiment: Experiment) -> None:
        """A run begins; its gates are judged from its first samples on."""
        self._close_gates()
        self._experiment = experiment
        self._servers = scrape(self._settings.targets, self._settings.metrics_proxy)

    def folder(self, experiment: Experiment, began: datetime) -> Path:
        """A new folder for the run, in which it can be judged whatever becomes of this process.

        Raises:
            UsageError: the results folder cannot be written.
        """
        self._folder = RunFolder(self._settings.results, experiment.name, began)
        self._folder.write(EXPERIMENT, experiment.to_toml())
        return self._folder.path

    def pass_on(self, samples: bytes, _: object) -> None:
        """Samples came in."""
        if self._gates is None and self._experiment is not None:
            self._gates = LiveGates(self._experiment, self._page.show_gates)
        if self._gates is not None:
            self._gates.add(samples)

    def _close_gates(self) -> None:
        gates, self._gates = self._gates, None
        if gates is not None:
            gates.close()

    def publish(self, run: FinishedRun) -> None:
        """Complete the run folder, then judge it."""
        facts = server_facts(self._servers, scrape(self._settings.targets, self._settings.metrics_proxy))
        lab = lab_facts(run.experiment, self._settings.backend, facts)
        with self._folder:
            self._folder.write(ENVIRONMENT, describe(lab))
            folder = self._folder.publish()
        logger.info("run folder: %s", folder)
        self._page.judging()
        self._judging = gevent.spawn(self._judge, folder)

    def _judge(self, folder: Path) -> None:
        self._close_gates()
        judge(folder)
        try:
            verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
        except OSError:
            self.code = ExitCode.BUG
            self._page.failed("the run was measured, but not judged; Locust's log says why")
            return
        self.code = ExitCode[verdict["verdict"]]
        self._metrics.judged(folder.name, verdict)
        self._page.judged(folder.name, verdict)

    def finish(self, **_: object) -> None:
        """Wait for the verdict of the last run."""
        if self._judging is not None:
            self._judging.join()


def judge(folder: Path) -> None:
    """Let ``loadproof judge`` write the verdict and the reports into a run folder, where it is installed."""
    if importlib.util.find_spec("loadtest.__main__") is None:
        return
    command = [sys.executable, "-m", "loadtest", "judge", str(folder), "--write"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_JUDGING, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("%s: not judged (%s)", folder, error)
        return
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    logger.info("%s: %s", folder.name, said[-1] if said else f"judge ended with code {done.returncode}")
