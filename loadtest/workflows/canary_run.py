"""A whole canary on a lab of its own: start it, put users on it, let the controller decide, keep a record."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from loadtest.canary.codec import STATE_FILE, encode
from loadtest.canary.counters import Meter
from loadtest.canary.event import BY
from loadtest.canary.live_evidence import check
from loadtest.canary.shadow_join import Join
from loadtest.canary.state import State
from loadtest.data.dataset import Dataset
from loadtest.data.run_folder import ENVIRONMENT, EXPERIMENT, RunFolder
from loadtest.errors import ExitCode, ExperimentError, LabError
from loadtest.experiment.experiment import Canary, Experiment
from loadtest.experiment.role import Role
from loadtest.lab.gateway.routes import Routes
from loadtest.lab.interface import Endpoints, Lab, LoadProcess, Version
from loadtest.lab.services.scrape import Scraper
from loadtest.lab.services.shadow_answers import ShadowReader
from loadtest.workflows.canary_auto import Auto, End, Outlet
from loadtest.workflows.fault_schedule import FaultSchedule
from loadtest.workflows.run_environment import describe

_START_SECONDS = 120.0


class Outcome(NamedTuple):
    """A finished canary: how it ended and the folder that holds everything."""

    end: End
    folder: Path


class Seen(NamedTuple):
    """What the controller looks through; its scraper is to be closed."""

    scraper: Scraper
    meter: Meter
    read_answers: Callable[[Join], None]


def watch(state: State, endpoints: Endpoints, policy: Canary) -> Seen:
    """Look at a lab through those who play the roles now, at the services and at the gateway.

    Raises:
        LabError: the lab does not show its gateway's counters, or cannot have the shadow that is asked for.
    """
    answers = ShadowReader(state, endpoints, policy.timeout)
    if policy.shadow:
        answers.read_into(Join())
    return Seen(
        Scraper(endpoints, state.services, policy.timeout),
        Meter(Routes.of(state).clusters),
        answers.read_into,
    )


def run_canary(
    experiment: Experiment,
    open_lab: Callable[[tuple[Version, Version]], Lab],
    versions: tuple[Version, Version],
    results: Path,
    outlets: Sequence[Outlet],
    say: Callable[[str], None],
    announce: Callable[[Lab], None] = lambda _: None,
) -> Outcome:
    """Run one canary to its end; ``announce`` makes the lab known to other commands once it is up.

    Raises:
        UsageError: a gate cannot be followed live, or the evaluation set cannot be used; nothing was started.
        LabError: the lab did not start or broke.
    """
    check(experiment)
    if experiment.load.traffic != "canary":
        raise ExperimentError(f'{experiment.name}: a canary needs [load] traffic = "canary"')
    Dataset.read(experiment.data)
    with RunFolder(results, experiment.name) as folder:
        data = experiment.data.model_copy(update={"path": experiment.data.path.absolute()})
        folder.write(EXPERIMENT, experiment.model_copy(update={"data": data}).to_toml())
        with open_lab(versions) as lab:
            say(f"lab is up ({lab.backend}): gateway {lab.endpoints.gateway}")
            announce(lab)
            end = _control(experiment, lab, folder.path, outlets, say)
            folder.write(ENVIRONMENT, describe(lab.environment()))
            folder.write(STATE_FILE, encode(lab.canary.read()))
            say("stopping the lab")
        return Outcome(end, folder.publish())


def _control(
    experiment: Experiment, lab: Lab, job: Path, outlets: Sequence[Outlet], say: Callable[[str], None]
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

        seen = watch(lab.canary.read(), lab.endpoints, experiment.canary)
        try:
            with lab.canary.lead(BY):
                return Auto(
                    experiment,
                    lab.canary,
                    seen.scraper,
                    seen.meter,
                    outlets,
                    read_answers=seen.read_answers,
                    check=check,
                ).run()
        finally:
            seen.scraper.close()
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
            raise LabError(f"the load generator ended with code {code}")

    def _read(self) -> None:
        for line in self._process.lines():
            if line.startswith("{") and json.loads(line).get("elapsed", -1.0) >= 0:
                self._started.set()
        self._ended.set()
        self._started.set()
