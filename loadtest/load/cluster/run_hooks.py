"""What a way to start runs gives to the coordinator, and takes from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.experiment.experiment import Experiment
from loadtest.load.cluster.load_summary import LoadSummary
from loadtest.load.live.client_metrics import LoadMetrics


class FinishedRun(NamedTuple):
    """A run that is over; its samples lie in ``folder``."""

    experiment: Experiment
    folder: Path
    summary: LoadSummary


class RunHooks(NamedTuple):
    """What a way to start runs gives to the coordinator, and takes from it.

    Args:
        resolve: gives the experiment of the run that starts now, with its data's path on this machine.
        folder: names the folder for the files of the run that begins now, by the experiment and time zero.
        conclude: takes every run that is over.
        show: takes live figures about once a second.
        metrics: counts along, for Prometheus.
        pass_on: takes samples as they come, as ``SampleSet.to_bytes`` encodes them, and the facts that hold
            with them (``stream_facts``); None: nobody wants them.
        models_name_columns: whether the models may say what is sent, where ``[data]`` names no features.
        gateway: its base URL as workers on other machines reach it; None: as the master does.
        introduced: a worker takes part only once it has said which version of Loadproof it is.
    """

    resolve: Callable[[], Experiment]
    folder: Callable[[Experiment, datetime], Path]
    conclude: Callable[[FinishedRun], None]
    show: Callable[[dict[str, Any]], None]
    metrics: LoadMetrics | None = None
    pass_on: Callable[[bytes, dict[str, Any]], None] | None = None
    models_name_columns: bool = False
    gateway: str | None = None
    introduced: bool = False
