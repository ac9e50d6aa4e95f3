"""The main job: start both versions, put the load on them, judge, and write the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from loadtest.data.run_folder import EXPERIMENT, RunFolder
from loadtest.judge.rate_sweep import RatesVerdict
from loadtest.judge.verdict import Verdict
from loadtest.workflows.deployment import measure
from loadtest.workflows.load_follower import Progress
from loadtest.workflows.prepare import Ready
from loadtest.workflows.rate_sweep import measure_rates
from loadtest.workflows.restarts import measure_restarts
from loadtest.workflows.stored_run import gather_run, judge_run, write_reports


class Outcome(NamedTuple):
    """A finished run: its verdict (over all rates where there are several) and the folder that holds all."""

    verdict: Verdict | RatesVerdict
    folder: Path


def compare(ready: Ready, results: Path, progress: Progress) -> Outcome:
    """Run a checked experiment on a lab of its own, and judge it.

    Raises:
        UsageError: the results folder cannot be used; nothing was started.
        LabError: the lab did not start or broke; samples measured until then are kept.
    """
    experiment = ready.experiment
    with RunFolder(results, experiment.name) as folder:
        folder.write(EXPERIMENT, experiment.to_toml())
        verdict: Verdict | RatesVerdict
        if experiment.load.rates:
            verdict = measure_rates(ready, folder.path, progress)
        else:
            (measure if experiment.load.restarts == 1 else measure_restarts)(ready, folder.path, progress)
            progress.step("judging")
            run = gather_run(folder.path, experiment, ready.dataset)
            verdict = judge_run(run)
            write_reports(folder.path, run, verdict)
        return Outcome(verdict, folder.publish(progress.step))
