"""Runs that are started in Locust's web UI or by ``locust --headless``: options, run folder and verdict."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import gevent
from locust.env import Environment

from loadtest.config import Experiment
from loadtest.dataset import Dataset
from loadtest.errors import LoadproofError
from loadtest.load import files
from loadtest.load.coordinator import Coordinator, Result
from loadtest.load.experiment import locate_data, named_by_environment, results_folder
from loadtest.load.wiring import wire

_JUDGING = 300.0

logger = logging.getLogger(__name__)


def add_options(parser: Any, **_: object) -> None:
    """Add rate and duration to Locust's command line and to its start form."""
    load = _or_exit(lambda: Experiment.load_file(named_by_environment())).load
    # not in a group: Locust's start form shows only what the parser itself was given
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

    def resolve() -> Experiment:
        overrides = {"load": {"rate": options.rate, "duration": options.duration}}
        return locate_data(Experiment.load_file(named_by_environment(), overrides))

    if not options.worker:
        _or_exit(lambda: Dataset.read(resolve().data))
    publisher = _Publisher()
    coordinator = wire(environment, resolve, publisher.publish)
    events: Any = environment.events
    events.quitting.add_listener(publisher.finish)
    if coordinator is not None and options.headless:
        events.test_stop.add_listener(lambda **_: _set_exit_code(environment, coordinator))


def _set_exit_code(environment: Environment, coordinator: Coordinator) -> None:
    if coordinator.error is not None:
        environment.process_exit_code = int(coordinator.error.exit_code)
    elif coordinator.result is not None:
        environment.process_exit_code = int(coordinator.result.outcome.exit_code)


class _Publisher:
    """Writes the run folder of every run and lets the loadproof command judge it, beside Locust's pages."""

    def __init__(self) -> None:
        self._judging: gevent.Greenlet | None = None

    def publish(self, result: Result) -> None:
        """Write the run folder, then judge it."""
        folder = files.publish(results_folder(), *result)
        logger.info("run folder: %s", folder)
        self._judging = gevent.spawn(judge, folder)

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
