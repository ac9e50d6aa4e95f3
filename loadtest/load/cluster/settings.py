"""Which experiment the load generator runs, when Locust and not the loadproof command starts it.

====================  =================================================  ==========================
variable              meaning                                            default
====================  =================================================  ==========================
LOADPROOF_EXPERIMENT  name of a bundled experiment, or path of a file    EXPERIMENT, else compare
LOADPROOF_DATA        path of the evaluation set on this machine         the experiment's
LOADPROOF_RESULTS     folder of the run folders                          results
LOADPROOF_TARGET      base URL of the gateway as a worker reaches it     the master's --host
LOADPROOF_TARGETS     file that names the versions' servers to Prometheus  none
LOADPROOF_PAGES       URL at which a browser finds Locust's web UI       where Locust listens
====================  =================================================  ==========================
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from loadtest.errors import ExperimentError
from loadtest.experiment.experiment import Experiment


def named_by_environment() -> str:
    """The name or path of the experiment."""
    return os.environ.get("LOADPROOF_EXPERIMENT") or os.environ.get("EXPERIMENT") or "compare"


def results_folder() -> Path:
    """Where run folders go."""
    return Path(os.environ.get("LOADPROOF_RESULTS") or "results")


def targets_file() -> Path | None:
    """Where the versions' own servers are named; None: nowhere."""
    named = os.environ.get("LOADPROOF_TARGETS")
    return Path(named) if named else None


def locate_data(experiment: Experiment) -> Experiment:
    """The experiment with the evaluation set's path as it is on this machine, absolute."""
    path = Path(os.environ.get("LOADPROOF_DATA") or experiment.data.path).absolute()
    return experiment.model_copy(update={"data": experiment.data.model_copy(update={"path": path})})


def target_here(host: str) -> str:
    """The target's base URL as this machine reaches it; ``host`` is the master's."""
    return os.environ.get("LOADPROOF_TARGET") or host


def parse_toml(text: str) -> Experiment:
    """Read a resolved experiment that travelled as TOML.

    Raises:
        ExperimentError: it does not make sense here; master and worker differ in version.
    """
    try:
        return Experiment.parse(tomllib.loads(text), source="the master's experiment")
    except tomllib.TOMLDecodeError as error:
        raise ExperimentError(f"the master's experiment: not TOML ({error})") from error
