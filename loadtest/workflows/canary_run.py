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
from loadtest.workflows.canary_auto import End, Output, control, shadow_reader
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
        UsageError: the results folder cannot be used, or a version lacks what a gate compares; no load began.
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
    if experiment.canary.shadow:
        shadow_reader(experiment, lab.canary.read(), lab.endpoints)  # before the load: it may be refused
    load = _Load(lab.launch_load(job))
    try:
        if not load.await_start():
            load.stop()
            lab.check()  # the load's own last line says why
            raise LabError("the load did not start")
        faults, began = FaultSchedule(experiment.faults, lab, say), time.monotonic()

        def check() -> None:
            faults.advance(time.monotonic() - began)
            # a candidate that ends is what the controller is there for; anything else broke the lab
            if set(lab.ended()) - {Role.CANDIDATE}:
                lab.check()
            if load.ended:
                load.stop()
                lab.check()
                raise LabError("the load ended before the canary did; give it a longer --duration")

        end = control(experiment, lab.canary, lab.endpoints, outputs, check)
    finally:
        code = load.stop()
    if code not in (ExitCode.PASS, ExitCode.INVALID, ExitCode.INTERRUPTED):
        raise LabError(f"the load generator ended with code {code}")
    return end


class _Load:
    """The load, read by a thread so that it never waits for the controller."""

    def __init__(self, process: LoadProcess) -> None:
        self._process = process
        self._code: int | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def await_start(self) -> bool:
        """Wait until users are there, and the warm-up is over; whether it came to that."""
        return self._started.wait(_START_SECONDS) and not self.ended

    def stop(self) -> int:
        """End it; its exit code. Idempotent."""
        if self._code is None:
            self._process.stop()
            self._thread.join()
            self._code = self._process.wait()
        return self._code

    def _read(self) -> None:
        for line in self._process.lines():
            if line.startswith("{") and json.loads(line).get("elapsed", -1.0) >= 0:
                self._started.set()
        self._ended.set()
        self._started.set()
