"""Runs that are started in Locust's web UI or by ``locust --headless``: options, run folder and verdict."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn, get_args

import gevent
from flask import request
from locust.env import Environment
from locust.runners import STATE_INIT, MasterRunner
from prometheus_client import CollectorRegistry

from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import VERDICT
from loadtest.errors import LoadproofError
from loadtest.experiment.experiment import EXPERIMENTS, Experiment, Load
from loadtest.load.cluster import files
from loadtest.load.cluster.coordinator import Coordinator, Result
from loadtest.load.cluster.settings import locate_data, named_by_environment, results_folder, targets_file
from loadtest.load.cluster.wiring import wire
from loadtest.load.live.client_metrics import LoadMetrics
from loadtest.load.live.gate_view import LiveGates
from loadtest.load.web.endpoints import add_routes
from loadtest.load.web.live_tab import LivePage
from loadtest.load.web.server_facts import Scrape, scrape, server_facts

_JUDGING = 300.0
_PREPARING = 10.0

logger = logging.getLogger(__name__)


def add_options(parser: Any, **_: object) -> None:
    """Add experiment, traffic, rate and duration to Locust's command line and to its start form."""
    named = named_by_environment()
    load = _or_exit(lambda: Experiment.load_file(named)).load
    bundled = sorted(path.stem for path in EXPERIMENTS.glob("*.toml"))
    # not in a group: Locust's start form shows only what the parser itself was given
    parser.add_argument(
        "--experiment",
        choices=list(dict.fromkeys([named, *bundled])),
        default=named,
        help="what to compare, and by which gates",
    )
    parser.add_argument(
        "--traffic",
        choices=get_args(Load.model_fields["traffic"].annotation),
        default=load.traffic,
        help="which version gets the row of an arrival",
    )
    parser.add_argument(
        "--rate", type=float, env_var="LOADPROOF_RATE", default=load.rate, help="arrivals a second"
    )
    parser.add_argument(
        "--duration",
        type=str,
        env_var="LOADPROOF_DURATION",
        default=f"{load.duration:g}s",
        help="measured time, such as 60s or 2m",
    )


def start(environment: Environment, **_: object) -> None:
    """Make a process that the ``locust`` command started take its part in runs."""
    options: Any = environment.parsed_options
    page = LivePage(lambda: coordinator.error if coordinator else None)

    def resolve() -> Experiment:
        chosen = {name: getattr(options, name) for name in ("traffic", "rate", "duration")}
        experiment = locate_data(Experiment.load_file(options.experiment, {"load": chosen}))
        page.begin(experiment)
        publisher.begin(experiment)
        return experiment

    if not options.worker:
        _or_exit(lambda: Dataset.read(locate_data(Experiment.load_file(options.experiment)).data))
    metrics = LoadMetrics(lambda: _workers(environment), _address(options))
    web: Any = environment.web_ui
    if web is not None:
        registry = CollectorRegistry()
        registry.register(metrics)
        add_routes(web.app, registry, results_folder())
        page.extend(web.app, web.template_args)
        web.app.before_request(lambda: _before_stop(environment))
    publisher = _Publisher(metrics, page)
    pass_on = publisher.pass_on if web is not None else None
    coordinator = wire(environment, resolve, publisher.publish, page.show, metrics=metrics, pass_on=pass_on)
    events: Any = environment.events
    events.quitting.add_listener(publisher.finish)
    if coordinator is not None and options.headless:
        events.test_stop.add_listener(lambda **_: _set_exit_code(environment, coordinator))


def _before_stop(environment: Environment) -> None:
    """Let a Stop wait while the run is prepared: Locust would let it by, and start the run all the same."""
    runner: Any = environment.runner
    if request.path.endswith("/stop"):
        with gevent.Timeout(_PREPARING, False):
            while runner.shape_greenlet is not None and runner.state == STATE_INIT:
                gevent.sleep(0.05)


def _workers(environment: Environment) -> int:
    runner = environment.runner
    return runner.worker_count if isinstance(runner, MasterRunner) else 1


def _address(options: Any) -> str:
    """Where a browser finds these pages: what the lab says, else where Locust listens."""
    host = options.web_host or "127.0.0.1"
    return os.environ.get("LOADPROOF_PAGES") or f"http://{host}:{options.web_port}"


def _set_exit_code(environment: Environment, coordinator: Coordinator) -> None:
    if coordinator.error is not None:
        environment.process_exit_code = int(coordinator.error.exit_code)
    elif coordinator.result is not None:
        environment.process_exit_code = int(coordinator.result.outcome.exit_code)


class _Publisher:
    """Writes the run folder of every run and lets the loadproof command judge it, beside Locust's pages."""

    def __init__(self, metrics: LoadMetrics, page: LivePage) -> None:
        self._metrics = metrics
        self._page = page
        self._experiment: Experiment | None = None
        self._gates: LiveGates | None = None
        self._judging: gevent.Greenlet | None = None
        self._servers: Scrape = {}

    def begin(self, experiment: Experiment) -> None:
        """A run begins; its gates are looked at from its first samples on."""
        self._close_gates()
        self._experiment = experiment
        self._servers = scrape(targets_file())

    def pass_on(self, samples: bytes) -> None:
        """Samples came in."""
        if self._gates is None and self._experiment is not None:
            self._gates = LiveGates(self._experiment, self._page.show_gates)
        if self._gates is not None:
            self._gates.add(samples)

    def _close_gates(self) -> None:
        gates, self._gates = self._gates, None
        if gates is not None:
            gates.close()

    def publish(self, result: Result) -> None:
        """Write the run folder, then judge it."""
        folder = files.publish(results_folder(), *result, server_facts(self._servers, scrape(targets_file())))
        logger.info("run folder: %s", folder)
        self._page.judging()
        self._judging = gevent.spawn(self._judge, folder)

    def _judge(self, folder: Path) -> None:
        self._close_gates()
        judge(folder)
        try:
            verdict = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
        except OSError:
            self._page.failed("the run was measured, but not judged; Locust's log says why")
            return
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


def _or_exit(step: Any) -> Any:
    """What ``step`` returns; an expected error becomes one line and its exit code."""
    try:
        return step()
    except LoadproofError as error:
        _exit(error)


def _exit(error: LoadproofError) -> NoReturn:
    print(f"load: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
