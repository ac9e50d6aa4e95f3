"""A whole canary on its own lab: start it, put users on it, let the controller decide, keep a record."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from loadtest.canary.codec import STATE_FILE, encode
from loadtest.data.run_environment import describe
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, RunFolder
from loadtest.errors import ExitCode, LabError
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import Role
from loadtest.lab.interface import Lab, LoadProcess
from loadtest.workflows.canary_auto import End, Output, control
from loadtest.workflows.fault_schedule import FaultSchedule
from loadtest.workflows.prepare import Ready

_START_SECONDS = 120.0


class Outcome(NamedTuple):
    """A finished canary: how it ended and the folder that holds everything."""

    end: End
    folder: Path


def run_canary(
    ready: Ready,
    results: Path,
    outputs: Sequence[Output],
    say: Callable[[str], None],
    announce: Callable[[Lab], None] = lambda _: None,
) -> Outcome:
    """Run one canary to its end; ``announce`` makes the lab known to other commands once it is up.

    Raises:
        UsageError: the results folder cannot be used; nothing was started.
        LabError: the lab did not start or broke.
    """
    experiment = ready.experiment
    with RunFolder(results, experiment.name) as folder:
        folder.write(EXPERIMENT, experiment.to_toml())
        with ready.open_lab(ready.versions) as lab:
            say(f"lab is up ({lab.backend}): gateway {lab.endpoints.gateway}")
            announce(lab)
            end = _control(experiment, lab, folder.path, outputs, say)
            folder.write(ENVIRONMENT, describe(lab.environment()))
            folder.write(STATE_FILE, encode(lab.canary.read()))
            say("stopping the lab")
        return Outcome(end, folder.publish(say))


def _control(
    experiment: Experiment, lab: Lab, job: Path, outputs: Sequence[Output], say: Callable[[str], None]
) -> End:
    load = _Load(lab.launch_load(job))
    try:
        load.await_start()
        faults, began = FaultSchedule(experiment.faults, lab, say), time.monotonic()

        def check() -> None:
            faults.advance(time.monotonic() - began)
            # a candidate that ends is what the controller is there for; anything else broke the lab
            if set(lab.ended()) - {Role.CANDIDATE}:
                lab.check()
            if load.ended:
                raise LabError("the load ended before the canary did; give it a longer --duration")

        return control(experiment, lab.canary, lab.endpoints, outputs, check)
    finally:
        load.stop()


class _Load:
    """The load, read by a thread so that it never waits for the controller."""

    def __init__(self, process: LoadProcess) -> None:
        self._process = process
        self._started = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def await_start(self) -> None:
        """Wait until users are there; the warm-up is over then.

        Raises:
            LabError: it did not start.
        """
        if not self._started.wait(_START_SECONDS) or self.ended:
            raise LabError("the load did not start; load.log in the run folder says why")

    def stop(self) -> None:
        self._process.stop()
        self._thread.join()
        code = self._process.wait()
        if code not in (ExitCode.PASS, ExitCode.INVALID, ExitCode.INTERRUPTED):
            raise LabError(f"the load generator ended with code {code}; load.log in the run folder says why")

    def _read(self) -> None:
        for line in self._process.lines():
            if line.startswith("{") and json.loads(line).get("elapsed", -1.0) >= 0:
                self._started.set()
        self._ended.set()
        self._started.set()
